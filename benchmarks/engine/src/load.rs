//! Open-loop load over gRPC: when a command is sent is fixed beforehand, and its latency counts from then.

use std::fmt;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use countersign_wire::v1::order_entry_client::OrderEntryClient;
use countersign_wire::v1::{
    CancelOrder, ClientFrame, Command, CommandBatch, Hello, NewOrder, OrderKind, Side, TimeInForce,
    client_frame, command, server_frame,
};
use hdrhistogram::Histogram;
use tokio_stream::wrappers::UnboundedReceiverStream;

use crate::market::ACCOUNTS;
use crate::ticks::Ticks;
use crate::transport::{Address, connect};

const BATCH_MAX: usize = 512;
/// What is due leaves so often: by a timer of the kernel's, for one thread that sends and receives.
const TICK: Duration = Duration::from_micros(150);
const TENTH: Duration = Duration::from_millis(100);

pub fn now_ms() -> u64 {
    SystemTime::now()
        .duration_since(UNIX_EPOCH)
        .map_or(0, |since| since.as_millis() as u64)
}

/// Command `at` of the load: orders near the middle, each cancelled a thousand commands later unless it traded.
pub fn command(at: u64, now_ms: u64) -> Command {
    let mut command_id = now_ms.to_be_bytes()[2..].to_vec();
    command_id.extend([0x70, 0]);
    command_id.extend(at.to_be_bytes());
    let body = if at % 2 == 1 && at > 2_000 {
        let order_id = (at - 1_001) / 2 * 2 + 2;
        command::Body::Cancel(CancelOrder {
            order_id,
            account_id: 1 + order_id % ACCOUNTS,
        })
    } else {
        let order_id = at + 2 - at % 2 + if at % 2 == 1 { 1_000_000_000 } else { 0 };
        let noise = at.wrapping_mul(0x9E37_79B9_7F4A_7C15) >> 40;
        let side = if noise & 1 == 0 {
            Side::Buy
        } else {
            Side::Sell
        };
        // One in sixteen is priced to trade.
        let away = if noise & 0x1E == 0 {
            -3
        } else {
            1 + (noise >> 5 & 63) as i64
        };
        let price = 100_000 + if side == Side::Buy { -away } else { away };
        command::Body::NewOrder(NewOrder {
            order_id,
            instrument_id: 1,
            side: side as i32,
            kind: OrderKind::Limit as i32,
            tif: TimeInForce::Gtc as i32,
            price_ticks: price,
            qty_lots: 1 + (noise >> 11 & 15),
            account_id: 1 + order_id % ACCOUNTS,
            ..NewOrder::default()
        })
    };
    Command {
        command_id: command_id.into(),
        session_seq: at + 1,
        expires_at_ms: now_ms + 30_000,
        body: Some(body),
    }
}

/// What an open loop saw.
pub struct Seen {
    /// Orders answered a second.
    achieved: f64,
    /// Microseconds from the scheduled time.
    pub latencies: Histogram<u64>,
    /// The longest of them, and when it was due.
    worst: (Duration, Duration),
    /// The p99 of every tenth of a second by itself, sorted.
    tenths: Vec<u64>,
    frame: f64,
    refused: u64,
    hiccups: Histogram<u64>,
    /// 99.9 % of the rate were kept up.
    pub sustained: bool,
}

impl fmt::Display for Seen {
    fn fmt(&self, out: &mut fmt::Formatter) -> fmt::Result {
        let at = |share: f64| self.latencies.value_at_quantile(share);
        write!(
            out,
            "{:>9.0}/s  p50 {} p90 {} p99 {} p99.9 {} max {} us (at {:.1} s), p99 of the middle tenth of a second {}; \
             {:.1} commands a frame; {} refused; hiccups of these cores p99 {} max {} us",
            self.achieved,
            at(0.5),
            at(0.9),
            at(0.99),
            at(0.999),
            self.latencies.max(),
            self.worst.1.as_secs_f64(),
            // A stall longer than a hundredth of a run decides the run's p99, but only its own tenth's.
            self.tenths.get(self.tenths.len() / 2).unwrap_or(&0),
            self.frame,
            self.refused,
            self.hiccups.value_at_quantile(0.99),
            self.hiccups.max(),
        )
    }
}

