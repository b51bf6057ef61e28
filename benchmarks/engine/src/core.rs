//! In-process speed, one message at a time: the book alone, the book behind the gate, and the whole venue.

use std::hint::black_box;
use std::process::Command as Program;

use countersign_book::{Book, Fill, Map, Resting, Side, Slot, Stp, Taker, Tape};
use countersign_risk::{Gate, Handle, Leg, fee};
use countersign_venue::codec::digest;
use countersign_venue::command::{
    AdminBody, Amend, AssetSpec, Cancel, Command, InstrumentSpec, Kind, NewOrder, OrderBody,
    OrderCommand, State, Tif, Transfer,
};
use countersign_venue::{Output, Venue};

use crate::cancel_all;
use crate::flow::{self, Flow, Message};
use crate::{number, option};

pub const ACCOUNTS: u64 = 1_000;

pub fn run(arguments: &[String]) -> Result<(), String> {
    let count = number(arguments, "--messages", 1_000_000)? as usize;
    let runs = number(arguments, "--runs", 7)?.max(1) as usize;
    let only = option(arguments, "--scenario");
    let baseline = option(arguments, "--baseline");
    println!(
        "{count} messages a run, median (min-max) of {runs}, M messages per second of one core's time"
    );
    println!(
        "{:10} {:>22} {:>22} {:>22}   baseline",
        "", "book", "book+risk", "venue"
    );
    for name in flow::SCENARIOS
        .into_iter()
        .filter(|name| only.is_none_or(|only| only == *name))
    {
        let flow = flow::make(name, count);
        let commands = commands_of(&flow);
        let (mut book, mut gated, mut venue, mut outside) = (vec![], vec![], vec![], vec![]);
        for _ in 0..runs {
            book.push(time(&flow, &mut BookOnly::default()));
            gated.push(time(&flow, &mut Gated::new()));
            venue.push(time_venue(&flow, &commands));
            if let Some(command) = baseline {
                outside.push(ask_baseline(command, name, count)?);
            }
        }
        let mut line = format!("{:10}", flow.name);
        for column in [&mut book, &mut gated, &mut venue] {
            line += &format!(" {:>22}", told(column));
        }
        if baseline.is_some() {
            line += &format!(
                "   {} (book x{:.2})",
                told(&mut outside),
                median(&book) / median(&outside)
            );
        }
        let (crossing, amended, cancelled) = flow.shares();
        println!(
            "{line}\n{:10} {crossing:.0} % of orders cross, {amended:.0} % are amended, {cancelled:.0} % of those that rest are cancelled",
            ""
        );
    }
    cancel_all::run(runs);
    Ok(())
}

fn median(sorted: &[f64]) -> f64 {
    sorted[sorted.len() / 2]
}

fn told(rates: &mut [f64]) -> String {
    rates.sort_by(f64::total_cmp);
    format!(
        "{:.2} ({:.2}-{:.2})",
        median(rates),
        rates[0],
        rates[rates.len() - 1]
    )
}

/// An outside program that runs the same scenario and prints its messages per second.
fn ask_baseline(command: &str, scenario: &str, count: usize) -> Result<f64, String> {
    let output = Program::new("sh")
        .args(["-c", command])
        .env("SCENARIO", scenario)
        .env("MESSAGES", count.to_string())
        .output()
        .map_err(|cause| format!("the baseline cannot be run: {cause}"))?;
    let text = String::from_utf8_lossy(&output.stdout);
    let last = text.split_whitespace().last().unwrap_or_default();
    last.parse::<f64>()
        .map(|rate| rate / 1e6)
        .map_err(|_| format!("the baseline printed {last:?}, not a rate"))
}

/// Time that this thread has had a core, in seconds: on a shared machine the wall clock measures the neighbours.
fn core_time() -> f64 {
    let text = std::fs::read_to_string("/proc/thread-self/schedstat").unwrap_or_default();
    let nanoseconds = text
        .split_whitespace()
        .next()
        .and_then(|word| word.parse::<f64>().ok());
    nanoseconds.expect("the kernel keeps schedstat") / 1e9
}

trait Engine {
    fn take(&mut self, message: &Message);
}

fn time(flow: &Flow, engine: &mut impl Engine) -> f64 {
    for message in &flow.before {
        engine.take(message);
    }
    let began = core_time();
    for message in &flow.messages {
        engine.take(message);
    }
    flow.messages.len() as f64 / (core_time() - began) / 1e6
}

