//! An auction is ended by whoever has seen that it is this one.

use countersign_wire::v1::admin_client::AdminClient;
use countersign_wire::v1::market_data_client::MarketDataClient;
use countersign_wire::v1::order_entry_client::OrderEntryClient;
use countersign_wire::v1::{
    CommandBatch, Empty, InstrumentState, MassCancelRequest, ResultCode, RunAuctionRequest,
    SetInstrumentStateRequest, Side, event,
};
use tonic::transport::Channel;

use crate::process::{self, Ids, Process, TIA, TOM, limit};
use crate::{events, trade};

/// The market's state, and the command behind which it was so.
async fn seen(process: &Process) -> (InstrumentState, u64) {
    let mut books = MarketDataClient::new(process.admin().await);
    let told = books.list_instruments(Empty {}).await.unwrap().into_inner();
    (told.instruments[0].state(), told.engine_seq)
}

async fn set_state(admin: &mut AdminClient<Channel>, state: InstrumentState, seen_seq: u64) -> ResultCode {
    let request = SetInstrumentStateRequest {
        instrument_id: 1,
        state: state as i32,
        seen_seq,
        ..SetInstrumentStateRequest::default()
    };
    admin.set_instrument_state(request).await.unwrap().into_inner().code()
}

async fn call(admin: &mut AdminClient<Channel>) {
    for state in [InstrumentState::Halted, InstrumentState::Auction] {
        assert_eq!(set_state(admin, state, 0).await, ResultCode::Ok);
    }
}

async fn run(admin: &mut AdminClient<Channel>, seen_seq: u64) -> (ResultCode, u64) {
    let then = InstrumentState::Open as i32;
    let request = RunAuctionRequest { instrument_id: 1, then, seen_seq, ..RunAuctionRequest::default() };
    let told = admin.run_auction(request).await.unwrap().into_inner();
    (told.code(), told.engine_seq)
}

#[tokio::test]
async fn ends_no_other_auction_than_the_one_that_was_seen() {
    let mut process = Process::fresh();
    process.list_and_fund().await;
    let mut admin = process::admin_client(process.admin().await);
    call(&mut admin).await;
    let (_, first) = seen(&process).await;
    // It is halted and called again before the word about the first one comes.
    call(&mut admin).await;
    assert_eq!(run(&mut admin, first).await, (ResultCode::Overtaken, 0));
    let (state, second) = seen(&process).await;
    assert_eq!(state, InstrumentState::Auction);
    // Orders that come in between are what an auction is for.
    trade(&process, &mut Ids, 1, 8).await;
    assert_eq!(run(&mut admin, second).await.0, ResultCode::Ok);
    // A state that was seen before is no more set than run.
    assert_eq!(set_state(&mut admin, InstrumentState::CancelOnly, second).await, ResultCode::Overtaken);
    assert_eq!(seen(&process).await.0, InstrumentState::Open);
    process.kill();
    process.verified();
}

#[tokio::test]
async fn looks_again_under_another_leader() {
    let mut process = Process::fresh();
    process.list_and_fund().await;
    let mut admin = process::admin_client(process.admin().await);
    call(&mut admin).await;
    let (_, before) = seen(&process).await;
    process.kill();
    process.start(&[]).await;
    let mut admin = process::admin_client(process.admin().await);
    // What the former leader did behind that look, nobody has told this one.
    assert_eq!(run(&mut admin, before).await, (ResultCode::Overtaken, 0));
    let (state, again) = seen(&process).await;
    assert_eq!(state, InstrumentState::Auction);
    assert_eq!(run(&mut admin, again).await.0, ResultCode::Ok);
    // Whoever names nothing is taken at their word, as ever.
    call(&mut admin).await;
    assert_eq!(run(&mut admin, 0).await.0, ResultCode::Ok);
}

/// More of them than trade, or end, at once.
const MANY: u64 = 1_200;

#[tokio::test]
async fn is_over_when_it_is_answered_however_many_pieces_it_took() {
    let mut process = Process::fresh();
    process.list_and_fund().await;
    let mut admin = process::admin_client(process.admin().await);
    let mut orders = OrderEntryClient::new(process.orders().await);
    call(&mut admin).await;
    for (side, account, price) in [(Side::Buy, TIA, 1_010), (Side::Sell, TOM, 1_000)] {
        let order = |number| limit(Ids.next(), 1 + 2 * number + (side as u64 & 1), account, side, price, 1);
        let commands = (0..MANY).map(order).collect();
        let results = orders.submit_batch(CommandBatch { commands }).await.unwrap().into_inner().results;
        assert!(results.iter().all(|result| result.code() == ResultCode::Ok));
    }
    let before = admin.status(Empty {}).await.unwrap().into_inner();
    assert_eq!(run(&mut admin, 0).await, (ResultCode::Ok, before.engine_seq + 1));
    assert_eq!(seen(&process).await.0, InstrumentState::Open);
    let told = events(&process, 1).await;
    let pairs = told.iter().filter(|told| matches!(told.body, Some(event::Body::Trade(_))));
    assert_eq!(pairs.count() as u64, MANY);
    let ran: std::collections::BTreeSet<u64> =
        told.iter().map(|told| told.engine_seq).filter(|seq| *seq > before.engine_seq).collect();
    assert_eq!(ran.len(), 2, "by the command and by one tick");
    // An administrator's mass cancel is as many commands as it takes, and one answer.
    let order = |number| limit(Ids.next(), 10_000 + number, TOM, Side::Sell, 2_000, 1);
    let commands = (0..MANY).map(order).collect();
    orders.submit_batch(CommandBatch { commands }).await.unwrap();
    let all = MassCancelRequest { instrument_id: 1, ..MassCancelRequest::default() };
    let told = admin.mass_cancel(all).await.unwrap().into_inner();
    assert_eq!((told.code(), u64::from(told.cancelled_orders)), (ResultCode::Ok, MANY));
    process.kill();
    process.verified();
}
