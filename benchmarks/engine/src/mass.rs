//! The longest that one command holds the venue, and so everybody, where much ends or trades at once.

use std::fmt;

use countersign_book::Stp;
use countersign_venue::command::{
    AdminBody, Command, Kind, NewOrder, OrderBody, OrderCommand, Scope, Side, State, Tif,
};
use countersign_venue::{Code, LOGIC_VERSION, Output, Venue};

use crate::longest::core_ns;
use crate::venue::{ACCOUNTS, START_NS, open_venue};
use crate::{number, option};

const MARKET: u32 = 1;
/// Between two commands.
const STEP_NS: u64 = 10_000;
/// Prices of a side.
const PRICES: u64 = 20_000;

/// Is given how many orders there are.
type Scene = fn(&mut Desk, u64);

/// What ends or trades at once: a name, who owns the orders, how they come to an end.
const SCENES: [(&str, Scene); 8] = [
    ("an account cancels all", |desk, _| {
        let body = OrderBody::CancelAll(Scope {
            account_id: 1,
            ..Scope::default()
        });
        desk.order(body);
    }),
    ("a market's mass cancel", |desk, _| {
        desk.mass_cancel(Scope {
            instrument_id: MARKET,
            ..Scope::default()
        });
    }),
    ("a group's mass cancel", |desk, _| {
        desk.mass_cancel(Scope {
            stp_group: 1,
            ..Scope::default()
        });
    }),
    ("an account's switch runs out", |desk, _| {
        desk.order(OrderBody::CancelAllAfter {
            account_id: 1,
            timeout_ms: 1,
        });
        desk.wait(2);
    }),
    ("a session's stream ends", |desk, _| {
        desk.give(&Command::DetachSession {
            session: desk.session,
        });
    }),
    ("all expire in one millisecond", |desk, _| {
        desk.wait(1_000_000)
    }),
    ("an auction is run", |desk, _| {
        let body = AdminBody::RunAuction {
            instrument_id: MARKET,
            then: State::Open,
        };
        assert_eq!(desk.admin(body), Code::Ok);
    }),
    ("an order enters an auction", |desk, orders| {
        for number in 0..100 {
            desk.enter(orders + number, Side::Buy, 100_000 + PRICES as i64, 7, 7);
        }
    }),
];

pub fn run(arguments: &[String]) -> Result<(), String> {
    let orders = number(arguments, "--orders", 200_000)?.max(2);
    let runs = number(arguments, "--runs", 3)?.max(1);
    let only = option(arguments, "--scene");
    let logic_version = number(arguments, "--logic", LOGIC_VERSION.into())? as u32;
    println!(
        "{orders} orders end or trade by the rules of version {logic_version}; the core's time of the longest command, of all together, and the bytes of events of \
         the largest: the quickest of {runs} runs"
    );
    for (number, (name, scene)) in SCENES.iter().enumerate() {
        if only.is_some_and(|only| !name.contains(only)) {
            continue;
        }
        for spread in [false, true] {
            // Whose they are matters where the scene does not say so.
            if spread && name.starts_with("an account") {
                continue;
            }
            let mut best: Option<Took> = None;
            for _ in 0..runs {
                let mut desk = Desk::filled(orders, spread, number, logic_version);
                desk.took = Took {
                    had: desk.venue.open_orders_count(),
                    ..Took::default()
                };
                scene(&mut desk, orders);
                desk.settle();
                if best
                    .as_ref()
                    .is_none_or(|best| desk.took.longest_ns < best.longest_ns)
                {
                    best = Some(desk.took);
                }
            }
            let owners = if spread {
                "a thousand accounts"
            } else {
                "one account"
            };
            println!("{name:30} {owners:>19}: {}", best.expect("it ran"));
        }
    }
    Ok(())
}

#[derive(Clone, Copy, Default)]
struct Took {
    longest_ns: u64,
    all_ns: u64,
    commands: u64,
    bytes: usize,
    refused: u64,
    had: usize,
    left: usize,
}

impl fmt::Display for Took {
    fn fmt(&self, to: &mut fmt::Formatter<'_>) -> fmt::Result {
        let ms = |ns: u64| ns as f64 / 1e6;
        write!(
            to,
            "longest {:>8.2} ms, all {:>8.2} ms in {} commands, {:.1} MB of events; {} rested, {} still do, {} commands refused",
            ms(self.longest_ns),
            ms(self.all_ns),
            self.commands,
            self.bytes as f64 / 1e6,
            self.had,
            self.left,
            self.refused
        )
    }
}

struct Desk {
    venue: Venue,
    output: Output,
    now: u64,
    next: u64,
    session: u32,
    took: Took,
}