#[derive(Clone, Copy)]
struct Place {
    slot: Slot,
    side: Side,
    price: i64,
}

/// What leaves the engine: every report is written out as fixed bytes, as a feed would.
#[derive(Default)]
struct Reports {
    bytes: Vec<u8>,
    count: u64,
}

impl Reports {
    #[inline]
    fn write(&mut self, kind: u64, id: u64, price: i64, qty: u64) {
        if self.bytes.len() > 60_000 {
            black_box(&self.bytes);
            self.bytes.clear();
        }
        for word in [kind, id, price as u64, qty] {
            self.bytes.extend_from_slice(&word.to_le_bytes());
        }
        self.count += 1;
    }
}

#[derive(Default)]
struct BookOnly {
    book: Book,
    index: Map<u64, Place>,
    reports: Reports,
}

struct Floor<'a> {
    index: &'a mut Map<u64, Place>,
    reports: &'a mut Reports,
}

impl Tape for Floor<'_> {
    #[inline]
    fn fill(&mut self, fill: Fill) {
        self.reports.write(1, fill.maker, fill.price, fill.qty);
        if fill.maker_leaves == 0 {
            self.index.remove(&fill.maker);
        }
    }

    fn pulled(&mut self, _: Slot, _: Resting, _: i64) {}
}

impl BookOnly {
    fn enter(&mut self, id: u64, side: Side, price: i64, qty: u64, rests: bool) {
        let mut leaves = qty;
        if self.book.crosses(side, price) {
            let mut taker = Taker {
                side,
                limit: price,
                leaves,
                budget: None,
                group: 0,
                stp: Stp::CancelMaker,
            };
            self.book.take(
                &mut taker,
                &mut Floor {
                    index: &mut self.index,
                    reports: &mut self.reports,
                },
            );
            leaves = taker.leaves;
        }
        if rests && leaves > 0 {
            let slot = self.book.rest(
                side,
                price,
                Resting {
                    id,
                    leaves,
                    group: 0,
                    owner: 0,
                },
            );
            self.index.insert(id, Place { slot, side, price });
        }
        self.reports.write(2, id, price, leaves);
    }
}

impl Engine for BookOnly {
    #[inline]
    fn take(&mut self, message: &Message) {
        match *message {
            Message::New {
                id,
                side,
                price,
                qty,
                rests,
            } => self.enter(id, side, price, qty, rests),
            Message::Cancel { id } => {
                if let Some(place) = self.index.remove(&id) {
                    let order = self.book.remove(place.side, place.slot);
                    self.reports.write(3, id, place.price, order.leaves);
                }
            }
            Message::Amend { id, price, qty } => {
                let Some(place) = self.index.get(&id).copied() else {
                    return;
                };
                let leaves = self.book.order(place.slot).leaves;
                if price == place.price && qty < leaves {
                    self.book.reduce(place.side, place.slot, qty);
                    self.reports.write(4, id, price, qty);
                } else {
                    self.index.remove(&id);
                    self.book.remove(place.side, place.slot);
                    self.enter(id, place.side, price, qty, true);
                }
            }
        }
    }
}

/// The same behind the gate: every order reserves, every trade moves four balances and two fees.
struct Gated {
    book: Book,
    index: Map<u64, Place>,
    reports: Reports,
    gate: Gate,
    handles: Vec<Handle>,
}

const BASE: u32 = 0;
const QUOTE: u32 = 1;

struct GatedFloor<'a> {
    index: &'a mut Map<u64, Place>,
    reports: &'a mut Reports,
    gate: &'a mut Gate,
    side: Side,
    limit: i64,
    account: Handle,
}

impl Tape for GatedFloor<'_> {
    #[inline]
    fn fill(&mut self, fill: Fill) {
        let base = u128::from(fill.qty) * 1_000;
        let quote = fill.price as u128 * u128::from(fill.qty);
        let (taker, maker);
        match self.side {
            Side::Buy => {
                let freed = (self.limit - fill.price) as u128 * u128::from(fill.qty);
                taker = Leg {
                    account: self.account,
                    pays: quote,
                    freed,
                    fee: fee(base, 1_000),
                };
                maker = Leg {
                    account: fill.owner,
                    pays: base,
                    freed: 0,
                    fee: fee(quote, 800),
                };
                self.gate.trade(BASE, QUOTE, taker, maker);
            }
            Side::Sell => {
                taker = Leg {
                    account: self.account,
                    pays: base,
                    freed: 0,
                    fee: fee(quote, 1_000),
                };
                maker = Leg {
                    account: fill.owner,
                    pays: quote,
                    freed: 0,
                    fee: fee(base, 800),
                };
                self.gate.trade(BASE, QUOTE, maker, taker);
            }
        }
        self.reports.write(1, fill.maker, fill.price, fill.qty);
        if fill.maker_leaves == 0 {
            self.index.remove(&fill.maker);
        }
    }

    fn pulled(&mut self, _: Slot, _: Resting, _: i64) {}
}

