//! How long clients are refused when another process takes over, beside a small state and beside a large one.

use std::path::Path;
use std::time::{Duration, Instant};

use countersign_wire::v1::CommandBatch;
use countersign_wire::v1::order_entry_client::OrderEntryClient;
use hdrhistogram::Histogram;
use tokio::sync::watch;
use tonic::transport::Channel;

use crate::filling::{resting, send, spread};
use crate::load::{self, now_ms};
use crate::market::{fund, prepare};
use crate::succession::{Engine, Seat};
use crate::transport::{Address, connect};
use crate::{folder, number, option};

#[derive(Clone, Copy)]
struct Size {
    orders: u64,
    accounts: u64,
    /// Outcomes in the retry window.
    remembered: u64,
}

pub fn run(arguments: &[String]) -> Result<(), String> {
    let engine =
        option(arguments, "--engine").ok_or("--engine is missing: the program to measure")?;
    let rounds = number(arguments, "--rounds", 3)?.max(1);
    let only = option(arguments, "--way");
    let large = Size {
        orders: number(arguments, "--orders", 400_000)?,
        accounts: number(arguments, "--accounts", 200_000)?,
        remembered: number(arguments, "--remembered", 2_400_000)?,
    };
    let small = Size {
        orders: 1_000,
        accounts: 1_000,
        remembered: 10_000,
    };
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(2)
        .enable_all()
        .build();
    let runtime = runtime.map_err(|cause| cause.to_string())?;
    let sizes = match arguments.iter().any(|argument| argument == "--only-large") {
        true => vec![large],
        false => vec![small, large],
    };
    for size in sizes {
        let folder = folder(arguments)?;
        let seat = Seat {
            engine: engine.into(),
            folder: folder.path().to_path_buf(),
        };
        println!(
            "{} resting orders, {} accounts, {} outcomes in the retry window",
            size.orders, size.accounts, size.remembered
        );
        runtime.block_on(measure(&seat, size, rounds, only))?;
    }
    Ok(())
}

async fn measure(seat: &Seat, size: Size, rounds: u64, only: Option<&str>) -> Result<(), String> {
    let mut leader = seat.start(&["--init"])?;
    leader.wait_for("ready")?;
    prepare(&seat.path("admin.sock"), &seat.path("transfers.sock")).await?;
    fund(&seat.path("transfers.sock"), size.accounts).await?;
    let mut flow = Flow { at: 0 };
    send(seat, 0..size.orders, |at, now| {
        resting(at, now, size.accounts)
    })
    .await?;
    flow.fill(seat, size.remembered).await?;
    snapshot(seat, &mut flow).await?;
    for round in 1..=rounds {
        for (name, kind) in [
            ("drain", Way::Drain),
            ("kill, standby", Way::Kill),
            ("kill, cold start", Way::Cold),
        ] {
            if only.is_some_and(|only| !name.contains(only)) {
                continue;
            }
            // Older outcomes leave the window while standbys catch up.
            flow.fill(seat, size.remembered).await?;
            let memory = leader.memory_mb();
            let (next, gap, said) = change(seat, leader, kind, &mut flow).await?;
            leader = next;
            println!(
                "  {name:<17} round {round}: no order was taken for {:>6} ms; leader had {memory} MB; {}",
                gap.as_millis(),
                said.join("; ")
            );
        }
    }
    let events = bytes_below(&seat.path("journal/events"));
    println!("  {} MB of events at the end", events >> 20);
    Ok(())
}

#[derive(Clone, Copy, PartialEq)]
enum Way {
    Drain,
    Kill,
    Cold,
}

