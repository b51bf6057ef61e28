//! The longest that a venue takes for one command while it fills: where a table is full, whoever comes next pays for a
//! larger one.

use countersign_book::{Side, Stp};
use countersign_venue::codec::digest;
use countersign_venue::command::{
    AdminBody, Kind, NewOrder, OrderBody, OrderCommand, Tif, Transfer,
};
use countersign_venue::{Command, Output, Venue};
use rustix::time::{ClockId, clock_gettime};

use crate::flow;
use crate::venue::{START_NS, commands_of, open_venue};

/// What is told, as how many a second, for so many seconds: outcomes fill the first two, resting orders the last.
const RUNS: [(&str, u64, u64); 3] = [
    ("normal", 100_000, 2),
    ("normal", 300_000, 2),
    ("deep", 100_000, 4),
];
/// Accounts that are funded one after the other, and then enter an order each.
const CUSTOMERS: u64 = 2_200_000;
const CUSTOMER_NS: u64 = 10_000;
/// Settlement says what it has stored after so many transfers.
const SETTLED: u64 = 10_000;
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
    let [funded, entered, own] = customers_us();
    println!(
        "{CUSTOMERS} accounts: funding one {funded}, its first order {entered}, fees of its own {own}"
    );
}

/// The longest command of each kind while accounts that are new come, one by one.
fn customers_us() -> [u64; 3] {
    let mut venue = open_venue();
    let mut output = Output::default();
    let mut longest = [0; 3];
    let begun = venue.event_seq();
    for account_id in 1_000_000..1_000_000 + CUSTOMERS {
        let mut transfer_id = [0xff; 16];
        transfer_id[..8].copy_from_slice(&account_id.to_le_bytes());
        let transfer = Transfer {
            transfer_id,
            account_id,
            asset_id: 2,
            into_venue: true,
            units: 1 << 60,
        };
        let took = took_ns(
            &mut venue,
            START_NS,
            &Command::Transfer(transfer),
            &mut output,
        );
        longest[0] = longest[0].max(took);
        if account_id % SETTLED == 0 {
            let through_event_seq = venue.event_seq();
            let settled = Command::Acknowledge { through_event_seq };
            took_ns(&mut venue, START_NS, &settled, &mut output);
        }
    }
    assert!(venue.event_seq() - begun >= CUSTOMERS);
    for account_id in 1_000_000..1_000_000 + CUSTOMERS {
        let order = NewOrder {
            order_id: account_id,
            account_id,
            instrument_id: 1,
            side: Side::Buy,
            kind: Kind::Limit,
            tif: Tif::Gtc,
            post_only: false,
            price: 1 + (account_id % 1_000) as i64,
            qty: 1,
            budget: 0,
            owner_ref: 0,
            stp_group: 0,
            stp: Stp::CancelMaker,
            expire_at_ms: 0,
        };
        // Outcomes are another run's question: here they come as they do.
        let now = START_NS + (account_id - 1_000_000) * CUSTOMER_NS;
        let mut command_id = [0; 16];
        command_id[..6].copy_from_slice(&(now / 1_000_000).to_be_bytes()[2..]);
        command_id[6] = 0x70;
        command_id[8..].copy_from_slice(&account_id.to_be_bytes());
        let command = OrderCommand {
            command_id,
            session: 0,
            session_seq: 0,
            expires_at_ms: now / 1_000_000 + 30_000,
            body: OrderBody::New(order),
        };
        let took = took_ns(&mut venue, now, &Command::Order(command), &mut output);
        longest[1] = longest[1].max(took);
    }
    let body = AdminBody::SetAccountFees {
        account_id: 999_999 + CUSTOMERS,
        fees: Some((1, 1)),
    };
    let fees = Command::Admin {
        reference: [0; 16],
        body,
    };
    longest[2] = took_ns(
        &mut venue,
        START_NS + CUSTOMERS * CUSTOMER_NS,
        &fees,
        &mut output,
    );
    longest.map(|ns| ns / 1_000)
}

fn took_ns(venue: &mut Venue, now: u64, command: &Command, output: &mut Output) -> u64 {
    output.clear();
    let began = core_ns();
    venue.apply(now, command, 0, output);
    core_ns() - began
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