fn hold_of(side: Side, price: i64, qty: u64) -> (u32, u128) {
    match side {
        Side::Buy => (QUOTE, price as u128 * u128::from(qty)),
        Side::Sell => (BASE, u128::from(qty) * 1_000),
    }
}

impl Gated {
    fn new() -> Gated {
        let mut gate = Gate::new();
        gate.add_asset();
        gate.add_asset();
        let handles = (1..=ACCOUNTS)
            .map(|account| gate.open(account))
            .collect::<Vec<_>>();
        for &handle in &handles {
            gate.transfer_in(BASE, handle, 1 << 80).expect("it fits");
            gate.transfer_in(QUOTE, handle, 1 << 80).expect("it fits");
        }
        Gated {
            book: Book::new(),
            index: Map::default(),
            reports: Reports::default(),
            gate,
            handles,
        }
    }

    fn enter(&mut self, id: u64, account: Handle, side: Side, price: i64, qty: u64, rests: bool) {
        let (asset, units) = hold_of(side, price, qty);
        if self.gate.hold(asset, account, units).is_err() {
            self.reports.write(9, id, price, qty);
            return;
        }
        let mut leaves = qty;
        if self.book.crosses(side, price) {
            let mut taker = Taker {
                side,
                limit: price,
                leaves,
                budget: None,
                group: 0,
                stp: Stp::CancelMaker,
            };
            let (index, reports, gate) = (&mut self.index, &mut self.reports, &mut self.gate);
            self.book.take(
                &mut taker,
                &mut GatedFloor {
                    index,
                    reports,
                    gate,
                    side,
                    limit: price,
                    account,
                },
            );
            leaves = taker.leaves;
        }
        if leaves > 0 {
            if rests {
                let slot = self.book.rest(
                    side,
                    price,
                    Resting {
                        id,
                        leaves,
                        group: 0,
                        owner: account,
                    },
                );
                self.index.insert(id, Place { slot, side, price });
            } else {
                self.gate
                    .release(asset, account, hold_of(side, price, leaves).1);
            }
        }
        self.reports.write(2, id, price, leaves);
    }
}

impl Engine for Gated {
    #[inline]
    fn take(&mut self, message: &Message) {
        match *message {
            Message::New {
                id,
                side,
                price,
                qty,
                rests,
            } => {
                // The account number is looked up, as an order that comes from outside would need.
                let account = self.gate.find(1 + id % ACCOUNTS).unwrap_or(self.handles[0]);
                self.enter(id, account, side, price, qty, rests);
            }
            Message::Cancel { id } => {
                if let Some(place) = self.index.remove(&id) {
                    let order = self.book.remove(place.side, place.slot);
                    let (asset, units) = hold_of(place.side, place.price, order.leaves);
                    self.gate.release(asset, order.owner, units);
                    self.reports.write(3, id, place.price, order.leaves);
                }
            }
            Message::Amend { id, price, qty } => {
                let Some(place) = self.index.get(&id).copied() else {
                    return;
                };
                let order = *self.book.order(place.slot);
                let (asset, units) = hold_of(place.side, place.price, order.leaves);
                if price == place.price && qty < order.leaves {
                    self.book.reduce(place.side, place.slot, qty);
                    self.gate.release(
                        asset,
                        order.owner,
                        units - hold_of(place.side, price, qty).1,
                    );
                    self.reports.write(4, id, price, qty);
                } else {
                    self.index.remove(&id);
                    self.book.remove(place.side, place.slot);
                    self.gate.release(asset, order.owner, units);
                    self.enter(id, order.owner, place.side, price, qty, true);
                }
            }
        }
    }
}

pub const START_NS: u64 = 1_800_000_000_000_000_000;

