//! The whole venue.

use std::hint::black_box;

use countersign_book::{Map, Stp};
use countersign_venue::codec::digest;
use countersign_venue::command::{
    AdminBody, Amend, AssetSpec, Cancel, Command, InstrumentSpec, Kind, NewOrder, OrderBody,
    OrderCommand, State, Tif, Transfer,
};
use countersign_venue::{Output, Venue};

use crate::flow::{Flow, Message};
use crate::round::core_time;

pub const ACCOUNTS: u64 = 1_000;
pub const START_NS: u64 = 1_800_000_000_000_000_000;

/// Everything that the engine thread does for a command but the journal's write: encoding, digest, screening, dedupe,
/// gate, book, events.
pub fn time(flow: &Flow, commands: &[Command]) -> f64 {
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

pub fn commands_of(flow: &Flow) -> Vec<Command> {
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
