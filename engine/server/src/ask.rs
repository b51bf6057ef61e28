//! What whoever runs the engine asks its administration by hand, on its machine and with nothing else at work.

use std::path::Path;

use countersign_wire::v1::admin_client::AdminClient;
use countersign_wire::v1::{Empty, ResultCode, ShardState, ShardStatus, TakeOverRequest};
use tokio::runtime::Builder;
use tonic::Status;
use tonic::transport::{Channel, Endpoint};

/// A standby waits so long for the journal, which the former leader may be about to let go.
const WAIT_MS: u32 = 60_000;

/// Asks whoever listens at a socket, and gives its answer: a name and a value a line.
pub fn run(arguments: &[String]) -> Result<String, String> {
    let [socket, what] = arguments else {
        return Err("ask needs a socket, and one of status, snapshot, take-over".into());
    };
    let socket = std::path::absolute(socket).map_err(|cause| format!("{socket}: {cause}"))?;
    let runtime = Builder::new_current_thread().enable_all().build();
    runtime.map_err(|cause| format!("cannot start the runtime: {cause}"))?.block_on(ask(&socket, what))
}

async fn ask(socket: &Path, what: &str) -> Result<String, String> {
    let mut admin = AdminClient::new(connect(socket).await?);
    let refused = |status: Status| format!("{}: {}", socket.display(), status.message());
    match what {
        "status" => Ok(lines(&admin.status(Empty {}).await.map_err(refused)?.into_inner())),
        "snapshot" => {
            let taken = admin.take_snapshot(Empty {}).await.map_err(refused)?.into_inner();
            let [command, event] = [taken.engine_seq, taken.event_seq];
            Ok(format!("command {command}\nevent {event}\nbytes {}\nfile {}", taken.bytes, taken.file))
        }
        "take-over" => {
            let request = TakeOverRequest { wait_ms: WAIT_MS, reference: Vec::new() };
            let told = admin.take_over(request).await.map_err(refused)?.into_inner();
            match told.code() {
                ResultCode::Ok => Ok(format!("epoch {}\ncommand {}", told.epoch, told.engine_seq)),
                code => Err(format!("{}: {}", name(code.as_str_name()), told.detail)),
            }
        }
        other => Err(format!("status, snapshot or take-over can be asked, not {other}")),
    }
}

async fn connect(socket: &Path) -> Result<Channel, String> {
    let nobody = |cause: tonic::transport::Error| format!("nobody answers at {}: {cause}", socket.display());
    let endpoint = Endpoint::try_from(format!("unix://{}", socket.display())).map_err(nobody)?;
    endpoint.connect().await.map_err(nobody)
}

fn lines(status: &ShardStatus) -> String {
    let state = name(status.state().as_str_name()).to_ascii_lowercase();
    let trades = status.state() == ShardState::Running && !status.awaits_confirmation;
    let trades = if trades { "yes" } else { "no" };
    let figures = [
        ("epoch", status.epoch),
        ("command", status.engine_seq),
        ("durable", status.durable_seq),
        ("event", status.event_seq),
        ("snapshot", status.snapshot_seq),
        ("waiting", status.queue_depth.into()),
        ("orders", status.open_orders),
        ("logic", status.logic_version.into()),
    ];
    let figures = figures.map(|(name, value)| format!("{name} {value}")).join("\n");
    format!("state {state}\ntakes-orders {trades}\n{figures}\nversion {}", status.version)
}

/// Without what all names of an enum have in common.
fn name(told: &str) -> &str {
    told.trim_start_matches("RESULT_CODE_").trim_start_matches("SHARD_STATE_")
}
