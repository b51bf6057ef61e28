//! The matching engine as a process.

mod admin;
mod ask;
mod attached;
mod books;
mod checksum;
mod clock;
mod committing;
mod consumers;
mod convert;
mod deciding;
mod depth;
mod desk;
mod draining;
mod engine;
mod feed;
mod gentle;
mod hurry;
mod identity;
mod ladder;
mod lease;
mod lines;
mod live;
mod logic;
mod market_data;
mod metrics;
mod options;
mod orders;
mod outcomes;
mod places;
mod recompute;
mod recovery;
mod routes;
mod serve;
mod settled;
mod shadow;
mod silence;
mod snapshot_thread;
mod snapshots;
mod socket;
mod stages;
mod standby;
mod start;
mod telling;
mod tls;
mod transfers;
mod tray;
mod turns;
mod verify;
mod verifying;

use std::process::ExitCode;

use options::{USAGE, parse};
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
        Some("verify") => {
            parse(&arguments[1..]).and_then(|options| verify::run(&options.folder, options.closed))
        }
        Some("recompute") => {
            parse(&arguments[1..]).and_then(|options| recompute::run(&options.folder, options.events_bytes))
        }
        Some("ask") => ask::run(&arguments[1..]).map(|told| println!("{told}")),
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
