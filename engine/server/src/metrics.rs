//! Figures for Prometheus, on a loopback port: one answer per connection, whatever was asked.

use std::fmt::Write;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use countersign_wire::v1::{ResultCode, ShardState};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpListener;

use crate::admin::status;
use crate::consumers::Consumers;
use crate::engine::{COMMANDS_MAX, Engine};
use crate::identity::Denials;
use crate::live::Buckets;
use crate::places::Places;
use crate::stages::{STAGES, Stages};

/// Serves until the process ends. Only loopback addresses are taken: the figures are not secret, but not public.
pub async fn serve(
    address: &str,
    engine: Engine,
    consumers: Consumers,
    denials: Arc<Denials>,
) -> Result<(), String> {
    let failed = |cause: std::io::Error| format!("cannot serve metrics on {address}: {cause}");
    let listener = TcpListener::bind(address).await.map_err(failed)?;
    if !listener.local_addr().map_err(failed)?.ip().is_loopback() {
        return Err(format!("metrics are served on loopback only, not on {address}"));
    }
    let places = Places::for_figures();
    tokio::spawn(async move {
        loop {
            let Ok((mut stream, _)) = listener.accept().await else {
                // Out of descriptors, most likely: that passes.
                tokio::time::sleep(Duration::from_millis(100)).await;
                continue;
            };
            let Some(place) = places.take() else {
                denials.turn_away("metrics", format_args!("{} others are asking", places.limit));
                continue;
            };
            let (engine, consumers, denials) = (engine.clone(), consumers.clone(), Arc::clone(&denials));
            tokio::spawn(async move {
                let _until_the_end = place;
                let answer = async {
                    let mut request = [0; 4_096];
                    // What was asked does not matter: there is one page.
                    let _asked = stream.read(&mut request).await?;
                    let body = page(&engine, &consumers, &denials);
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

fn page(engine: &Engine, consumers: &Consumers, denials: &Denials) -> String {
    let status = status(engine, consumers);
    let live = engine.shared.live.lock().expect("nobody panics while holding it").clone();
    let undurable = status.engine_seq.saturating_sub(status.durable_seq);
    let sessions = engine.shared.sessions.load(Ordering::Relaxed);
    let figures: [Figure; 18] = [
        ("up", "gauge", "1 while commands are taken.", u64::from(status.state() == ShardState::Running)),
        (
            "awaits_confirmation",
            "gauge",
            "1 while orders are refused until Admin.Confirm.",
            status.awaits_confirmation.into(),
        ),
        ("epoch", "gauge", "Grows with each change of leader.", status.epoch),
        ("commands_total", "counter", "Commands applied.", status.engine_seq),
        ("durable_commands_total", "counter", "Commands that are safe on disk.", status.durable_seq),
        ("undurable_commands", "gauge", "Commands applied and not yet safe.", undurable),
        ("events_total", "counter", "Durable events.", status.event_seq),
        ("queue_depth", "gauge", "Commands that wait to be decided.", status.queue_depth.into()),
        ("queue_limit", "gauge", "Beyond so many clients hear BUSY.", COMMANDS_MAX),
        ("sessions", "gauge", "Order entry streams that are open.", sessions),
        ("open_orders", "gauge", "Orders that rest.", status.open_orders),
        ("accounts", "gauge", "Accounts that were ever touched.", status.accounts),
        ("journal_bytes", "counter", "Bytes written to the journal.", status.journal_bytes),
        ("journal_blocks_total", "counter", "Flushes since the start.", live.blocks),
        ("flush_p50_microseconds", "gauge", "Of the latest flushes.", status.fsync_p50_us),
        ("flush_p99_microseconds", "gauge", "Of the latest flushes.", status.fsync_p99_us),
        ("snapshot_seq", "gauge", "Command that the newest snapshot includes.", status.snapshot_seq),
        (
            "snapshot_behind_commands",
            "gauge",
            "What a start would have to replay.",
            status.durable_seq.saturating_sub(status.snapshot_seq),
        ),
    ];
    let mut page = String::new();
    for (name, kind, help, value) in figures {
        let name = format!("countersign_engine_{name}");
        writeln!(page, "# HELP {name} {help}\n# TYPE {name} {kind}\n{name} {value}")
            .expect("writing to a string");
    }
    histogram(&mut page, "flush_microseconds", "One write and flush of a block.", &live.flush_us);
    histogram(&mut page, "block_commands", "Commands that one flush made durable.", &live.block_commands);
    stages(&mut page, &engine.shared.stages);
    let mut labelled = |name: &str, kind: &str, help: &str, values: Vec<(String, u64)>| {
        let name = format!("countersign_engine_{name}");
        writeln!(page, "# HELP {name} {help}\n# TYPE {name} {kind}").expect("writing to a string");
        for (labels, value) in values {
            writeln!(page, "{name}{{{labels}}} {value}").expect("writing to a string");
        }
    };
    let state = |state: ShardState| {
        let name = state.as_str_name().trim_start_matches("SHARD_STATE_").to_ascii_lowercase();
        (format!("state=\"{name}\""), u64::from(status.state() == state))
    };
    let states = STATES.map(state).to_vec();
    labelled("state", "gauge", "1 for the state that the shard is in.", states);
    let refused = engine.shared.refusals.told().map(|(code, count)| {
        let name = ResultCode::try_from(code).map_or("unknown", |code| code.as_str_name());
        let reason = name.trim_start_matches("RESULT_CODE_").to_ascii_lowercase();
        (format!("reason=\"{reason}\""), count)
    });
    labelled("refused_commands_total", "counter", "Commands refused, by reason.", refused.collect());
    let denied = denials.told().into_iter().map(|((identity, service), count)| {
        (format!("identity=\"{identity}\",service=\"{service}\""), count)
    });
    labelled("denied_calls_total", "counter", "Calls that their identity may not make.", denied.collect());
    let away = denials.turned_away().into_iter().map(|(door, count)| (format!("door=\"{door}\""), count));
    labelled("turned_away_total", "counter", "Connections that were not let in, by door.", away.collect());
    let lags = status.consumers.iter().map(|consumer| {
        // A name is plain: see [`crate::settled::check_name`].
        let label = format!("consumer=\"{}\"", consumer.name);
        (label, status.event_seq.saturating_sub(consumer.sent_event_seq))
    });
    let help = "Durable events not yet sent to a consumer.";
    labelled("consumer_lag_events", "gauge", help, lags.collect());
    page
}

const STATES: [ShardState; 4] =
    [ShardState::Running, ShardState::Draining, ShardState::Upgrading, ShardState::Failed];

fn stages(page: &mut String, stages: &Stages) {
    let name = "countersign_engine_order_stage_microseconds";
    writeln!(page, "# HELP {name} Of every command, from its frame's reading to its answer's encoding.")
        .expect("writing to a string");
    writeln!(page, "# TYPE {name} histogram").expect("writing to a string");
    for (stage, label) in STAGES {
        counts(page, name, &format!("stage=\"{label}\""), &stages.told(stage));
    }
}

fn histogram(page: &mut String, name: &str, help: &str, buckets: &Buckets) {
    let name = format!("countersign_engine_{name}");
    writeln!(page, "# HELP {name} {help}\n# TYPE {name} histogram").expect("writing to a string");
    counts(page, &name, "", buckets);
}

fn counts(page: &mut String, name: &str, label: &str, buckets: &Buckets) {
    let comma = if label.is_empty() { "" } else { "," };
    let braced = if label.is_empty() { String::new() } else { format!("{{{label}}}") };
    let mut total = 0;
    for (bucket, count) in buckets.counts.iter().enumerate() {
        total += count;
        let bound =
            if bucket + 1 == Buckets::COUNT { "+Inf".to_string() } else { (1u64 << bucket).to_string() };
        writeln!(page, "{name}_bucket{{{label}{comma}le=\"{bound}\"}} {total}").expect("writing to a string");
    }
    writeln!(page, "{name}_sum{braced} {}\n{name}_count{braced} {total}", buckets.sum)
        .expect("writing to a string");
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::engine::tests::idle;

    #[tokio::test]
    async fn figures_are_told_to_nobody_on_another_machine() {
        let folder = tempfile::TempDir::new().unwrap();
        let (engine, _queue) = idle(folder.path(), 1);
        let told = async |address| {
            serve(address, engine.clone(), Consumers::default(), Arc::default())
                .await
                .map_err(|said| said.contains("loopback only"))
        };
        assert_eq!(told("0.0.0.0:0").await, Err(true));
        assert_eq!(told("127.0.0.1:0").await, Ok(()));
    }

    #[test]
    fn a_histograms_buckets_hold_all_that_lies_below_their_bounds() {
        let mut buckets = Buckets::default();
        for value in [1, 2, 2, 1 << 40] {
            buckets.add(value);
        }
        let mut page = String::new();
        histogram(&mut page, "waits", "How long.", &buckets);
        let name = "countersign_engine_waits";
        let begin =
            format!("# HELP {name} How long.\n# TYPE {name} histogram\n{name}_bucket{{le=\"1\"}} 1\n");
        assert!(page.starts_with(&begin), "{page}");
        for line in [
            format!("{name}_bucket{{le=\"2\"}} 3\n"),
            format!("{name}_bucket{{le=\"524288\"}} 3\n{name}_bucket{{le=\"+Inf\"}} 4\n"),
            format!("{name}_sum {}\n{name}_count 4\n", 5 + (1u64 << 40)),
        ] {
            assert!(page.contains(&line), "{line} in {page}");
        }
        page.clear();
        counts(&mut page, "waits", "stage=\"told\"", &buckets);
        assert!(page.starts_with("waits_bucket{stage=\"told\",le=\"1\"} 1\n"), "{page}");
        assert!(page.ends_with("waits_count{stage=\"told\"} 4\n"), "{page}");
    }
}
