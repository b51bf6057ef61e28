//! The whole engine under load: an echo first, then the engine, each a process of its own.

use std::io::{BufRead, BufReader};
use std::path::{Path, PathBuf};
use std::process::{Child, Command as Program, Stdio};
use std::thread;
use std::time::Duration;

use tokio::runtime::Runtime;

use crate::disk;
use crate::figures::{self, Figures};
use crate::load::{Seen, load};
use crate::market::prepare;
use crate::succession::unconfirmed;
use crate::transport::{Address, ORDERS, Papers};
use crate::{engines, folder, number, option};

/// Of an order in the engine, as it names them itself.
const STAGES: [&str; 5] = ["queued", "decided", "gathered", "flushed", "told"];
const DISK_TIME: Duration = Duration::from_secs(2);

struct Run<'a> {
    runtime: Runtime,
    folder: &'a Path,
    papers: Option<Papers>,
    rate: u64,
    seconds: u64,
    fsync: bool,
}

pub fn run(arguments: &[String]) -> Result<(), String> {
    let engines = engines(arguments)?;
    let rounds = number(arguments, "--rounds", 1)?.max(1);
    let folder = folder(arguments)?;
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build();
    let papers = match option(arguments, "--transport").unwrap_or("uds") {
        "uds" => None,
        "tcp" => Some(Papers::make(folder.path())?),
        other => return Err(format!("--transport is uds or tcp, not {other}")),
    };
    let run = Run {
        runtime: runtime.map_err(|cause| cause.to_string())?,
        folder: folder.path(),
        papers,
        rate: number(arguments, "--rate", 100_000)?.max(1),
        seconds: number(arguments, "--seconds", 5)?.max(1),
        fsync: !arguments.iter().any(|argument| argument == "--no-fsync"),
    };
    let over = match run.papers {
        Some(_) => "TCP with TLS",
        None => "unix socket",
    };
    println!(
        "{}/s offered for {} s, open loop, latency from the scheduled time, one stream, {over}",
        run.rate, run.seconds
    );
    let mut seen = vec![Vec::new(); 1 + engines.len()];
    let mut bytes = 0;
    let mut sustained = true;
    for round in 0..rounds as usize {
        let echo = run.echo()?;
        println!("echo    {echo}");
        sustained &= echo.sustained;
        seen[0].push(shares(&echo));
        for at in turn(round, engines.len()) {
            let engine = &engines[at];
            if engines.len() > 1 {
                println!("{engine}");
            }
            let (engine, block) = run.engine(engine)?;
            sustained &= engine.sustained;
            bytes = bytes.max(block);
            seen[1 + at].push(shares(&engine));
        }
    }
    if run.fsync {
        let took = disk::flushes(run.folder, bytes, DISK_TIME)
            .map_err(|cause| format!("cannot time the disk: {cause}"))?;
        println!(
            "a loop that only writes and flushes blocks of {bytes} bytes: p50 {} p99 {} max {} us of {}",
            took.value_at_quantile(0.5),
            took.value_at_quantile(0.99),
            took.max(),
            took.len()
        );
    }
    if rounds > 1 {
        println!("of {rounds} rounds by turns, median (least-most), us:");
        for (name, seen) in ["echo"]
            .into_iter()
            .chain(engines.iter().map(String::as_str))
            .zip(&seen)
        {
            let [p50, p99, p999] =
                [0, 1, 2].map(|share| middle(seen.iter().map(|seen| seen[share])));
            println!("p50 {p50}  p99 {p99}  p99.9 {p999}  {name}");
        }
    }
    match sustained {
        true => Ok(()),
        false => Err("the rate was not sustained".into()),
    }
}

/// Each round another one begins: who comes later meets what the disk still writes for those before, and that has cost
/// the second of two the double at p99.
fn turn(round: usize, engines: usize) -> impl Iterator<Item = usize> {
    (0..engines).map(move |place| (round + place) % engines)
}

fn shares(seen: &Seen) -> [u64; 3] {
    [0.5, 0.99, 0.999].map(|share| seen.latencies.value_at_quantile(share))
}

fn middle(values: impl Iterator<Item = u64>) -> String {
    let mut values: Vec<u64> = values.collect();
    values.sort_unstable();
    let last = values.len() - 1;
    let median = (values[last / 2] + values[last.div_ceil(2)]) / 2;
    format!("{median} ({}-{})", values[0], values[last])
}

