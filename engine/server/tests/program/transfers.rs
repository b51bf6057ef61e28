//! Money in and out: each transfer once, and told for as long as nobody has settled it.

use countersign_wire::v1::order_entry_client::OrderEntryClient;
use countersign_wire::v1::transfers_client::TransfersClient;
use countersign_wire::v1::{
    AcknowledgeRequest, Command, CommandBatch, Durability, QueryTransferRequest, ResultCode, Transfer,
    TransferBatch, TransferResult,
};
use tonic::Code;

use crate::events;
use crate::process::{self, Process, TOM};

#[tokio::test]
async fn forgets_no_transfer_for_an_acknowledgement_of_what_was_never_told() {
    let mut process = Process::fresh();
    process.list_and_fund().await;
    let mut transfers = TransfersClient::new(process.transfers().await);
    let batch = process::transfer(TOM, 1, 5);
    let first = transfers.submit(batch.clone()).await.unwrap().into_inner().results.remove(0);
    // Somebody counts the events of another engine.
    for through_event_seq in [u64::MAX, first.event_seq + 1_000] {
        let told = transfers.acknowledge(AcknowledgeRequest { through_event_seq }).await;
        assert_eq!(told.unwrap_err().code(), Code::InvalidArgument);
    }
    let again = transfers.submit(batch).await.unwrap().into_inner().results.remove(0);
    assert!(again.duplicate);
    assert_eq!(again.event_seq, first.event_seq);
}

#[tokio::test]
async fn tells_what_became_of_a_transfer_and_of_which_it_has_never_heard() {
    let mut process = Process::fresh();
    process.list_and_fund().await;
    let mut transfers = TransfersClient::new(process.transfers().await);
    let batch = process::transfer(TOM, 1, 5);
    let transfer_id = batch.transfers[0].transfer_id.clone();
    let asked = async |transfer_id: Vec<u8>| {
        let mut asking = TransfersClient::new(process.transfers().await);
        asking.query(QueryTransferRequest { transfer_id }).await.map(tonic::Response::into_inner)
    };
    let unknown = TransferResult {
        transfer_id: transfer_id.clone(),
        code: ResultCode::UnknownCommand as i32,
        ..TransferResult::default()
    };
    assert_eq!(asked(transfer_id.clone()).await.unwrap(), unknown);
    let first = transfers.submit(batch.clone()).await.unwrap().into_inner().results.remove(0);
    assert_eq!(
        (first.code(), first.durability(), first.duplicate),
        (ResultCode::Ok, Durability::Disk, false)
    );
    assert_eq!(asked(transfer_id).await.unwrap(), TransferResult { duplicate: true, ..first.clone() });
    let again = transfers.submit(batch).await.unwrap().into_inner().results.remove(0);
    assert_eq!(again, TransferResult { duplicate: true, ..first.clone() });
    assert_eq!(asked(vec![7; 15]).await.unwrap_err().code(), Code::InvalidArgument);
    // Settled: nobody asks for it any more, and its id is free.
    let through_event_seq = first.event_seq;
    while events(&process, through_event_seq).await.is_empty() {}
    let forgotten = transfers.acknowledge(AcknowledgeRequest { through_event_seq }).await.unwrap();
    assert_eq!(forgotten.get_ref().engine_seq, first.engine_seq + 1);
    assert!(forgotten.get_ref().forgotten >= 1);
    assert_eq!(asked(first.transfer_id).await.unwrap().code(), ResultCode::UnknownCommand);
}

#[tokio::test]
async fn takes_no_more_commands_or_transfers_at_once_than_it_says() {
    let mut process = Process::fresh();
    process.list_and_fund().await;
    let mut transfers = TransfersClient::new(process.transfers().await);
    let mut orders = OrderEntryClient::new(process.orders().await);
    // Each is refused by itself; the whole batch only where it is too large.
    for (count, taken) in [(1_024, true), (1_025, false)] {
        let batch = TransferBatch { transfers: vec![Transfer::default(); count] };
        let told = transfers.submit(batch).await.map(|told| told.into_inner().results.len());
        assert_eq!(
            told.map_err(|status| status.code()),
            if taken { Ok(count) } else { Err(Code::InvalidArgument) }
        );
    }
    for (count, taken) in [(4_096, true), (4_097, false)] {
        let batch = CommandBatch { commands: vec![Command::default(); count] };
        let told = orders.submit_batch(batch).await.map(|told| told.into_inner().results.len());
        assert_eq!(
            told.map_err(|status| status.code()),
            if taken { Ok(count) } else { Err(Code::InvalidArgument) }
        );
    }
}
