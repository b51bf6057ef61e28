//! Processes that lead one venue one after the other, and what is asked of them.

use std::io::{BufRead, BufReader};
use std::path::{Path, PathBuf};
use std::process::{Child, Command as Program, Stdio};
use std::sync::mpsc::{Receiver, channel};
use std::thread;
use std::time::{Duration, Instant};

use countersign_wire::v1::admin_client::AdminClient;
use countersign_wire::v1::{DrainRequest, Empty, ShardStatus, SnapshotInfo};
use tonic::transport::Channel;

use crate::transport::{Address, connect};

const PATIENCE: Duration = Duration::from_secs(600);

/// The folder of a venue and its sockets.
#[derive(Clone)]
pub struct Seat {
    pub engine: PathBuf,
    pub folder: PathBuf,
}

/// What an engine is told so that it takes orders though nobody confirms it. Former ones never wait, and do not know it.
pub fn unconfirmed(engine: &Path) -> Option<&'static str> {
    const OPTION: &str = "--trade-unconfirmed";
    let told = Program::new(engine).arg("--help").output().ok()?;
    String::from_utf8_lossy(&told.stdout)
        .contains(OPTION)
        .then_some(OPTION)
}

pub struct Engine {
    child: Child,
    lines: Receiver<String>,
}

impl Seat {
    pub fn path(&self, name: &str) -> PathBuf {
        self.folder.join(name)
    }

    /// Starts a process with these options more than the usual ones.
    pub fn start(&self, more: &[&str]) -> Result<Engine, String> {
        let mut program = Program::new(&self.engine);
        program.arg("serve").arg("--dir").arg(self.path("journal"));
        for (option, socket) in [
            ("--socket", "orders.sock"),
            ("--transfers-socket", "transfers.sock"),
            ("--admin-socket", "admin.sock"),
        ] {
            program.arg(option).arg(self.path(socket));
        }
        program.args(unconfirmed(&self.engine));
        let spawned = program.args(more).stderr(Stdio::piped()).spawn();
        let mut child = spawned.map_err(|cause| cause.to_string())?;
        let said = BufReader::new(child.stderr.take().ok_or("no stderr")?).lines();
        let (sender, lines) = channel();
        thread::spawn(move || {
            said.map_while(Result::ok)
                .for_each(|line| drop(sender.send(line)))
        });
        Ok(Engine { child, lines })
    }

    /// A process that follows the leader and leads by itself once that is gone; waits until it has caught up.
    pub async fn standby(&self) -> Result<Engine, String> {
        let socket = self.path("standby.sock");
        std::fs::remove_file(&socket).ok();
        let engine = self.start(&[
            "--standby-socket",
            &socket.display().to_string(),
            "--take-over",
            "auto",
        ])?;
        engine.wait_for("following")?;
        let leader = self.status("admin.sock").await?.durable_seq;
        let began = Instant::now();
        while self.status("standby.sock").await?.engine_seq < leader {
            if began.elapsed() > PATIENCE {
                return Err("the standby does not catch up".into());
            }
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
        Ok(engine)
    }

    async fn admin(&self, socket: &str) -> Result<AdminClient<Channel>, String> {
        Ok(AdminClient::new(
            connect(&Address::Unix(self.path(socket))).await?,
        ))
    }

    pub async fn status(&self, socket: &str) -> Result<ShardStatus, String> {
        let asked = self.admin(socket).await?.status(Empty {}).await;
        Ok(asked.map_err(|status| status.to_string())?.into_inner())
    }

    pub async fn take_snapshot(&self) -> Result<SnapshotInfo, String> {
        let asked = self
            .admin("admin.sock")
            .await?
            .take_snapshot(Empty {})
            .await;
        Ok(asked.map_err(|status| status.to_string())?.into_inner())
    }

    pub async fn drain(&self) -> Result<(), String> {
        let request = DrainRequest {
            release_journal: true,
            retry_after_ms: 500,
        };
        let asked = self.admin("admin.sock").await?.drain(request).await;
        asked.map(drop).map_err(|status| status.to_string())
    }
}

impl Engine {
    /// Waits until it says this; gives all that it said on the way.
    pub fn wait_for(&self, word: &str) -> Result<Vec<String>, String> {
        let mut said = Vec::new();
        loop {
            let line = self
                .lines
                .recv_timeout(PATIENCE)
                .map_err(|_| format!("it never said {word}: {said:?}"))?;
            said.push(line);
            if said.last().is_some_and(|line| line.contains(word)) {
                return Ok(said);
            }
        }
    }

    /// SIGKILL.
    pub fn kill(&mut self) {
        self.child.kill().ok();
    }

    /// Megabytes of memory in use.
    pub fn memory_mb(&self) -> u64 {
        let path = Path::new("/proc")
            .join(self.child.id().to_string())
            .join("status");
        let text = std::fs::read_to_string(path).unwrap_or_default();
        let line = text.lines().find_map(|line| line.strip_prefix("VmRSS:"));
        line.and_then(|line| line.trim().split(' ').next()?.parse::<u64>().ok())
            .unwrap_or(0)
            / 1_024
    }
}

impl Drop for Engine {
    fn drop(&mut self) {
        self.kill();
        self.child.wait().ok();
    }
}
