//! The longest that a venue takes for one command while it fills and works: where a table is full, whoever comes next
//! pays for a larger one.
//!
//! Each command counts as its quickest of several runs of the same flow: what the core did meanwhile for others falls on
//! another command each time, and what the venue does falls on the same.

use std::fmt;

use countersign_book::{Side, Stp};
use countersign_venue::codec::digest;
use countersign_venue::command::{
    AdminBody, Kind, NewOrder, OrderBody, OrderCommand, Tif, Transfer,
};
use countersign_venue::{Command, Output, Venue};
use rustix::time::{ClockId, clock_gettime};

use crate::flow;
use crate::venue::{START_NS, commands_of, open_venue};

/// What is told, as how many a second.
const RUNS: [(&str, u64); 7] = [
    ("normal", 100_000),
    ("normal", 300_000),
    ("deep", 100_000),
    ("churn", 100_000),
    ("swing-25", 100_000),
    ("swing-40", 100_000),
    ("crash", 100_000),
];
/// At most, after those that come to rest first.
const MESSAGES: usize = 300_000;
/// Of the accounts: they take longer than a flow does.
const CUSTOMER_RUNS: usize = 3;
/// Accounts that are funded one after the other, and then enter an order each: fewer where few messages are asked for.
const CUSTOMERS: u64 = 2_200_000;
const CUSTOMER_NS: u64 = 10_000;
/// Settlement says what it has stored after so many transfers.
const SETTLED: u64 = 10_000;
/// Output that a block has at most.
const OUTPUT_BYTES: usize = 64 << 10;

pub fn run(count: usize, runs: usize, only: Option<&str>) {
    println!(
        "\nthe longest command of a fresh venue, microseconds of the core's time: of each command's quickest of {runs} runs, \
         and in brackets of any"
    );
    for (name, rate) in RUNS
        .into_iter()
        .filter(|(name, _)| only.is_none_or(|only| only == *name))
    {
        let commands = commands_of(&flow::make(name, count.min(MESSAGES)));
        let mut longest = Longest::default();
        for _ in 0..runs {
            longest.count(&flow_ns(&commands, rate));
        }
        println!("{name:10} {rate:>7}/s {longest}");
    }
    if only.is_some() {
        return;
    }
    let mut longest: [Longest; 3] = Default::default();
    let customers = CUSTOMERS.min(5 * count as u64);
    for _ in 0..runs.min(CUSTOMER_RUNS) {
        for (longest, took) in longest.iter_mut().zip(customers_ns(customers)) {
            longest.count(&took);
        }
    }
    let [funded, entered, own] = longest;
    println!(
        "{customers} accounts: funding one {funded}; its first order {entered}; fees of its own {own}"
    );
}

/// Of the same commands, run after run.
#[derive(Default)]
struct Longest {
    quickest_ns: Vec<u64>,
    any_ns: u64,
}

impl Longest {
    fn count(&mut self, took_ns: &[u64]) {
        self.any_ns = self.any_ns.max(took_ns.iter().copied().max().unwrap_or(0));
        if self.quickest_ns.is_empty() {
            return self.quickest_ns.extend(took_ns);
        }
        for (quickest, took) in self.quickest_ns.iter_mut().zip(took_ns) {
            *quickest = (*took).min(*quickest);
        }
    }
}

impl fmt::Display for Longest {
    fn fmt(&self, to: &mut fmt::Formatter<'_>) -> fmt::Result {
        let of_each = (0..).zip(&self.quickest_ns);
        let (at, ns) = of_each.max_by_key(|(_, ns)| *ns).unwrap_or((0, &0));
        write!(to, "{} ({}), command {at}", ns / 1_000, self.any_ns / 1_000)
    }
}

/// What each command of each kind takes while accounts that are new come, one by one.
fn customers_ns(customers: u64) -> [Vec<u64>; 3] {
    let mut venue = open_venue();
    let mut output = Output::default();
    let mut each: [Vec<u64>; 3] = Default::default();
    let begun = venue.event_seq();
    for account_id in 1_000_000..1_000_000 + customers {
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
        each[0].push(took);
        if account_id % SETTLED == 0 {
            let through_event_seq = venue.event_seq();
            let settled = Command::Acknowledge { through_event_seq };
            took_ns(&mut venue, START_NS, &settled, &mut output);
        }
    }
    assert!(venue.event_seq() - begun >= customers);
    for account_id in 1_000_000..1_000_000 + customers {
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
        each[1].push(took);
    }
    let body = AdminBody::SetAccountFees {
        account_id: 999_999 + customers,
        fees: Some((1, 1)),
    };
    let fees = Command::Admin {
        reference: [0; 16],
        body,
    };
    let now = START_NS + customers * CUSTOMER_NS;
    each[2].push(took_ns(&mut venue, now, &fees, &mut output));
    each
}

fn took_ns(venue: &mut Venue, now: u64, command: &Command, output: &mut Output) -> u64 {
    output.clear();
    let began = core_ns();
    venue.apply(now, command, 0, output);
    core_ns() - began
}

fn flow_ns(commands: &[Command], rate: u64) -> Vec<u64> {
    let mut venue = open_venue();
    let mut output = Output::default();
    let mut journal = Vec::new();
    let mut each = Vec::with_capacity(commands.len());
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
        each.push(core_ns() - began);
    }
    each
}

/// The command as a client of that moment would send it.
fn stamped(mut command: Command, now_ms: u64) -> Command {
    if let Command::Order(order) = &mut command {
        order.command_id[..6].copy_from_slice(&now_ms.to_be_bytes()[2..]);
        order.expires_at_ms = now_ms + 30_000;
    }
    command
}

pub fn core_ns() -> u64 {
    let time = clock_gettime(ClockId::ThreadCPUTime);
    time.tv_sec as u64 * 1_000_000_000 + time.tv_nsec as u64
}
