//! A leader waits until it is confirmed: officers may have stopped markets while nobody led.

use countersign_wire::v1::admin_client::AdminClient;
use countersign_wire::v1::order_entry_client::OrderEntryClient;
use countersign_wire::v1::transfers_client::TransfersClient;
use countersign_wire::v1::{
    AdminResult, AmendOrder, CancelOrder, Command, CommandBatch, CommandResult, ConfirmRequest, DrainRequest,
    Empty, InstrumentState, ResultCode, RunAuctionRequest, SetInstrumentStateRequest, Side, command,
};
use tonic::transport::Channel;

use crate::process::{self, Ids, Process, TIA, TOM, limit, transfer};
use crate::{balances, trade};

async fn submit(process: &Process, command: Command) -> CommandResult {
    let mut orders = OrderEntryClient::new(process.orders().await);
    let told = orders.submit_batch(CommandBatch { commands: vec![command] }).await.unwrap();
    told.into_inner().results.remove(0)
}

async fn code(process: &Process, command: Command) -> ResultCode {
    submit(process, command).await.code()
}

async fn confirm(admin: &mut AdminClient<Channel>, epoch: u64) -> AdminResult {
    admin.confirm(ConfirmRequest { epoch }).await.unwrap().into_inner()
}

async fn set_state(admin: &mut AdminClient<Channel>, state: InstrumentState) {
    let request = SetInstrumentStateRequest {
        instrument_id: 1,
        state: state as i32,
        ..SetInstrumentStateRequest::default()
    };
    assert_eq!(admin.set_instrument_state(request).await.unwrap().into_inner().code(), ResultCode::Ok);
}

/// A venue that traded, whose leader was killed, and which waits since another one leads.
async fn killed_and_waiting() -> (Process, Command) {
    let mut process = Process::fresh();
    process.list_and_fund().await;
    let resting = limit(Ids.next(), 1, TOM, Side::Sell, 2_000, 8);
    assert_eq!(code(&process, resting.clone()).await, ResultCode::Ok);
    process.kill();
    process.waits = true;
    process.start(&[]).await;
    assert!(process.said.iter().any(|line| line.contains("orders wait for Admin.Confirm")));
    (process, resting)
}

#[tokio::test]
async fn takes_no_order_before_somebody_has_confirmed_it() {
    let (process, resting) = killed_and_waiting().await;
    let mut admin = process::admin_client(process.admin().await);
    let status = admin.status(Empty {}).await.unwrap().into_inner();
    assert!(status.awaits_confirmation);
    let crossing = limit(Ids.next(), 2, TIA, Side::Buy, 2_000, 1);
    let refused = submit(&process, crossing.clone()).await;
    assert_eq!((refused.code(), refused.engine_seq), (ResultCode::Unconfirmed, 0));
    assert_eq!(refused.command_id, crossing.command_id);
    let amend = AmendOrder { order_id: 1, new_total_qty_lots: 4, account_id: TOM, ..AmendOrder::default() };
    let amend = Command {
        body: Some(command::Body::Amend(amend)),
        ..limit(Ids.next(), 1, TOM, Side::Sell, 2_000, 4)
    };
    assert_eq!(code(&process, amend.clone()).await, ResultCode::Unconfirmed);
    // What a former leader did is told to whoever asks again.
    let again = submit(&process, resting).await;
    assert_eq!((again.code(), again.duplicate), (ResultCode::Ok, true));
    // The same two are taken once it is confirmed, as if they came for the first time.
    assert_eq!(confirm(&mut admin, status.epoch).await.code(), ResultCode::Ok);
    assert_eq!(confirm(&mut admin, status.epoch).await.code(), ResultCode::Unchanged);
    assert!(!admin.status(Empty {}).await.unwrap().into_inner().awaits_confirmation);
    for command in [amend, crossing] {
        let taken = submit(&process, command).await;
        assert_eq!((taken.code(), taken.duplicate), (ResultCode::Ok, false));
    }
}

#[tokio::test]
async fn lets_everybody_out_and_money_move_while_it_waits() {
    let (process, _) = killed_and_waiting().await;
    let held = balances(&process).await[&(TOM, 1)].1;
    let cancel = Command {
        body: Some(command::Body::Cancel(CancelOrder { order_id: 1, account_id: TOM })),
        ..limit(Ids.next(), 1, TOM, Side::Sell, 1, 1)
    };
    assert_eq!(code(&process, cancel).await, ResultCode::Ok);
    assert!(held > 0);
    assert_eq!(balances(&process).await[&(TOM, 1)].1, 0);
    let mut transfers = TransfersClient::new(process.transfers().await);
    let mut out = transfer(TOM, 1, 1_000);
    out.transfers[0].into_venue = false;
    assert_eq!(transfers.submit(out).await.unwrap().into_inner().results[0].code(), ResultCode::Ok);
}

#[tokio::test]
async fn runs_no_auction_while_it_waits_and_takes_every_stop() {
    let (process, _) = killed_and_waiting().await;
    let mut admin = process::admin_client(process.admin().await);
    set_state(&mut admin, InstrumentState::Halted).await;
    set_state(&mut admin, InstrumentState::Auction).await;
    let run = RunAuctionRequest {
        instrument_id: 1,
        then: InstrumentState::Open as i32,
        ..RunAuctionRequest::default()
    };
    let told = admin.run_auction(run.clone()).await.unwrap().into_inner();
    assert_eq!((told.code(), told.engine_seq), (ResultCode::Unconfirmed, 0));
    assert_eq!(confirm(&mut admin, told.epoch).await.code(), ResultCode::Ok);
    assert_eq!(admin.run_auction(run).await.unwrap().into_inner().code(), ResultCode::Ok);
}

#[tokio::test]
async fn is_not_confirmed_by_what_was_meant_for_a_former_leader() {
    let (mut first, _) = killed_and_waiting().await;
    let mut admin = process::admin_client(first.admin().await);
    let epoch = admin.status(Empty {}).await.unwrap().into_inner().epoch;
    assert_eq!(confirm(&mut admin, epoch).await.code(), ResultCode::Ok);
    trade(&first, &mut Ids, 101, 8).await;
    // Its successor, by an upgrade: it has followed the journal, and a confirmation is not in it.
    let mut second = first.standby(&["--take-over", "auto"]).await;
    let mut standby = process::admin_client(second.connect("standby.sock").await);
    let refused = standby.confirm(ConfirmRequest { epoch }).await.unwrap_err();
    assert_eq!(refused.code(), tonic::Code::FailedPrecondition);
    admin.drain(DrainRequest { release_journal: true, retry_after_ms: 500 }).await.unwrap();
    assert!(first.ended());
    second.says("ready").await;
    let order = || limit(Ids.next(), 201, TOM, Side::Sell, 3_000, 1);
    let mut admin = process::admin_client(second.admin().await);
    for stale in [0, epoch, epoch + 2] {
        let told = confirm(&mut admin, stale).await;
        assert_eq!((told.code(), told.epoch), (ResultCode::NotLeader, epoch + 1));
        assert!(told.detail.contains(&format!("not {stale}")), "{}", told.detail);
        assert_eq!(code(&second, order()).await, ResultCode::Unconfirmed);
    }
    assert_eq!(confirm(&mut admin, epoch + 1).await.code(), ResultCode::Ok);
    assert_eq!(code(&second, order()).await, ResultCode::Ok);
    // Killed behind the confirmation: whoever comes next waits again.
    second.kill();
    second.start(&[]).await;
    assert_eq!(code(&second, order()).await, ResultCode::Unconfirmed);
    second.kill();
    second.verified();
}
