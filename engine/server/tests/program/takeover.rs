//! Standbys: told to lead, leading by themselves, and never two at a time.

use std::collections::BTreeMap;
use std::fs;
use std::os::unix::fs::FileExt;
use std::time::{Duration, Instant};

use countersign_wire::v1::order_entry_client::OrderEntryClient;
use countersign_wire::v1::{
    CommandBatch, DrainRequest, Empty, Event, QueryCommandRequest, ResultCode, Side, TakeOverRequest, event,
};

use crate::process::{self, Ids, Process, TIA, TOM, limit};
use crate::{balances, events, trade};

/// Sends batches until `until` says that it is enough, each again and again until it is answered; gives what was
/// acknowledged, and the longest time between two answers.
async fn keep_trading(
    process: &Process,
    first_order: u64,
    mut until: impl FnMut(u64) -> bool,
) -> (BTreeMap<Vec<u8>, u64>, Duration) {
    let mut acknowledged = BTreeMap::new();
    let mut ids = Ids;
    let (mut answered, mut longest) = (Instant::now(), Duration::ZERO);
    let mut order_id = first_order;
    let mut client = None;
    let mut batches = 0;
    while !until(batches) {
        let commands = (0..8)
            .map(|_| {
                order_id += 1;
                let (account, side) =
                    if order_id.is_multiple_of(2) { (TOM, Side::Sell) } else { (TIA, Side::Buy) };
                limit(ids.next(), order_id, account, side, 1_000 + (order_id % 9) as i64, 1 + order_id % 4)
            })
            .collect();
        let batch = CommandBatch { commands };
        loop {
            if client.is_none() {
                client = process.try_orders().await.map(OrderEntryClient::new);
            }
            let answer = match &mut client {
                Some(client) => client.submit_batch(batch.clone()).await.ok(),
                None => None,
            };
            let Some(answer) = answer.map(tonic::Response::into_inner) else {
                client = None;
                tokio::time::sleep(Duration::from_millis(5)).await;
                continue;
            };
            if answer.results.iter().all(|result| result.code() == ResultCode::Ok) {
                for result in answer.results {
                    acknowledged.insert(result.command_id.to_vec(), result.engine_seq);
                }
                break;
            }
            // Draining, or failed: nothing of it was recorded.
            assert!(answer.results.iter().all(|result| result.code >= 100), "{answer:?}");
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
        longest = longest.max(answered.elapsed());
        answered = Instant::now();
        batches += 1;
    }
    (acknowledged, longest)
}

/// Every acknowledged command is in the events once, under the sequence that was told.
fn all_there(acknowledged: &BTreeMap<Vec<u8>, u64>, events: &[Event]) {
    let mut accepted: BTreeMap<&[u8], u64> = BTreeMap::new();
    for event in events {
        if let Some(event::Body::Accepted(order)) = &event.body {
            assert!(accepted.insert(&order.command_id, event.engine_seq).is_none(), "applied twice");
        }
    }
    for (id, engine_seq) in acknowledged {
        assert_eq!(accepted.get(id.as_slice()), Some(engine_seq), "an acknowledged command is gone");
    }
}

#[tokio::test]
async fn lets_a_standby_lead_by_itself_when_the_leader_dies_under_load() {
    let mut first = Process::fresh();
    first.list_and_fund().await;
    let mut second = first.standby(&["--take-over", "auto"]).await;
    let watched = first.standby_handle();
    let (acknowledged, longest) = keep_trading(&watched, 1, |batches| {
        if batches == 40 {
            first.kill();
        }
        batches == 120
    })
    .await;
    println!("nobody led for at most {longest:?}");
    assert_eq!(acknowledged.len(), 120 * 8);
    all_there(&acknowledged, &events(&second, 1).await);
    second.kill();
    second.verified();
}

#[tokio::test]
async fn ends_a_leader_that_is_silent_so_that_it_can_never_write_again() {
    let mut first = Process::fresh();
    first.list_and_fund().await;
    // One that has nothing to do says that it lives, too.
    let heard = || fs::metadata(first.path("journal/LOCK")).unwrap().modified().unwrap();
    for _ in 0..2 {
        let (before, mut looks) = (heard(), 0);
        while heard() == before {
            looks += 1;
            assert!(looks < 6_000, "nothing is heard of it");
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
    }
    let mut second = first.standby(&["--take-over", "auto", "--silence-ms", "3000"]).await;
    let mut ids = Ids;
    trade(&first, &mut ids, 1, 100).await;
    let known = events(&first, 1).await;
    assert!(first.signal("STOP"));
    for attempt in 0.. {
        assert!(attempt < 2_000);
        tokio::time::sleep(Duration::from_millis(20)).await;
        let Some(channel) = second.try_orders().await else { continue };
        let mut client = OrderEntryClient::new(channel);
        let asked = client.submit_batch(CommandBatch::default());
        if tokio::time::timeout(Duration::from_millis(500), asked).await.is_ok_and(|told| told.is_ok()) {
            break;
        }
    }
    first.signal("CONT");
    assert_eq!(first.exit_code(), None, "it was ended by a signal and never woke");
    trade(&second, &mut ids, 1_001, 100).await;
    assert!(events(&second, 1).await[..known.len()] == known[..]);
    second.kill();
    second.verified();
}

#[tokio::test]
async fn follows_again_where_another_standby_was_quicker() {
    let mut first = Process::fresh();
    first.list_and_fund().await;
    trade(&first, &mut Ids, 1, 100).await;
    let known = events(&first, 1).await;
    let mut second = first.standby(&["--take-over", "auto"]).await;
    assert!(second.signal("STOP"));
    first.kill();
    // Whoever looks sees no leader, and yet nobody else can begin: as it is between the two locks of one who does.
    let quicker = fs::File::open(first.path("journal")).unwrap();
    quicker.lock().unwrap();
    assert!(second.signal("CONT"));
    let tries = |said: Vec<String>| said.iter().filter(|line| line.contains("taking over")).count();
    while tries(second.says("taking over").await) < 2 {
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    drop(quicker);
    second.says("ready").await;
    assert!(events(&second, 1).await[..known.len()] == known[..]);
    trade(&second, &mut Ids, 1_001, 100).await;
    second.kill();
    second.verified();
}

#[tokio::test]
async fn upgrades_under_load_and_loses_nothing() {
    let mut first = Process::fresh();
    first.list_and_fund().await;
    let mut second = first.standby(&["--take-over", "auto"]).await;
    let mut admin = process::admin_client(first.admin().await);
    let watched = first.standby_handle();
    let drain = async {
        tokio::time::sleep(Duration::from_millis(100)).await;
        admin.drain(DrainRequest { release_journal: true, retry_after_ms: 500 }).await.unwrap();
    };
    let ((acknowledged, longest), ()) =
        tokio::join!(keep_trading(&watched, 1, |batches| batches == 300), drain);
    println!("clients were refused for at most {longest:?}");
    assert!(first.ended());
    all_there(&acknowledged, &events(&second, 1).await);
    // Whoever tells it to lead all the same does not wait for it to end.
    let mut standby = process::admin_client(second.connect("standby.sock").await);
    let told = standby.take_over(TakeOverRequest { wait_ms: 60_000, reference: vec![] }).await;
    assert_eq!(told.unwrap_err().code(), tonic::Code::FailedPrecondition);
    second.kill();
    second.verified();
}

#[tokio::test]
async fn hands_over_to_a_standby_and_loses_nothing() {
    let mut first = Process::fresh();
    first.list_and_fund().await;
    let mut ids = Ids;
    let mut second = first.standby(&[]).await;
    let sent = trade(&first, &mut ids, 1, 600).await;
    let mut standby = process::admin_client(first.connect("standby.sock").await);
    let refused = standby.take_over(TakeOverRequest::default()).await.unwrap().into_inner();
    assert_eq!(refused.code(), ResultCode::Busy, "two never lead");
    let known = events(&first, 1).await;

    let began = std::time::Instant::now();
    let mut admin = process::admin_client(first.admin().await);
    let drained = admin.drain(DrainRequest { release_journal: true, retry_after_ms: 500 }).await.unwrap();
    let take_over = TakeOverRequest { wait_ms: 60_000, reference: vec![] };
    let led = standby.take_over(take_over).await.unwrap().into_inner();
    assert_eq!(led.code(), ResultCode::Ok);
    assert_eq!(led.epoch, drained.get_ref().epoch + 1);
    assert_eq!(led.engine_seq, drained.get_ref().engine_seq + 1);
    assert!(first.ended());
    for attempt in 0.. {
        if second.try_orders().await.is_some() {
            break;
        }
        assert!(attempt < 30_000);
        tokio::time::sleep(Duration::from_millis(2)).await;
    }
    println!("handed over in {:?}", began.elapsed());
    // The standby's socket tells nothing of a standby that is none any more.
    let told = standby.status(Empty {}).await.unwrap_err();
    assert_eq!(told.code(), tonic::Code::FailedPrecondition);
    assert!(told.message().contains("leads already"), "{told:?}");
    let now = events(&second, 1).await;
    assert!(now[..known.len()] == known[..]);
    let mut orders = OrderEntryClient::new(second.orders().await);
    for command_id in sent.into_iter().step_by(50) {
        let told = orders.query_command(QueryCommandRequest { command_id }).await.unwrap().into_inner();
        assert_eq!((told.code(), told.duplicate), (ResultCode::Ok, true));
    }
    trade(&second, &mut ids, 10_001, 50).await;
    second.kill();
}

#[tokio::test]
async fn lets_a_standby_lead_after_a_kill() {
    let mut first = Process::fresh();
    first.list_and_fund().await;
    let mut ids = Ids;
    let mut second = first.standby(&[]).await;
    trade(&first, &mut ids, 1, 600).await;
    let (known, held) = (events(&first, 1).await, balances(&first).await);
    // By hand, as whoever is called in the night would.
    let refused = first.ask("admin.sock", "take-over").unwrap_err();
    assert!(refused.contains("this process leads already"), "{refused}");
    assert!(
        first.ask("standby.sock", "status").unwrap().starts_with("state standby\ntakes-orders no\nepoch 1\n")
    );
    first.kill();
    let refused = first.ask("admin.sock", "status").unwrap_err();
    assert!(refused.contains("nobody answers at"), "{refused}");
    let led = first.ask("standby.sock", "take-over").unwrap();
    assert!(led.starts_with("epoch 2\ncommand "), "{led}");
    // The sockets that the dead process left behind are replaced.
    for attempt in 0.. {
        if second.try_orders().await.is_some() {
            break;
        }
        assert!(attempt < 30_000);
        tokio::time::sleep(Duration::from_millis(2)).await;
    }
    assert!(events(&second, 1).await[..known.len()] == known[..]);
    assert_eq!(balances(&second).await, held);
    second.kill();
}

#[tokio::test]
async fn does_nothing_again_that_it_has_followed() {
    let mut leader = Process::fresh();
    leader.list_and_fund().await;
    let mut next = 1;
    for round in 0..3 {
        trade(&leader, &mut Ids, next, 1_000).await;
        let mut standby = leader.standby(&["--take-over", "auto"]).await;
        trade(&leader, &mut Ids, next + 1_000, 1_000).await;
        let mut admin = process::admin_client(leader.admin().await);
        if round == 1 {
            admin.take_snapshot(Empty {}).await.unwrap();
            trade(&leader, &mut Ids, next + 2_000, 500).await;
        }
        next += 2_500;
        let known = events(&leader, 1).await;
        let led = admin.status(Empty {}).await.unwrap().into_inner().engine_seq;
        leader.kill();
        // No state is read or written, no event read, no command applied, however many there are.
        let said = standby.says("ready").await;
        let from = format!("began from the state that it followed to {led}");
        assert!(said.iter().any(|line| line.contains(&from)), "{said:?}");
        assert!(said.iter().any(|line| line.contains("ready, 0 commands replayed")), "{said:?}");
        assert!(!said.iter().any(|line| line.contains("again")), "{said:?}");
        assert!(events(&standby, 1).await[..known.len()] == known[..]);
        std::mem::swap(&mut leader, &mut standby);
    }
    leader.kill();
    leader.verified();
}

#[tokio::test]
async fn does_not_lead_where_it_computes_other_events_than_were_told() {
    let mut first = Process::fresh();
    first.list_and_fund().await;
    trade(&first, &mut Ids, 1, 200).await;
    let mut admin = process::admin_client(first.admin().await);
    admin.take_snapshot(Empty {}).await.unwrap();
    trade(&first, &mut Ids, 1_001, 200).await;
    // As a program of other rules would find them.
    events(&first, 1).await;
    let told = first.path("journal/events/events-00000000000000000001.log");
    let told = fs::OpenOptions::new().read(true).write(true).open(told).unwrap();
    let at = told.metadata().unwrap().len() - 40;
    let mut byte = [0];
    told.read_exact_at(&mut byte, at).unwrap();
    told.write_all_at(&[byte[0] ^ 1], at).unwrap();
    let standby = first.path("standby.sock");
    let said = first.try_start(&["--standby-socket", standby.to_str().unwrap(), "--take-over", "auto"]);
    assert!(said.contains("computes other events than the leader told"), "{said}");
    // Nobody is disturbed by that.
    trade(&first, &mut Ids, 2_001, 50).await;
}