fn commands_of(flow: &Flow) -> Vec<Command> {
    let mut order_account = Map::<u64, u64>::default();
    let mut filled_total = Map::<u64, u64>::default();
    flow.before
        .iter()
        .chain(&flow.messages)
        .zip(1u64..)
        .map(|(message, at)| {
            let mut command_id = [0; 16];
            command_id[..6]
                .copy_from_slice(&(START_NS / 1_000_000 + at / 1_000).to_be_bytes()[2..]);
            command_id[6] = 0x70;
            command_id[8..].copy_from_slice(&at.to_be_bytes());
            let body = match *message {
                Message::New {
                    id,
                    side,
                    price,
                    qty,
                    rests,
                } => {
                    let account_id = 1 + id % ACCOUNTS;
                    order_account.insert(id, account_id);
                    filled_total.insert(id, qty);
                    OrderBody::New(NewOrder {
                        order_id: id,
                        account_id,
                        instrument_id: 1,
                        side,
                        kind: Kind::Limit,
                        tif: if rests { Tif::Gtc } else { Tif::Ioc },
                        post_only: false,
                        price,
                        qty,
                        budget: 0,
                        owner_ref: 0,
                        stp_group: 0,
                        stp: Stp::CancelMaker,
                        expire_at_ms: 0,
                    })
                }
                Message::Cancel { id } => OrderBody::Cancel(Cancel {
                    order_id: id,
                    account_id: order_account[&id],
                }),
                Message::Amend { id, price, qty } => {
                    let account_id = order_account[&id];
                    OrderBody::Amend(Amend {
                        order_id: id,
                        account_id,
                        total_qty: qty,
                        price,
                        cancel_on_fail: false,
                    })
                }
            };
            let expires_at_ms = START_NS / 1_000_000 + 60_000;
            Command::Order(OrderCommand {
                command_id,
                session: 0,
                session_seq: 0,
                expires_at_ms,
                body,
            })
        })
        .collect()
}

/// BTC-USDT is open, and every account can pay for anything.
pub fn open_venue() -> Venue {
    let mut venue = Venue::new();
    let mut output = Output::default();
    let mut setup = |command: Command| venue.apply(START_NS, &command, 0, &mut output);
    for (asset_id, symbol) in [(1, "BTC"), (2, "USDT")] {
        let body = AdminBody::PutAsset(AssetSpec {
            asset_id,
            symbol: symbol.into(),
            decimals: 8,
        });
        setup(Command::Admin {
            reference: [0; 16],
            body,
        });
    }
    let spec = InstrumentSpec {
        instrument_id: 1,
        kind: 1,
        symbol: "BTC-USDT".into(),
        base_asset_id: 1,
        quote_asset_id: 2,
        base_units_per_lot: 1_000,
        quote_units_per_ticklot: 1,
        min_price: 1,
        max_price: 100_000_000,
        min_qty: 1,
        max_qty: 1_000_000,
        maker_fee_ppm: 800,
        taker_fee_ppm: 1_000,
        price_band_ppm: 0,
        reference_price: 0,
    };
    setup(Command::Admin {
        reference: [0; 16],
        body: AdminBody::PutInstrument(spec),
    });
    let body = AdminBody::SetState {
        instrument_id: 1,
        state: State::Open,
    };
    setup(Command::Admin {
        reference: [0; 16],
        body,
    });
    for account_id in 1..=ACCOUNTS {
        for asset_id in [1, 2] {
            let mut transfer_id = [0; 16];
            transfer_id[..8].copy_from_slice(&(account_id * 2 + u64::from(asset_id)).to_le_bytes());
            transfer_id[15] = asset_id as u8;
            setup(Command::Transfer(Transfer {
                transfer_id,
                account_id,
                asset_id,
                into_venue: true,
                units: 1 << 80,
            }));
        }
    }
    venue
}

/// Everything that the engine thread does for a command but the journal's write: encoding, digest, screening, dedupe,
/// gate, book, events.
fn time_venue(flow: &Flow, commands: &[Command]) -> f64 {
    let mut venue = open_venue();
    let mut output = Output::default();
    let mut journal = Vec::new();
    let mut began = core_time();
    for (at, command) in commands.iter().enumerate() {
        if at == flow.before.len() {
            began = core_time();
        }
        if journal.len() > 1 << 20 {
            black_box((&journal, &output.bytes));
            journal.clear();
            output.clear();
        }
        let now = START_NS + at as u64 * 1_000;
        let start = journal.len();
        let body = command.encode(&mut journal);
        let digest = digest(&journal[body.max(start)..]);
        if venue.screen(command, digest, now / 1_000_000).is_none() {
            black_box(venue.apply(now, command, digest, &mut output));
        }
    }
    flow.messages.len() as f64 / (core_time() - began) / 1e6
}
