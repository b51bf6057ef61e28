//! What a program of former rules left: its journal, snapshot and events, as it wrote them.
//!
//! `former/logic-1`: two leaders of the first rules, a snapshot of the first one, an auction, orders of all kinds, two that
//! were made larger beyond a band that had moved, sessions that were open when their leader was killed. Zeros behind the
//! journal's last block are left out. `verified` is what that program's own `verify` said.

use std::fs;
use std::path::Path;

use countersign_venue::LOGIC_VERSION;
use countersign_wire::v1::order_entry_client::OrderEntryClient;
use countersign_wire::v1::{
    AmendOrder, Command, CommandBatch, Empty, Event, ResultCode, SetPriceBandRequest, command, event,
};

use crate::events;
use crate::process::{self, Ids, Process, TOM, limit};

/// Orders that were made larger.
const LARGER: [u64; 2] = [9_000, 9_001];

fn copy(from: &Path, to: &Path) {
    fs::create_dir_all(to).unwrap();
    for entry in fs::read_dir(from).unwrap() {
        let path = entry.unwrap().path();
        let name = to.join(path.file_name().unwrap());
        match path.is_dir() {
            true => copy(&path, &name),
            false => drop(fs::copy(&path, &name).unwrap()),
        }
    }
}

fn marks(events: &[Event]) -> Vec<(u64, u32)> {
    let mark = |event: &Event| match &event.body {
        Some(event::Body::Marker(marker)) => Some((marker.epoch, marker.logic_version)),
        _ => None,
    };
    events.iter().filter_map(mark).collect()
}

/// Makes an order larger at its price, after the band has moved away from it.
async fn make_larger(process: &Process, order_id: u64) -> ResultCode {
    let mut admin = process::admin_client(process.admin().await);
    let band = SetPriceBandRequest {
        instrument_id: 1,
        price_band_ppm: 1_000,
        reference_price_ticks: 900,
        reference: vec![],
    };
    admin.set_price_band(band).await.unwrap();
    let command = limit(Ids.next(), order_id, TOM, countersign_wire::v1::Side::Buy, 1, 1);
    let body = AmendOrder { order_id, new_total_qty_lots: 20, account_id: TOM, ..AmendOrder::default() };
    let amend = Command { body: Some(command::Body::Amend(body)), ..command };
    let mut orders = OrderEntryClient::new(process.orders().await);
    orders.submit_batch(CommandBatch { commands: vec![amend] }).await.unwrap().into_inner().results[0].code()
}

#[tokio::test]
async fn goes_on_behind_what_former_rules_decided_and_tells_nothing_of_it_otherwise() {
    let left = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/former/logic-1");
    let first = "events/events-00000000000000000001.log";
    let told = fs::read(left.join(first)).unwrap();
    for from in ["snapshot", "beginning"] {
        let mut process = Process::fresh();
        let folder = process.path("journal");
        copy(&left, &folder);
        if from == "beginning" {
            for entry in fs::read_dir(&folder).unwrap() {
                let path = entry.unwrap().path();
                if path.extension().is_some_and(|extension| extension == "snap") {
                    fs::remove_file(path).unwrap();
                }
            }
        }
        assert_eq!(process.verified(), fs::read_to_string(left.join("verified")).unwrap());
        process.start(&[]).await;
        assert!(
            process.said.iter().any(|line| line.contains(&format!("began from the {from}"))
                || line.contains(&format!("journal's {from}"))),
            "{:?}",
            process.said
        );
        let known = events(&process, 1).await;
        assert!(fs::read(folder.join(first)).unwrap().starts_with(&told), "byte for byte");
        assert_eq!(marks(&known), [(1, 1), (2, 1), (3, LOGIC_VERSION)]);
        let larger = |event: &&Event| match &event.body {
            Some(event::Body::Amended(amended)) => LARGER.contains(&amended.order_id),
            _ => false,
        };
        assert_eq!(known.iter().filter(larger).count(), 2, "as it was allowed then");
        // And is not any more.
        assert_eq!(make_larger(&process, LARGER[0]).await, ResultCode::PriceBand);
        let mut admin = process::admin_client(process.admin().await);
        admin.take_snapshot(Empty {}).await.unwrap();
        process.kill();
        process.verified();
        process.start(&[]).await;
        assert!(process.said.last().unwrap().contains("0 commands replayed"), "{:?}", process.said);
        assert!(events(&process, 1).await[..known.len()] == known[..]);
    }
}
