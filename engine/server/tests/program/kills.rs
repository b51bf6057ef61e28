//! Kills and full disks under load. `ENGINE_KILLS=300 SEED=7` is the long version.

use std::collections::BTreeMap;

use countersign_wire::v1::order_entry_client::OrderEntryClient;
use countersign_wire::v1::{
    ClientFrame, CommandBatch, DrainRequest, Empty, Event, Hello, ResultCode, ServerFrame, ShardState, Side,
    client_frame, event, server_frame,
};
use tokio_stream::wrappers::ReceiverStream;

use crate::process::{self, Ids, Process, TIA, TOM, limit};
use crate::{balances, events};

#[tokio::test]
async fn keeps_every_acknowledged_command_through_kills_under_load() {
    let mut process = Process::fresh();
    process.list_and_fund().await;
    let mut ids = Ids;
    let mut acknowledged: BTreeMap<Vec<u8>, u64> = BTreeMap::new();
    let mut known: Vec<Event> = Vec::new();
    let number = |name: &str, otherwise: u64| {
        std::env::var(name).ok().and_then(|text| text.parse().ok()).unwrap_or(otherwise)
    };
    let (rounds, seed) = (number("ENGINE_KILLS", 4), number("SEED", 1));
    for round in 0..rounds {
        let mut orders = OrderEntryClient::new(process.orders().await);
        let (sender, frames) = tokio::sync::mpsc::channel(64);
        let hello = Hello {
            protocol_version: 1,
            session_id: ids.next(),
            next_session_seq: 1,
            cancel_on_disconnect: false,
        };
        sender.send(ClientFrame { frame: Some(client_frame::Frame::Hello(hello)) }).await.unwrap();
        let mut answers = orders.session(ReceiverStream::new(frames)).await.unwrap().into_inner();
        let mut made: Vec<ClientFrame> = Vec::new();
        let mut session_seq = 0;
        for frame in 0..400u64 {
            let commands = (0..8)
                .map(|at| {
                    session_seq += 1;
                    let order_id = round * 100_000 + frame * 8 + at + 1;
                    let (account, side) = if at % 2 == 0 { (TOM, Side::Sell) } else { (TIA, Side::Buy) };
                    // Now and then they take what rests: an account may not have so many.
                    let price = match (order_id % 32, side) {
                        (..24, _) => 1_000 + (order_id % 7) as i64,
                        (_, Side::Sell) => 1_000,
                        _ => 1_006,
                    };
                    let mut command = limit(ids.next(), order_id, account, side, price, 1 + order_id % 5);
                    command.session_seq = session_seq;
                    command
                })
                .collect();
            made.push(ClientFrame { frame: Some(client_frame::Frame::Batch(CommandBatch { commands })) });
        }
        let sending = tokio::spawn(async move {
            for frame in made {
                if sender.send(frame).await.is_err() {
                    return;
                }
            }
            std::future::pending::<()>().await;
        });
        let noise = (seed ^ round).wrapping_mul(0x9E37_79B9_7F4A_7C15) >> 33;
        let enough = 100 + (noise % 2_400) as usize;
        let mut answered = 0;
        while answered < enough {
            match answers.message().await {
                Ok(Some(ServerFrame { frame: Some(server_frame::Frame::Results(results)) })) => {
                    for result in results.results {
                        assert_eq!(result.code(), ResultCode::Ok);
                        acknowledged.insert(result.command_id.to_vec(), result.engine_seq);
                        answered += 1;
                    }
                }
                Ok(Some(_)) => {}
                Ok(None) | Err(_) => break,
            }
        }
        process.kill();
        // What was on its way to us when the process died was durable as well.
        while let Ok(Some(frame)) = answers.message().await {
            if let Some(server_frame::Frame::Results(results)) = frame.frame {
                for result in results.results {
                    acknowledged.insert(result.command_id.to_vec(), result.engine_seq);
                }
            }
        }
        sending.abort();
        process.start(&["--snapshot-every", "2000"]).await;
        // The latest are the ones that a kill could change; from time to time, and at the end, all are read.
        let whole = round % 32 == 31 || round + 1 == rounds;
        let from = if whole { 0 } else { known.len().saturating_sub(5_000) };
        let now = events(&process, from as u64 + 1).await;
        assert!(from + now.len() >= known.len());
        assert!(now[..known.len() - from] == known[from..], "no event was told with another content");
        known.truncate(from);
        known.extend(now);
    }
    assert!(acknowledged.len() as u64 > 100 * rounds);
    println!("{rounds} kills, seed {seed}: {} acknowledged", acknowledged.len());
    let mut accepted: BTreeMap<&[u8], u64> = BTreeMap::new();
    for event in &known {
        if let Some(event::Body::Accepted(order)) = &event.body {
            assert!(accepted.insert(&order.command_id, event.engine_seq).is_none(), "applied twice");
        }
    }
    for (id, engine_seq) in &acknowledged {
        assert_eq!(accepted.get(id.as_slice()), Some(engine_seq), "an acknowledged command is gone");
    }
    let mut sums: BTreeMap<u32, u64> = BTreeMap::new();
    for ((_, asset), (available, held)) in balances(&process).await {
        *sums.entry(asset).or_default() += available + held;
    }
    assert_eq!(sums, process::funded(), "every unit is somewhere");
    let mut admin = process::admin_client(process.admin().await);
    let drained = admin.drain(DrainRequest::default()).await.unwrap().into_inner();
    process.kill();
    let hash: String = drained.state_hash.iter().map(|byte| format!("{byte:02x}")).collect();
    let told = process.verified();
    assert!(told.contains(&hash), "a replay of the journal gives the same books and balances: {told}");
}

