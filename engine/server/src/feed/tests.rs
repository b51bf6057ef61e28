use countersign_venue::command::{AdminBody, AssetSpec, Transfer};
use countersign_venue::{Command, Output};
use tokio_stream::StreamExt;

use super::*;
use crate::engine::tests::idle;

/// A venue of two assets that knows so many accounts; every second one holds something of both.
fn venue(accounts: u64) -> Venue {
    let mut venue = Venue::new();
    let mut at = 0;
    let mut apply = |command: Command| {
        at += 1;
        venue.apply(at, &command, at, &mut Output::default());
    };
    for asset_id in [1, 2] {
        let spec = AssetSpec { asset_id, symbol: "A".into(), decimals: 0 };
        apply(Command::Admin { reference: [0; 16], body: AdminBody::PutAsset(spec) });
    }
    for place in 0..accounts {
        // Account numbers fall: the order of places is not the order of numbers.
        let account_id = 1_000 - place;
        let fees = Some((1, 1));
        apply(Command::Admin { reference: [0; 16], body: AdminBody::SetAccountFees { account_id, fees } });
        for asset_id in [1, 2].into_iter().filter(|_| place % 2 == 0) {
            let transfer_id = (u128::from(account_id) << 8 | u128::from(asset_id)).to_le_bytes();
            let units = account_id.into();
            apply(Command::Transfer(Transfer { transfer_id, account_id, asset_id, into_venue: true, units }));
        }
    }
    venue
}

#[test]
fn pages_tell_every_balance_once_and_none_looks_at_more_than_it_may() {
    for accounts in [0, 1, 2, 3, 7, 8, 9] {
        let venue = venue(accounts);
        for most in [1, 2, 5, 6, 1_000] {
            let (mut told, mut from) = (Vec::new(), 0);
            loop {
                let request = BalancesRequest { paged: true, from_place: from, ..BalancesRequest::default() };
                let (page, next) = balances(&venue, &request, most).unwrap();
                assert!(page.len() <= most.max(2) && page.is_sorted_by_key(|held| (held.0, held.1)));
                told.extend(page);
                assert!(next == 0 || next > from);
                from = next;
                if from == 0 {
                    break;
                }
            }
            told.sort_by_key(|held| (held.0, held.1));
            assert_eq!(told, venue.balances(&[]), "{accounts} accounts by {most}");
        }
    }
}

#[test]
fn balances_that_would_keep_orders_waiting_are_refused_and_pages_are_not_mixed_with_accounts() {
    let venue = venue(9);
    let ask = |account_ids: &[u64], paged, from_place, most| {
        let request = BalancesRequest { account_ids: account_ids.to_vec(), paged, from_place };
        balances(&venue, &request, most).map_err(|status| (status.code(), status.message().to_string()))
    };
    let refused = |said: &str| Err((tonic::Code::ResourceExhausted, said.to_string()));
    // Nine and the venue's own, which is known from the beginning.
    assert_eq!(ask(&[], false, 0, 20).unwrap().0, venue.balances(&[]));
    let many = "10 accounts are known, and one answer tells of 9: ask by page";
    assert_eq!(ask(&[], false, 0, 19), refused(many));
    assert_eq!(ask(&[], false, 1, 19), refused(many));
    assert_eq!(ask(&[1_000, 998], false, 0, 4).unwrap().0.len(), 4);
    let listed = "ask for at most 2 accounts, or by page for all";
    assert_eq!(ask(&[1, 2, 3], false, 0, 5), refused(listed));
    assert_eq!(ask(&[1_000], true, 0, 5), refused(listed));
    assert_eq!(ask(&[], true, u64::MAX, 4), Ok((vec![], 0)));
}

#[tokio::test]
async fn whoever_waits_for_events_that_are_far_off_hears_which_one_is_the_newest() {
    let folder = tempfile::TempDir::new().unwrap();
    let (engine, _queue) = idle(folder.path(), 1);
    let feed = Feed::new(engine, Consumers::default(), Handle::current(), Places::for_streams());
    let request = SubscribeRequest { from_event_seq: 7, heartbeat_ms: 10, ..SubscribeRequest::default() };
    let mut batches = feed.subscribe(Request::new(request)).await.unwrap().into_inner();
    let heartbeat = batches.next().await.unwrap().unwrap();
    assert_eq!((heartbeat.first_event_seq, heartbeat.durable_event_seq), (7, 0));
}

#[tokio::test]
async fn an_answer_comes_in_chunks_and_no_more_rows_than_may_rest_wait_to_be_read() {
    let folder = tempfile::TempDir::new().unwrap();
    let (engine, _queue) = idle(folder.path(), 1);
    let feed = Feed::new(engine, Consumers::default(), Handle::current(), Places::for_streams());
    let told = |rows: Vec<usize>| -> Vec<(usize, bool)> {
        let chunks = feed.chunks(rows, |rows, last| (rows.iter().sum(), last)).unwrap();
        chunks.map(Result::unwrap).collect()
    };
    assert_eq!(told(vec![]), [(0, true)]);
    assert_eq!(told(vec![1; CHUNK]), [(CHUNK, true)]);
    assert_eq!(told(vec![1; 2 * CHUNK + 1]), [(CHUNK, false), (CHUNK, false), (1, true)]);
    // Rows without a size, so that the test needs no memory for them.
    let ask = |count| feed.chunks(vec![(); count], |rows, _| rows.len());
    let mut largest = ask(ROWS_MAX + 1).unwrap();
    assert_eq!(ask(1).err().unwrap().code(), tonic::Code::ResourceExhausted);
    assert!(largest.next().is_some());
    assert!(ask(1).is_err(), "it is read only in part");
    drop(largest);
    assert!(ask(ROWS_MAX).is_ok());
}
