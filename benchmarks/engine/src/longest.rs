//! The longest that a venue takes for one command while it fills: where a table is full, whoever comes next pays for a
//! larger one.

use countersign_venue::codec::digest;
use countersign_venue::{Command, Output};
use rustix::time::{ClockId, clock_gettime};

use crate::flow;
use crate::venue::{START_NS, commands_of, open_venue};

/// What is told, as how many a second, for so many seconds: outcomes fill the first two, resting orders the last.
const RUNS: [(&str, u64, u64); 3] = [
    ("normal", 100_000, 2),
    ("normal", 300_000, 2),
    ("deep", 100_000, 4),
];
/// Output that a block has at most.
const OUTPUT_BYTES: usize = 64 << 10;

pub fn run(runs: usize) {
    println!("\nthe longest command of a fresh venue, microseconds of the core's time");
    for (scenario, rate, seconds) in RUNS {
        let count = (rate * seconds) as usize;
        let commands = commands_of(&flow::make(scenario, count));
        let mut longest: Vec<u64> = (0..runs)
            .map(|_| longest_us(&commands[..count], rate))
            .collect();
        longest.sort_unstable();
        let median = longest[longest.len() / 2];
        println!(
            "{scenario:10} {rate:>7}/s for {seconds} s {median} ({}-{})",
            longest[0],
            longest[longest.len() - 1]
        );
    }
}

fn longest_us(commands: &[Command], rate: u64) -> u64 {
    let mut venue = open_venue();
    let mut output = Output::default();
    let mut journal = Vec::new();
    let mut longest = 0;
    for (at, command) in commands.iter().enumerate() {
        let now = START_NS + at as u64 * 1_000_000_000 / rate;
        let command = stamped(command.clone(), now / 1_000_000);
        journal.clear();
        if output.bytes.len() > OUTPUT_BYTES {
            output.clear();
        }
        let began = core_ns();
        let body = command.encode(&mut journal);
        let digest = digest(&journal[body..]);
        if venue.screen(&command, digest, now / 1_000_000).is_none() {
            venue.apply(now, &command, digest, &mut output);
        }
        longest = longest.max(core_ns() - began);
    }
    longest / 1_000
}

/// The command as a client of that moment would send it.
fn stamped(mut command: Command, now_ms: u64) -> Command {
    if let Command::Order(order) = &mut command {
        order.command_id[..6].copy_from_slice(&now_ms.to_be_bytes()[2..]);
        order.expires_at_ms = now_ms + 30_000;
    }
    command
}

fn core_ns() -> u64 {
    let time = clock_gettime(ClockId::ThreadCPUTime);
    time.tv_sec as u64 * 1_000_000_000 + time.tv_nsec as u64
}
