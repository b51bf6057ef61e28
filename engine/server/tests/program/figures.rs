//! What it tells of itself is what has happened.

use std::io::{Read, Write};
use std::net::{TcpListener, TcpStream};

use countersign_wire::v1::event_feed_client::EventFeedClient;
use countersign_wire::v1::order_entry_client::OrderEntryClient;
use countersign_wire::v1::{
    AccountChanged, CancelOrder, CommandBatch, DrainRequest, Durability, Empty, InstrumentState,
    MassCancelRequest, NewOrder, ResultCode, ResumeRequest, SetAccountFeesRequest, SetInstrumentStateRequest,
    SetPriceBandRequest, ShardState, Side, StpMode, SubscribeRequest, command, event,
};

use crate::events;
use crate::process::{self, Ids, Process, TIA, TOM, limit};
use crate::sessions::say_hello;

struct Figures(String);

impl Figures {
    fn of(address: &str) -> Figures {
        let mut stream = TcpStream::connect(address).unwrap();
        stream.write_all(b"GET /metrics HTTP/1.1\r\n\r\n").unwrap();
        let mut page = String::new();
        stream.read_to_string(&mut page).unwrap();
        Figures(page)
    }

    fn get(&self, name: &str) -> Option<u64> {
        let line = format!("countersign_engine_{name} ");
        self.0.lines().find_map(|told| told.strip_prefix(&line)?.parse().ok())
    }

    fn all(&self, wanted: &[(&str, u64)]) {
        for (name, value) in wanted {
            assert_eq!(self.get(name), Some(*value), "{name} in {}", self.0);
        }
    }
}

/// One order that rests, one that trades with it in part, and a cancel of nothing.
fn three() -> CommandBatch {
    let mut cancel = limit(Ids.next(), 9, TOM, Side::Sell, 1, 1);
    cancel.body = Some(command::Body::Cancel(CancelOrder { order_id: 9, account_id: TOM }));
    let sell = limit(Ids.next(), 1, TOM, Side::Sell, 1_000, 5);
    CommandBatch { commands: vec![sell, limit(Ids.next(), 2, TIA, Side::Buy, 1_000, 2), cancel] }
}

#[tokio::test]
async fn tells_in_its_figures_what_has_happened() {
    let mut process = Process::fresh();
    process.list_and_fund().await;
    process.kill();
    let address = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().to_string();
    process.start(&["--metrics", &address]).await;
    let session = say_hello(&process, &Ids.next(), false).await.unwrap();
    let mut orders = OrderEntryClient::new(process.orders().await);
    orders.submit_batch(three()).await.unwrap();
    let mut admin = process::admin_client(process.admin().await);
    let newest = admin.status(Empty {}).await.unwrap().into_inner();
    let mut feed = EventFeedClient::new(process.transfers().await);
    let (from_event_seq, consumer) = (1, "settlement".to_string());
    let request = SubscribeRequest { from_event_seq, consumer, ..SubscribeRequest::default() };
    let mut reader = feed.subscribe(request).await.unwrap().into_inner();
    reader.message().await.unwrap();
    // Both are told a moment after the client has heard.
    for (name, value) in [("sessions", 1), ("consumer_lag_events{consumer=\"settlement\"}", 0)] {
        while Figures::of(&address).get(name) != Some(value) {}
    }
    let figures = Figures::of(&address);
    figures.all(&[
        ("up", 1),
        ("epoch", 2),
        ("commands_total", newest.engine_seq),
        ("durable_commands_total", newest.engine_seq),
        ("undurable_commands", 0),
        ("events_total", newest.event_seq),
        ("queue_depth", 0),
        ("sessions", 1),
        ("open_orders", 1),
        ("accounts", newest.accounts),
        ("snapshot_seq", 0),
        ("snapshot_behind_commands", newest.engine_seq),
        ("refused_commands_total{reason=\"unknown_order\"}", 1),
        ("state{state=\"running\"}", 1),
        ("state{state=\"draining\"}", 0),
    ]);
    assert!(newest.accounts >= 2 && newest.open_orders == 1);
    assert_eq!(figures.get("refused_commands_total{reason=\"ok\"}"), None);
    assert!(figures.get("journal_blocks_total") > Some(0) && figures.get("journal_bytes") > Some(0));
    assert_eq!(figures.get("flush_microseconds_count"), figures.get("journal_blocks_total"));
    assert_eq!(figures.get("flush_microseconds_bucket{le=\"+Inf\"}"), figures.get("journal_blocks_total"));
    assert!(figures.get("flush_p99_microseconds") >= figures.get("flush_p50_microseconds"));

    // By hand, as whoever is called in the night would.
    let told = process.ask("admin.sock", "snapshot").unwrap();
    let (head, file) = told.trim_end().split_once("\nfile ").unwrap();
    let bytes = std::fs::metadata(file).unwrap().len();
    assert_eq!(head, format!("command {}\nevent {}\nbytes {bytes}", newest.engine_seq, newest.event_seq));
    assert!(process.ask("admin.sock", "drain").unwrap_err().contains("can be asked, not drain"));
    let told = process.ask("admin.sock", "status").unwrap();
    let expected = [
        ("state", "running".to_string()),
        ("takes-orders", "yes".into()),
        ("epoch", newest.epoch.to_string()),
        ("command", newest.engine_seq.to_string()),
        ("durable", newest.durable_seq.to_string()),
        ("event", newest.event_seq.to_string()),
        ("snapshot", newest.engine_seq.to_string()),
        ("orders", newest.open_orders.to_string()),
        ("logic", newest.logic_version.to_string()),
        ("version", newest.version),
    ];
    let expected = expected.map(|(name, value)| format!("{name} {value}\n"));
    // How many commands wait is another matter at each look: the engine asks itself whether it lives.
    let (waiting, rest): (Vec<_>, Vec<_>) =
        told.split_inclusive('\n').partition(|line| line.starts_with("waiting "));
    assert_eq!((waiting.len(), rest.concat()), (1, expected.concat()));
    admin.drain(DrainRequest::default()).await.unwrap();
    orders.submit_batch(three()).await.unwrap();
    drop(session);
    while Figures::of(&address).get("sessions") != Some(0) {}
    Figures::of(&address).all(&[
        ("up", 0),
        ("snapshot_seq", newest.engine_seq),
        ("refused_commands_total{reason=\"draining\"}", 3),
        ("state{state=\"running\"}", 0),
        ("state{state=\"draining\"}", 1),
    ]);
}

