//! Benchmarks of the engine. `engine-bench core`, `engine-bench e2e`, `engine-bench takeover`,
//! `engine-bench coldstart` and `engine-bench mass`; the README says how they measure.

mod book;
mod cancel_all;
mod coldstart;
mod core;
mod disk;
mod e2e;
mod echo;
mod figures;
mod filling;
mod flow;
mod gated;
mod load;
mod longest;
mod maker;
mod market;
mod mass;
mod reports;
mod round;
mod succession;
mod takeover;
mod ticks;
mod transport;
mod venue;

use std::process::ExitCode;

use tempfile::TempDir;

const USAGE: &str = "\
engine-bench core [--messages 1000000] [--runs 7] [--scenario NAME] [--baseline COMMAND]
engine-bench e2e --engine PATH [--engine PATH ...] [--rounds 1] [--rate 100000] [--seconds 5]
                 [--no-fsync] [--dir DIR] [--transport uds|tcp]
engine-bench takeover --engine PATH [--orders 400000] [--accounts 200000] [--remembered 2400000]
                 [--rounds 3] [--way drain|standby|cold] [--only-large] [--dir DIR]
engine-bench coldstart --engine PATH [--engine PATH ...] [--rounds 1] [--rate 100000] [--seconds 10]
                 [--orders 0] [--remembered 0] [--snapshot-every N] [--dir DIR]
engine-bench mass [--orders 200000] [--runs 3] [--scene WORDS] [--logic N]
engine-bench echo --socket PATH";

fn main() -> ExitCode {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let rest = arguments.get(1..).unwrap_or_default();
    let told = match arguments.first().map(String::as_str) {
        Some("core") => core::run(rest),
        Some("e2e") => e2e::run(rest),
        Some("takeover") => takeover::run(rest),
        Some("coldstart") => coldstart::run(rest),
        Some("mass") => mass::run(rest),
        Some("echo") => echo::run(rest),
        _ => Err(USAGE.to_string()),
    };
    match told {
        Ok(()) => ExitCode::SUCCESS,
        Err(message) => {
            eprintln!("engine-bench: {message}");
            ExitCode::FAILURE
        }
    }
}

/// The value after `--name`, if it was given.
pub fn option<'a>(arguments: &'a [String], name: &str) -> Option<&'a str> {
    let at = arguments.iter().position(|argument| argument == name)?;
    arguments.get(at + 1).map(String::as_str)
}

/// The programs to measure, in the order named.
pub fn engines(arguments: &[String]) -> Result<Vec<String>, String> {
    let named = |pair: &[String]| (pair[0] == "--engine").then(|| pair[1].clone());
    let engines: Vec<String> = arguments.windows(2).filter_map(named).collect();
    match engines.is_empty() {
        false => Ok(engines),
        true => Err("--engine is missing: the program to measure".into()),
    }
}

/// Where an engine keeps its journal; gone with the value.
pub fn folder(arguments: &[String]) -> Result<TempDir, String> {
    match option(arguments, "--dir") {
        Some(dir) => tempfile::tempdir_in(dir),
        None => tempfile::tempdir(),
    }
    .map_err(|cause| cause.to_string())
}

pub fn number(arguments: &[String], name: &str, otherwise: u64) -> Result<u64, String> {
    option(arguments, name).map_or(Ok(otherwise), |text| {
        text.parse().map_err(|_| format!("{name} {text}?"))
    })
}
