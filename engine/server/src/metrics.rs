//! Figures for Prometheus, on a loopback port: one answer per connection, whatever was asked.

use std::fmt::Write;
use std::time::Duration;

use countersign_wire::v1::ShardState;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpListener;

use crate::admin::status;
use crate::engine::Engine;
use crate::feed::Consumers;

/// Serves until the process ends. Only loopback addresses are taken: the figures are not secret, but not public.
pub async fn serve(address: &str, engine: Engine, consumers: Consumers) -> Result<(), String> {
    let failed = |cause: std::io::Error| format!("cannot serve metrics on {address}: {cause}");
    let listener = TcpListener::bind(address).await.map_err(failed)?;
    if !listener.local_addr().map_err(failed)?.ip().is_loopback() {
        return Err(format!("metrics are served on loopback only, not on {address}"));
    }
    tokio::spawn(async move {
        loop {
            let Ok((mut stream, _)) = listener.accept().await else { continue };
            let body = page(&engine, &consumers);
            tokio::spawn(async move {
                let answer = async {
                    let mut request = [0; 4_096];
                    // What was asked does not matter: there is one page.
                    let _asked = stream.read(&mut request).await?;
                    let head = format!(
                        "HTTP/1.1 200 OK\r\nContent-Type: text/plain; version=0.0.4\r\nContent-Length: {}\r\n\
                         Connection: close\r\n\r\n",
                        body.len()
                    );
                    stream.write_all(head.as_bytes()).await?;
                    stream.write_all(body.as_bytes()).await?;
                    stream.shutdown().await
                };
                tokio::time::timeout(Duration::from_secs(2), answer).await.ok();
            });
        }
    });
    Ok(())
}

/// Name, kind, what it says, value.
type Figure = (&'static str, &'static str, &'static str, u64);

fn page(engine: &Engine, consumers: &Consumers) -> String {
    let status = status(engine, consumers);
    let blocks = engine.shared.live.lock().expect("nobody panics while holding it").blocks;
    let figures: [Figure; 13] = [
        ("up", "gauge", "1 while commands are taken.", u64::from(status.state() == ShardState::Running)),
        ("epoch", "gauge", "Grows with each change of leader.", status.epoch),
        ("commands_total", "counter", "Commands applied.", status.engine_seq),
        ("durable_commands_total", "counter", "Commands that are safe on disk.", status.durable_seq),
        ("events_total", "counter", "Durable events.", status.event_seq),
        ("queue_depth", "gauge", "Jobs that wait for the engine thread.", status.queue_depth.into()),
        ("open_orders", "gauge", "Orders that rest.", status.open_orders),
        ("accounts", "gauge", "Accounts that were ever touched.", status.accounts),
        ("journal_bytes", "counter", "Bytes written to the journal.", status.journal_bytes),
        ("journal_blocks_total", "counter", "Flushes since the start.", blocks),
        ("flush_p50_microseconds", "gauge", "Of the latest flushes.", status.fsync_p50_us),
        ("flush_p99_microseconds", "gauge", "Of the latest flushes.", status.fsync_p99_us),
        ("snapshot_seq", "gauge", "Command that the newest snapshot includes.", status.snapshot_seq),
    ];
    let mut page = String::new();
    for (name, kind, help, value) in figures {
        let name = format!("countersign_engine_{name}");
        writeln!(page, "# HELP {name} {help}\n# TYPE {name} {kind}\n{name} {value}")
            .expect("writing to a string");
    }
    let name = "countersign_engine_consumer_lag_events";
    writeln!(page, "# HELP {name} Durable events not yet sent to a consumer.\n# TYPE {name} gauge")
        .expect("writing to a string");
    for consumer in &status.consumers {
        let label: String = consumer
            .name
            .chars()
            .filter(|letter| letter.is_ascii_alphanumeric() || "-_.".contains(*letter))
            .collect();
        let lag = status.event_seq.saturating_sub(consumer.sent_event_seq);
        writeln!(page, "{name}{{consumer=\"{label}\"}} {lag}").expect("writing to a string");
    }
    page
}