#[tokio::test]
async fn tells_an_administrator_what_an_act_has_done_or_why_it_was_refused() {
    let mut process = Process::fresh();
    process.list_and_fund().await;
    let mut orders = OrderEntryClient::new(process.orders().await);
    orders.submit_batch(three()).await.unwrap();
    let mut admin = process::admin_client(process.admin().await);
    let before = admin.status(Empty {}).await.unwrap().into_inner();
    let cancelled = MassCancelRequest { account_id: TOM, ..MassCancelRequest::default() };
    let told = admin.mass_cancel(cancelled).await.unwrap().into_inner();
    assert_eq!(told.code(), ResultCode::Ok);
    assert_eq!((told.cancelled_orders, told.engine_seq), (1, before.engine_seq + 1));
    assert_eq!((told.epoch, told.durability(), told.detail.as_str()), (1, Durability::Disk, ""));
    let marked = |order_id, mark: fn(&mut NewOrder)| {
        let mut command = limit(Ids.next(), order_id, TOM, Side::Sell, 2_000, 1);
        if let Some(command::Body::NewOrder(order)) = &mut command.body {
            mark(order);
        }
        command
    };
    let commands = vec![
        marked(11, |order| order.owner_ref = 4),
        marked(12, |order| (order.stp_group, order.stp) = (3, StpMode::CancelMaker as i32)),
        marked(13, |_| ()),
    ];
    orders.submit_batch(CommandBatch { commands }).await.unwrap();
    for scope in [
        MassCancelRequest { owner_ref: 4, ..MassCancelRequest::default() },
        MassCancelRequest { stp_group: 3, ..MassCancelRequest::default() },
        MassCancelRequest { instrument_id: 1, ..MassCancelRequest::default() },
    ] {
        let told = admin.mass_cancel(scope.clone()).await.unwrap().into_inner();
        assert_eq!((told.code(), told.cancelled_orders), (ResultCode::Ok, 1), "{scope:?}");
    }
    // Nobody cancels everything by saying nothing.
    let all = admin.mass_cancel(MassCancelRequest::default()).await.unwrap().into_inner();
    assert_eq!(all.code(), ResultCode::BadCommand);
    assert_eq!(all.detail, "the request is malformed or a value is out of its range");
    let open = SetInstrumentStateRequest {
        instrument_id: 1,
        state: InstrumentState::Open as i32,
        ..SetInstrumentStateRequest::default()
    };
    let again = admin.set_instrument_state(open).await.unwrap().into_inner();
    assert_eq!((again.code(), again.detail.as_str()), (ResultCode::Unchanged, "it is already so"));

    let resumed = admin.resume(ResumeRequest::default()).await.unwrap().into_inner();
    assert_eq!(resumed.code(), ResultCode::Unchanged);
    for (asked, told) in [(700, 700), (0, 700)] {
        let drain = DrainRequest { release_journal: false, retry_after_ms: asked };
        let drained = admin.drain(drain).await.unwrap().into_inner();
        let status = admin.status(Empty {}).await.unwrap().into_inner();
        assert_eq!((status.state(), status.retry_after_ms), (ShardState::Draining, told));
        assert_eq!((drained.epoch, drained.engine_seq), (1, status.engine_seq));
        assert_eq!((drained.event_seq, drained.state_hash), (status.event_seq, status.state_hash));
        let resumed = admin.resume(ResumeRequest::default()).await.unwrap().into_inner();
        assert_eq!((resumed.code(), resumed.epoch), (ResultCode::Ok, 1));
        assert_eq!(resumed.engine_seq, status.durable_seq);
    }
    let status = admin.status(Empty {}).await.unwrap().into_inner();
    assert_eq!((status.state(), status.retry_after_ms), (ShardState::Running, 0));
}