#[tokio::test]
async fn stops_and_says_so_when_the_disk_takes_no_more_and_has_lost_nothing() {
    let mut process = Process::fresh();
    process.list_and_fund().await;
    process.kill();
    process.start_cramped(400).await;
    let mut ids = Ids;
    let mut states =
        process::admin_client(process.admin().await).watch_status(Empty {}).await.unwrap().into_inner();
    let mut orders = OrderEntryClient::new(process.orders().await);
    let mut acknowledged: BTreeMap<Vec<u8>, u64> = BTreeMap::new();
    let (mut order_id, mut refused) = (0, false);
    loop {
        let commands: Vec<_> = (0..200)
            .map(|_| {
                order_id += 1;
                // They trade: an account may not have so many that rest.
                let (account, side) = if order_id % 2 == 0 { (TOM, Side::Sell) } else { (TIA, Side::Buy) };
                limit(ids.next(), order_id, account, side, 1_000 + (order_id / 2 % 90) as i64, 1)
            })
            .collect();
        let Ok(told) = orders.submit_batch(CommandBatch { commands }).await else { break };
        for result in told.into_inner().results {
            match result.code() {
                ResultCode::Ok => drop(acknowledged.insert(result.command_id.to_vec(), result.engine_seq)),
                other => {
                    assert_eq!(other, ResultCode::Failed);
                    refused = true;
                }
            }
        }
        if refused {
            tokio::time::sleep(std::time::Duration::from_millis(20)).await;
        }
        assert!(order_id < 100_000, "it never failed");
    }
    let mut failed = false;
    while let Ok(Some(status)) = states.message().await {
        failed |= status.state() == ShardState::Failed;
    }
    assert!(failed, "clients are told");
    assert_eq!(process.exit_code(), Some(70));
    assert!(acknowledged.len() > 500);
    process.start(&[]).await;
    let told = events(&process, 1).await;
    let accepted: BTreeMap<&[u8], u64> = told
        .iter()
        .filter_map(|event| match &event.body {
            Some(event::Body::Accepted(order)) => Some((order.command_id.as_slice(), event.engine_seq)),
            _ => None,
        })
        .collect();
    for (id, engine_seq) in &acknowledged {
        assert_eq!(accepted.get(id.as_slice()), Some(engine_seq), "an acknowledged command is gone");
    }
}
