//! How long nobody trades when an engine dies under load and nothing stands by: from `kill -9` to the first order taken.

use std::time::{Duration, Instant};

use countersign_wire::v1::CommandBatch;
use countersign_wire::v1::order_entry_client::OrderEntryClient;
use tokio::runtime::Runtime;

use crate::filling::{resting, send, spread};
use crate::load::{command, load, now_ms};
use crate::market::{ACCOUNTS, prepare};
use crate::succession::Seat;
use crate::transport::{Address, connect};
use crate::{engines, folder, number, option};

const AGAIN: Duration = Duration::from_millis(2);

pub fn run(arguments: &[String]) -> Result<(), String> {
    let engines = engines(arguments)?;
    let rate = number(arguments, "--rate", 100_000)?.max(1);
    let seconds = number(arguments, "--seconds", 10)?.max(1);
    let filled = Filled {
        orders: number(arguments, "--orders", 0)?,
        remembered: number(arguments, "--remembered", 0)?,
    };
    let more: Vec<&str> = match option(arguments, "--snapshot-every") {
        Some(every) => vec!["--snapshot-every", every],
        None => Vec::new(),
    };
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(2)
        .enable_all()
        .build();
    let runtime = runtime.map_err(|cause| cause.to_string())?;
    println!(
        "{} resting orders, {} outcomes in the retry window; {rate}/s offered for {seconds} s, then kill -9 and a start \
         without a standby",
        filled.orders, filled.remembered
    );
    for round in 1..=number(arguments, "--rounds", 1)?.max(1) {
        for engine in &engines {
            let folder = folder(arguments)?;
            let seat = Seat {
                engine: engine.into(),
                folder: folder.path().to_path_buf(),
            };
            println!(
                "round {round}: {}",
                one(&runtime, &seat, filled, (rate, seconds), &more)?
            );
        }
    }
    Ok(())
}

/// What lies there before the load begins.
#[derive(Clone, Copy)]
struct Filled {
    orders: u64,
    remembered: u64,
}

impl Filled {
    /// As if it had come before; what it costs to take is not measured.
    async fn fill(self, seat: &Seat) -> Result<String, String> {
        send(seat, 0..self.orders, |at, now| resting(at, now, ACCOUNTS)).await?;
        let count = self.remembered;
        send(seat, 0..count, spread(0, count)).await?;
        if self.orders + count == 0 {
            return Ok(String::new());
        }
        // The first one brings the shadow to where the engine is.
        seat.take_snapshot().await?;
        let began = Instant::now();
        let taken = seat.take_snapshot().await?;
        let took = began.elapsed().as_millis();
        Ok(format!(
            "a snapshot of {} MB in {took} ms; ",
            taken.bytes >> 20
        ))
    }
}

fn one(
    runtime: &Runtime,
    seat: &Seat,
    filled: Filled,
    (rate, seconds): (u64, u64),
    more: &[&str],
) -> Result<String, String> {
    let mut leader = seat.start(&[&["--init"], more].concat())?;
    leader.wait_for("ready")?;
    runtime.block_on(prepare(
        &seat.path("admin.sock"),
        &seat.path("transfers.sock"),
    ))?;
    let snapshot = runtime.block_on(filled.fill(seat))?;
    let loaded = seat.clone();
    // More than is ever sent: it ends with the engine.
    let offering = runtime.spawn(async move {
        let address = Address::Unix(loaded.path("orders.sock"));
        load(&address, rate, 2 * seconds).await.err()
    });
    std::thread::sleep(Duration::from_secs(seconds));
    let before = runtime.block_on(seat.status("admin.sock"))?;
    let memory = leader.memory_mb();
    leader.kill();
    let killed = Instant::now();
    drop(leader);
    let next = seat.start(more)?;
    runtime.block_on(first_taken(seat, 2 * (filled.remembered + rate * seconds)))?;
    let took = killed.elapsed();
    let said = next.wait_for("ready")?;
    runtime
        .block_on(offering)
        .map_err(|cause| cause.to_string())?;
    Ok(format!(
        "{} ms without an order that was taken; {snapshot}{} commands, {} behind the snapshot; {memory} MB of memory, {} \
         since; {}; {}",
        took.as_millis(),
        before.durable_seq,
        before.durable_seq.saturating_sub(before.snapshot_seq),
        next.memory_mb(),
        said.join("; "),
        seat.engine.display()
    ))
}

/// Asks again and again until an order is taken.
async fn first_taken(seat: &Seat, at: u64) -> Result<(), String> {
    loop {
        let commands = vec![command(at / 2 * 2, now_ms())];
        if let Ok(channel) = connect(&Address::Unix(seat.path("orders.sock"))).await {
            let mut client = OrderEntryClient::new(channel);
            let asked = client.submit_batch(CommandBatch { commands }).await;
            let told = asked.map(|answer| answer.into_inner().results);
            if told.is_ok_and(|results| results.iter().all(|result| result.code < 100)) {
                return Ok(());
            }
        }
        tokio::time::sleep(AGAIN).await;
    }
}