#[tokio::test]
async fn does_not_call_an_answer_durable_that_was_not_flushed_and_leaves_no_socket_behind() {
    let mut process = Process::fresh();
    process.start(&["--init", "--no-fsync"]).await;
    let mut orders = OrderEntryClient::new(process.orders().await);
    let told = orders.submit_batch(three()).await.unwrap().into_inner();
    for result in &told.results {
        assert_eq!(result.durability(), Durability::Memory);
    }
    assert!(told.durable_seq > 0);
    assert!(process.signal("TERM"));
    assert!(process.ended());
    for path in process.sockets() {
        assert!(!path.exists(), "{}", path.display());
    }
}

#[tokio::test]
async fn gives_an_account_fees_of_its_own_and_takes_them_back() {
    let mut process = Process::fresh();
    process.list_and_fund().await;
    let mut admin = process::admin_client(process.admin().await);
    for (fees, default_fees) in [((7, 9), false), ((0, 0), false), ((0, 0), true)] {
        let (maker_fee_ppm, taker_fee_ppm) = fees;
        let request = SetAccountFeesRequest {
            account_id: TOM,
            maker_fee_ppm,
            taker_fee_ppm,
            default_fees,
            ..SetAccountFeesRequest::default()
        };
        let told = admin.set_account_fees(request.clone()).await.unwrap().into_inner();
        assert_eq!(told.code(), ResultCode::Ok, "{request:?}");
        let last = events(&process, 1).await.pop().unwrap();
        let changed = AccountChanged { account_id: TOM, maker_fee_ppm, taker_fee_ppm, default_fees };
        assert_eq!((last.engine_seq, last.body), (told.engine_seq, Some(event::Body::Account(changed))));
    }
}

#[tokio::test]
async fn tells_with_a_market_what_its_administrator_called_the_act() {
    let mut process = Process::fresh();
    process.list_and_fund().await;
    let mut admin = process::admin_client(process.admin().await);
    let band = |reference: &[u8]| SetPriceBandRequest {
        instrument_id: 1,
        price_band_ppm: 5,
        reference: reference.to_vec(),
        ..SetPriceBandRequest::default()
    };
    let state = |reference: &[u8]| SetInstrumentStateRequest {
        instrument_id: 1,
        state: InstrumentState::Halted as i32,
        reference: reference.to_vec(),
        ..SetInstrumentStateRequest::default()
    };
    let mut filled = b"ana".to_vec();
    filled.resize(16, 0);
    for (given, told) in
        [(b"ana".to_vec(), Some(filled)), (vec![7; 16], Some(vec![7; 16])), (vec![7; 17], None)]
    {
        let code = admin.set_price_band(band(&given)).await.unwrap().into_inner().code();
        assert_eq!(code, if told.is_some() { ResultCode::Ok } else { ResultCode::BadCommand });
        let Some(told) = told else { continue };
        let last = events(&process, 1).await.pop().unwrap();
        let Some(event::Body::Instrument(changed)) = last.body else { panic!("{last:?}") };
        assert_eq!(changed.reference, told);
    }
    admin.set_instrument_state(state(b"a halt")).await.unwrap();
    let last = events(&process, 1).await.pop().unwrap();
    let Some(event::Body::Instrument(changed)) = last.body else { panic!("{last:?}") };
    assert_eq!((&changed.reference[..6], changed.reference.len()), (&b"a halt"[..], 16));
    let long = SetAccountFeesRequest { account_id: TOM, reference: vec![7; 17], ..Default::default() };
    assert_eq!(admin.set_account_fees(long).await.unwrap().into_inner().code(), ResultCode::BadCommand);
}
