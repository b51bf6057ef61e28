//! The whole engine under load: an echo first, then the engine, each a process of its own.

use std::io::{BufRead, BufReader};
use std::path::PathBuf;
use std::process::{Child, Command as Program, Stdio};
use std::thread;

use countersign_wire::v1::Empty;
use countersign_wire::v1::admin_client::AdminClient;

use crate::load::load;
use crate::market::prepare;
use crate::transport::{Address, ORDERS, Papers, connect};
use crate::{number, option};

pub fn run(arguments: &[String]) -> Result<(), String> {
    let engine =
        option(arguments, "--engine").ok_or("--engine is missing: the program to measure")?;
    let rate = number(arguments, "--rate", 100_000)?.max(1);
    let seconds = number(arguments, "--seconds", 5)?.max(1);
    let fsync = !arguments.iter().any(|argument| argument == "--no-fsync");
    let folder = match option(arguments, "--dir") {
        Some(dir) => tempfile::tempdir_in(dir),
        None => tempfile::tempdir(),
    }
    .map_err(|cause| cause.to_string())?;
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(2)
        .enable_all()
        .build();
    let runtime = runtime.map_err(|cause| cause.to_string())?;
    let papers = match option(arguments, "--transport").unwrap_or("uds") {
        "uds" => None,
        "tcp" => Some(Papers::make(folder.path())?),
        other => return Err(format!("--transport is uds or tcp, not {other}")),
    };
    let over = if papers.is_some() {
        "TCP with TLS"
    } else {
        "unix socket"
    };
    println!(
        "{rate}/s offered for {seconds} s, open loop, latency from the scheduled time, one stream, {over}"
    );
    let at = |socket: &PathBuf, port: Option<u16>| match (&papers, port) {
        (Some(papers), Some(port)) => Ok(Address::Tls(port, papers)),
        (Some(_), None) => Err("the program does not say on which port it listens".to_string()),
        (None, _) => Ok(Address::Unix(socket.clone())),
    };
    let tls = papers.as_ref().map(Papers::options).unwrap_or_default();

    let echo_socket = folder.path().join("echo.sock");
    let echo = std::env::current_exe().map_err(|cause| cause.to_string())?;
    let (mut child, port) = start(
        Program::new(echo)
            .arg("echo")
            .arg("--socket")
            .arg(&echo_socket)
            .args(&tls),
    )?;
    let told =
        at(&echo_socket, port).and_then(|address| runtime.block_on(load(&address, rate, seconds)));
    child.kill().ok();
    child.wait().ok();
    println!("echo    {}", told?);

    let path = |name: &str| folder.path().join(name);
    let mut program = Program::new(engine);
    program
        .arg("serve")
        .arg("--init")
        .arg("--dir")
        .arg(path("journal"))
        .arg("--socket")
        .arg(path("orders.sock"));
    program
        .arg("--transfers-socket")
        .arg(path("transfers.sock"))
        .arg("--admin-socket")
        .arg(path("admin.sock"));
    if !fsync {
        program.arg("--no-fsync");
    }
    if !tls.is_empty() {
        program.args(&tls).args(["--tls-orders-name", ORDERS]);
    }
    let (mut child, port) = start(&mut program)?;
    let told = runtime.block_on(async {
        prepare(&path("admin.sock"), &path("transfers.sock")).await?;
        let told = load(&at(&path("orders.sock"), port)?, rate, seconds).await?;
        let mut admin = AdminClient::new(connect(&Address::Unix(path("admin.sock"))).await?);
        let status = admin
            .status(Empty {})
            .await
            .map_err(|status| status.to_string())?
            .into_inner();
        Ok::<_, String>((told, status))
    });
    child.kill().ok();
    child.wait().ok();
    let (told, status) = told?;
    println!("{} {told}", if fsync { "durable" } else { "memory " });
    println!(
        "flushes p50 {} us, p99 {} us; {} commands, {} bytes of journal",
        status.fsync_p50_us, status.fsync_p99_us, status.engine_seq, status.journal_bytes
    );
    Ok(())
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
