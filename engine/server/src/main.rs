//! The matching engine as a process.

mod admin;
mod archive;
mod convert;
mod depth;
mod engine;
mod feed;
mod market_data;
mod metrics;
mod orders;
mod serve;
mod snapshots;
mod standby;
mod transfers;
mod verify;

use std::path::PathBuf;
use std::process::ExitCode;

const USAGE: &str = "\
countersign-engine serve --dir DIR --socket PATH --transfers-socket PATH --admin-socket PATH [--init]
                         [--socket-mode 660] [--segment-mib 64] [--threads 2] [--no-fsync]
                         [--metrics 127.0.0.1:9464] [--snapshot-every 1000000] [--standby-socket PATH]
countersign-engine verify --dir DIR

  serve    replays the journal in DIR and serves; --init lets it begin an empty one
           --standby-socket: follows the leader of DIR, and serves once TakeOver was called there
  verify   reads the journal in DIR, changes nothing, prints how far it goes and the hash of the state it gives";

#[derive(Debug)]
pub struct Options {
    pub folder: PathBuf,
    pub socket: PathBuf,
    pub transfers_socket: PathBuf,
    pub admin_socket: PathBuf,
    pub socket_mode: u32,
    pub init: bool,
    pub segment_bytes: u64,
    pub threads: usize,
    pub fsync: bool,
    pub metrics: Option<String>,
    pub snapshot_every: u64,
    pub standby_socket: Option<PathBuf>,
}

fn main() -> ExitCode {
    // A panic means that a promise of the state machine is broken: nothing after it may be acknowledged.
    let print = std::panic::take_hook();
    std::panic::set_hook(Box::new(move |info| {
        print(info);
        std::process::abort();
    }));
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let told = match arguments.first().map(String::as_str) {
        Some("serve") => parse(&arguments[1..]).and_then(|options| serve::run(&options)),
        Some("verify") => parse(&arguments[1..]).and_then(|options| verify::run(&options.folder)),
        Some("--help" | "-h") => {
            println!("{USAGE}");
            Ok(())
        }
        _ => Err(USAGE.to_string()),
    };
    match told {
        Ok(()) => ExitCode::SUCCESS,
        Err(message) => {
            eprintln!("countersign-engine: {message}");
            ExitCode::FAILURE
        }
    }
}

fn parse(arguments: &[String]) -> Result<Options, String> {
    let mut options = Options {
        folder: PathBuf::new(),
        socket: PathBuf::new(),
        transfers_socket: PathBuf::new(),
        admin_socket: PathBuf::new(),
        socket_mode: 0o660,
        init: false,
        segment_bytes: 64 << 20,
        threads: 2,
        fsync: true,
        metrics: None,
        snapshot_every: 1_000_000,
        standby_socket: None,
    };
    let mut rest = arguments.iter();
    while let Some(name) = rest.next() {
        let mut value = || rest.next().ok_or_else(|| format!("{name} needs a value\n{USAGE}"));
        let number =
            |text: &String| text.parse::<u64>().map_err(|_| format!("{name} needs a number, not {text}"));
        match name.as_str() {
            "--dir" => options.folder = value()?.into(),
            "--socket" => options.socket = value()?.into(),
            "--transfers-socket" => options.transfers_socket = value()?.into(),
            "--admin-socket" => options.admin_socket = value()?.into(),
            "--socket-mode" => {
                let text = value()?;
                options.socket_mode =
                    u32::from_str_radix(text, 8).map_err(|_| format!("{text} is no file mode"))?;
            }
            "--segment-mib" => options.segment_bytes = number(value()?)?.clamp(1, 4_096) << 20,
            "--threads" => options.threads = number(value()?)?.clamp(1, 64) as usize,
            "--metrics" => options.metrics = Some(value()?.clone()),
            "--snapshot-every" => options.snapshot_every = number(value()?)?,
            "--standby-socket" => options.standby_socket = Some(value()?.into()),
            "--init" => options.init = true,
            "--no-fsync" => options.fsync = false,
            _ => return Err(format!("unknown option {name}\n{USAGE}")),
        }
    }
    if options.folder.as_os_str().is_empty() {
        return Err(format!("--dir is missing\n{USAGE}"));
    }
    Ok(options)
}