impl Desk {
    /// A market with so many orders, as that scene wants them.
    fn filled(orders: u64, spread: bool, scene: usize, logic_version: u32) -> Desk {
        let (auction, expires) = (scene >= 6, scene == 5);
        let mut desk = Desk {
            venue: open_venue(),
            output: Output::default(),
            now: START_NS,
            next: 0,
            session: 0,
            took: Took::default(),
        };
        desk.give(&Command::Lead {
            epoch: 1,
            logic_version,
        });
        desk.session = desk.give(&Command::AttachSession {
            session_id: [7; 16],
            cancels: true,
        }) as u32;
        if auction {
            for state in [State::Halted, State::Auction] {
                desk.admin(AdminBody::SetState {
                    instrument_id: MARKET,
                    state,
                });
            }
        }
        let expire_at_ms = if expires {
            START_NS / 1_000_000 + 1_000_000
        } else {
            0
        };
        for number in 0..orders {
            let side = [Side::Buy, Side::Sell][number as usize % 2];
            let away = 1 + (number / 2 % PRICES) as i64;
            // Orders of an auction cross all of them.
            let out = matches!(side, Side::Buy) != auction;
            let price = 100_000 + if out { -away } else { away };
            let account = if spread {
                1 + number / 2 % (ACCOUNTS - 1)
            } else {
                1
            };
            // An order with a group looks for its own among all that it crosses: that is the last scene's.
            let group = if auction {
                0
            } else {
                1_000_000 * u64::from(side == Side::Sell) + account
            };
            desk.place(number, side, price, account, group, expire_at_ms);
        }
        desk
    }

    fn enter(&mut self, number: u64, side: Side, price: i64, account_id: u64, stp_group: u64) {
        self.place(number, side, price, account_id, stp_group, 0);
    }

    fn place(
        &mut self,
        number: u64,
        side: Side,
        price: i64,
        account_id: u64,
        stp_group: u64,
        expire_at_ms: u64,
    ) {
        self.order(OrderBody::New(NewOrder {
            order_id: 1 + number,
            account_id,
            instrument_id: MARKET,
            side,
            kind: Kind::Limit,
            tif: if expire_at_ms == 0 {
                Tif::Gtc
            } else {
                Tif::Gtd
            },
            post_only: false,
            price,
            qty: 1,
            budget: 0,
            owner_ref: 0,
            stp_group,
            stp: Stp::CancelMaker,
            expire_at_ms,
        }));
    }

    fn order(&mut self, body: OrderBody) {
        self.next += 1;
        let mut command_id = [0; 16];
        command_id[..6].copy_from_slice(&(self.now / 1_000_000).to_be_bytes()[2..]);
        command_id[6] = 0x70;
        command_id[8..].copy_from_slice(&self.next.to_be_bytes());
        self.give(&Command::Order(OrderCommand {
            command_id,
            session: self.session,
            session_seq: self.next,
            expires_at_ms: self.now / 1_000_000 + 30_000,
            body,
        }));
    }

    fn admin(&mut self, body: AdminBody) -> Code {
        self.outcome(&Command::Admin {
            reference: [0; 16],
            body,
        })
        .0
    }

    /// Again and again, until nothing is left to cancel: as the server does.
    fn mass_cancel(&mut self, scope: Scope) {
        let body = AdminBody::MassCancel(scope);
        while self
            .outcome(&Command::Admin {
                reference: [0; 16],
                body: body.clone(),
            })
            .1
            > 0
        {}
    }

    fn give(&mut self, command: &Command) -> u64 {
        self.outcome(command).2
    }

    fn outcome(&mut self, command: &Command) -> (Code, u32, u64) {
        self.now += STEP_NS;
        self.output.clear();
        let began = core_ns();
        let outcome = self.venue.apply(self.now, command, 0, &mut self.output);
        let took = core_ns() - began;
        self.took.longest_ns = self.took.longest_ns.max(took);
        self.took.all_ns += took;
        self.took.commands += 1;
        self.took.refused += u64::from(outcome.code != Code::Ok);
        self.took.bytes = self.took.bytes.max(self.output.bytes.len());
        (outcome.code, outcome.cancelled, outcome.order_id)
    }

    fn wait(&mut self, ms: u64) {
        self.now += ms * 1_000_000;
        self.give(&Command::Tick);
    }

    /// Lets everything come to its end that is due.
    fn settle(&mut self) {
        while self
            .venue
            .next_timer_ns()
            .is_some_and(|due| due <= self.now + 2_000_000)
        {
            self.give(&Command::Tick);
        }
        self.took.left = self.venue.open_orders_count();
    }
}