/// Lets another process lead while a client keeps asking; gives that process, and the longest time without an order
/// that was taken.
async fn change(
    seat: &Seat,
    mut leader: Engine,
    way: Way,
    flow: &mut Flow,
) -> Result<(Engine, Duration, Vec<String>), String> {
    let standby = if way == Way::Cold {
        None
    } else {
        Some(seat.standby().await?)
    };
    let (over, watching) = watch::channel(false);
    let switch = async move {
        tokio::time::sleep(Duration::from_millis(500)).await;
        match way {
            Way::Drain => seat.drain().await?,
            Way::Kill | Way::Cold => leader.kill(),
        }
        // Waiting must not stop the client.
        let waiting = {
            let seat = seat.clone();
            tokio::task::spawn_blocking(move || {
                let next = match standby {
                    Some(standby) => standby,
                    None => {
                        drop(leader);
                        seat.start(&[])?
                    }
                };
                let said = next.wait_for("ready")?;
                Ok::<_, String>((next, said))
            })
        };
        let (next, said) = waiting.await.map_err(|cause| cause.to_string())??;
        // Twice as long as a client's longest pause.
        tokio::time::sleep(Duration::from_millis(500)).await;
        over.send(true).ok();
        Ok::<_, String>((next, said))
    };
    let (switched, latencies) = tokio::join!(switch, flow.keep_asking(seat, watching));
    let (next, said) = switched?;
    let latencies = latencies?;
    Ok((next, Duration::from_micros(latencies.max()), said))
}

/// Takes a snapshot and tells what it cost a client that kept asking.
async fn snapshot(seat: &Seat, flow: &mut Flow) -> Result<(), String> {
    // The first one brings the shadow to where the engine is; the second shows what one costs.
    seat.take_snapshot().await?;
    for (name, taken) in [("without a snapshot", false), ("while one is taken", true)] {
        let (over, watching) = watch::channel(false);
        let take = async move {
            let began = Instant::now();
            let told = match taken {
                true => {
                    let taken = seat.take_snapshot().await?;
                    format!(
                        "{} MB in {} ms",
                        taken.bytes >> 20,
                        began.elapsed().as_millis()
                    )
                }
                false => {
                    tokio::time::sleep(Duration::from_secs(5)).await;
                    "5 s".to_string()
                }
            };
            over.send(true).ok();
            Ok::<_, String>(told)
        };
        let (told, latencies) = tokio::join!(take, flow.keep_asking(seat, watching));
        let latencies = latencies?;
        let at = |share: f64| latencies.value_at_quantile(share);
        println!(
            "  one order after the other, {name} ({}): p50 {} p99 {} max {} us of {}",
            told?,
            at(0.5),
            at(0.99),
            latencies.max(),
            latencies.len()
        );
    }
    Ok(())
}

/// Orders near the middle and their cancels, as in the load.
struct Flow {
    at: u64,
}

impl Flow {
    async fn fill(&mut self, seat: &Seat, count: u64) -> Result<(), String> {
        let began = self.at;
        self.at += count;
        send(seat, began..self.at, spread(began, count)).await
    }

    /// Sends one command after the other, each until it is taken; gives how long each took in microseconds.
    async fn keep_asking(
        &mut self,
        seat: &Seat,
        mut over: watch::Receiver<bool>,
    ) -> Result<Histogram<u64>, String> {
        let mut took = Histogram::<u64>::new_with_bounds(1, 600_000_000, 3)
            .map_err(|cause| cause.to_string())?;
        let mut client: Option<OrderEntryClient<Channel>> = None;
        while !*over.borrow_and_update() {
            let batch = CommandBatch {
                commands: vec![load::command(self.at, now_ms())],
            };
            self.at += 1;
            let began = Instant::now();
            loop {
                if client.is_none() {
                    client = connect(&Address::Unix(seat.path("orders.sock")))
                        .await
                        .ok()
                        .map(OrderEntryClient::new);
                }
                let asked = match &mut client {
                    Some(client) => client.submit_batch(batch.clone()).await.ok(),
                    None => None,
                };
                match asked.map(|answer| answer.into_inner().results) {
                    // A cancel of what traded is an answer; a transport refusal is not.
                    Some(results) if results.iter().all(|result| result.code < 100) => break,
                    Some(_) => {}
                    None => client = None,
                }
                tokio::time::sleep(Duration::from_millis(2)).await;
            }
            took.saturating_record(began.elapsed().as_micros() as u64);
            tokio::time::sleep(Duration::from_millis(1)).await;
        }
        Ok(took)
    }
}

fn bytes_below(folder: &Path) -> u64 {
    let entries = std::fs::read_dir(folder).into_iter().flatten().flatten();
    entries
        .filter_map(|entry| Some(entry.metadata().ok()?.len()))
        .sum()
}