/// Offers the load and tells what it saw.
pub async fn load(address: &Address<'_>, rate: u64, seconds: u64) -> Result<Seen, String> {
    let mut client = OrderEntryClient::new(connect(address).await?);
    let (sender, outgoing) = tokio::sync::mpsc::unbounded_channel();
    let mut session_id = now_ms().to_be_bytes()[2..].to_vec();
    session_id.extend([0x70, 0, 0, 0, 0, 0, 0, 0, 0, 0]);
    let hello = Hello {
        protocol_version: 1,
        session_id,
        next_session_seq: 1,
        cancel_on_disconnect: false,
    };
    sender
        .send(ClientFrame {
            frame: Some(client_frame::Frame::Hello(hello)),
        })
        .ok();
    let answers = client.session(UnboundedReceiverStream::new(outgoing)).await;
    let mut answers = answers.map_err(|status| status.to_string())?.into_inner();
    answers
        .message()
        .await
        .map_err(|status| status.to_string())?;

    let total = rate * seconds;
    let interval = Duration::from_nanos(1_000_000_000 / rate);
    let begin = Instant::now() + Duration::from_millis(20);
    let done = Arc::new(AtomicBool::new(false));
    let hiccups = thread::spawn({
        let done = Arc::clone(&done);
        move || measure_hiccups(&done)
    });
    let ticks = Ticks::every(TICK)?;
    let (mut sent, mut frames) = (0u64, 0u64);
    let mut latencies =
        Histogram::<u64>::new_with_bounds(1, 60_000_000, 3).map_err(|cause| cause.to_string())?;
    let mut tenth = latencies.clone();
    let mut tenths = Vec::new();
    let due_in_a_tenth = (TENTH.as_nanos() / interval.as_nanos()) as u64;
    let (mut answered, mut refused) = (0u64, 0u64);
    let mut last = Instant::now();
    let mut worst = (Duration::ZERO, Duration::ZERO);
    while answered < total {
        let frame = tokio::select! {
            biased;
            ticked = ticks.next(), if sent < total => {
                ticked.map_err(|cause| cause.to_string())?;
                let elapsed = Instant::now().saturating_duration_since(begin);
                let due = ((elapsed.as_nanos() / interval.as_nanos()) as u64).min(total);
                let now_ms = now_ms();
                while sent < due {
                    let upto = due.min(sent + BATCH_MAX as u64);
                    let commands = (sent..upto).map(|at| command(at, now_ms)).collect();
                    let frame = Some(client_frame::Frame::Batch(CommandBatch { commands }));
                    sender.send(ClientFrame { frame }).ok();
                    frames += 1;
                    sent = upto;
                }
                continue;
            }
            frame = answers.message() => frame.map_err(|status| status.to_string())?,
        };
        let Some(server_frame::Frame::Results(results)) =
            frame.ok_or("the stream ended early")?.frame
        else {
            continue;
        };
        last = Instant::now();
        for result in results.results {
            answered += 1;
            // A cancel of an order that traded is a regular answer; transport refusals are not.
            refused += u64::from(result.code >= 100);
            let at = result.session_seq - 1;
            if at >= total / 10 {
                let scheduled = begin + interval * at as u32;
                let late = last.saturating_duration_since(scheduled);
                worst = worst.max((late, scheduled.saturating_duration_since(begin)));
                let late_us = late.as_micros().max(1) as u64;
                latencies.saturating_record(late_us);
                tenth.saturating_record(late_us);
                if tenth.len() >= due_in_a_tenth {
                    tenths.push(tenth.value_at_quantile(0.99));
                    tenth.reset();
                }
            }
        }
    }
    tenths.sort_unstable();
    done.store(true, Ordering::Relaxed);
    let hiccups = hiccups.join().map_err(|_| "the hiccup thread panicked")?;
    let achieved = total as f64 / last.duration_since(begin).as_secs_f64();
    Ok(Seen {
        achieved,
        latencies,
        worst,
        tenths,
        frame: total as f64 / frames.max(1) as f64,
        refused,
        hiccups,
        sustained: achieved >= rate as f64 * 0.999,
    })
}

/// How late a thread that only sleeps is woken: finer than this nothing can be claimed.
fn measure_hiccups(done: &AtomicBool) -> Histogram<u64> {
    let mut late = Histogram::<u64>::new_with_bounds(1, 60_000_000, 3).expect("constant bounds");
    while !done.load(Ordering::Relaxed) {
        let began = Instant::now();
        thread::sleep(Duration::from_millis(1));
        late.saturating_record(
            (began.elapsed().as_micros() as u64)
                .saturating_sub(1_000)
                .max(1),
        );
    }
    late
}