impl Run<'_> {
    fn address(&self, socket: &Path, port: Option<u16>) -> Result<Address<'_>, String> {
        match (&self.papers, port) {
            (Some(papers), Some(port)) => Ok(Address::Tls(port, papers)),
            (Some(_), None) => Err("the program does not say on which port it listens".into()),
            (None, _) => Ok(Address::Unix(socket.to_path_buf())),
        }
    }

    /// What the transport alone takes.
    fn echo(&self) -> Result<Seen, String> {
        let socket = self.folder.join("echo.sock");
        let echo = std::env::current_exe().map_err(|cause| cause.to_string())?;
        let tls = self
            .papers
            .as_ref()
            .map(Papers::options)
            .unwrap_or_default();
        let (mut child, port) = start(
            Program::new(echo)
                .arg("echo")
                .arg("--socket")
                .arg(&socket)
                .args(&tls),
        )?;
        let told = self.address(&socket, port).and_then(|address| {
            self.runtime
                .block_on(load(&address, self.rate, self.seconds))
        });
        child.kill().ok();
        child.wait().ok();
        told
    }

    /// One run of an engine with a journal of its own; also the bytes of a block on average.
    fn engine(&self, engine: &str) -> Result<(Seen, u64), String> {
        let folder = tempfile::tempdir_in(self.folder).map_err(|cause| cause.to_string())?;
        let path = |name: &str| -> PathBuf { folder.path().join(name) };
        let mut program = Program::new(engine);
        program
            .args(["serve", "--init", "--dir"])
            .arg(path("journal"));
        for (option, name) in [
            ("--socket", "orders.sock"),
            ("--transfers-socket", "transfers.sock"),
            ("--admin-socket", "admin.sock"),
        ] {
            program.arg(option).arg(path(name));
        }
        program.args(unconfirmed(Path::new(engine)));
        if !self.fsync {
            program.arg("--no-fsync");
        }
        let metrics = figures::address()?;
        program.args(["--metrics", &metrics]);
        if let Some(papers) = &self.papers {
            program
                .args(papers.options())
                .args(["--tls-orders-name", ORDERS]);
        }
        let (mut child, port) = start(&mut program)?;
        let told = self.runtime.block_on(async {
            prepare(&path("admin.sock"), &path("transfers.sock")).await?;
            let before = Figures::read(&metrics)?;
            let seen = load(
                &self.address(&path("orders.sock"), port)?,
                self.rate,
                self.seconds,
            )
            .await?;
            Ok::<_, String>((seen, before, Figures::read(&metrics)?))
        });
        child.kill().ok();
        child.wait().ok();
        let (seen, before, after) = told?;
        println!("{} {seen}", if self.fsync { "durable" } else { "memory " });
        let stages = STAGES.map(|stage| match after.stage(&before, stage) {
            Some((p50, p99)) => format!("{stage} {p50}/{p99}"),
            None => format!("{stage} untold"),
        });
        let blocks = after.get("journal_blocks_total") - before.get("journal_blocks_total");
        let bytes = (after.get("journal_bytes") - before.get("journal_bytes")) / blocks.max(1);
        println!(
            "        in the server, p50/p99 us: {}; {blocks} blocks of {bytes} bytes on average",
            stages.join(", ")
        );
        Ok((seen, bytes))
    }
}

/// Starts a program and waits until it says that it is ready; gives the port that it named on the way.
fn start(program: &mut Program) -> Result<(Child, Option<u16>), String> {
    let mut child = program
        .stderr(Stdio::piped())
        .spawn()
        .map_err(|cause| cause.to_string())?;
    let mut lines = BufReader::new(child.stderr.take().ok_or("no stderr")?).lines();
    let mut port = None;
    for line in &mut lines {
        let line = line.map_err(|cause| cause.to_string())?;
        if line.contains("ready") {
            thread::spawn(move || lines.for_each(drop));
            return Ok((child, port));
        }
        match line.split_once("TLS on ") {
            Some((_, address)) => {
                port = address
                    .rsplit(':')
                    .next()
                    .and_then(|port| port.parse().ok())
            }
            None => eprintln!("{line}"),
        }
    }
    Err("the program ended before it was ready".into())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_engine_comes_first_as_often_as_the_others_and_once_a_round() {
        let rounds: Vec<Vec<usize>> = (0..4).map(|round| turn(round, 3).collect()).collect();
        assert_eq!(rounds, [[0, 1, 2], [1, 2, 0], [2, 0, 1], [0, 1, 2]]);
    }
}
