//! How a venue is filled before something is measured beside it.

use countersign_wire::v1::order_entry_client::OrderEntryClient;
use countersign_wire::v1::{
    Command, CommandBatch, NewOrder, OrderKind, ResultCode, Side, TimeInForce, command,
};

use crate::load::{self, now_ms};
use crate::succession::Seat;
use crate::transport::{Address, connect};

const BATCH: u64 = 1_000;
/// Batches under way while a state is made.
const UNDER_WAY: u64 = 4;
/// Order ids from here on rest far from the middle.
const RESTING: u64 = 1 << 40;

/// An order that rests far from the middle.
pub fn resting(at: u64, now_ms: u64, accounts: u64) -> Command {
    let mut command_id = now_ms.to_be_bytes()[2..].to_vec();
    command_id.extend([0x70, 1]);
    command_id.extend(at.to_be_bytes());
    let noise = at.wrapping_mul(0x9E37_79B9_7F4A_7C15) >> 32;
    let (side, price) = match at % 2 {
        0 => (Side::Buy, 10_000 + (noise % 80_000) as i64),
        _ => (Side::Sell, 110_000 + (noise % 80_000) as i64),
    };
    Command {
        command_id: command_id.into(),
        session_seq: 0,
        expires_at_ms: now_ms + 30_000,
        body: Some(command::Body::NewOrder(NewOrder {
            order_id: RESTING + at,
            instrument_id: 1,
            side: side as i32,
            kind: OrderKind::Limit as i32,
            tif: TimeInForce::Gtc as i32,
            price_ticks: price,
            qty_lots: 1 + noise % 9,
            account_id: 1 + at % accounts,
            ..NewOrder::default()
        })),
    }
}

/// Commands from `began` on, so many, as if they had come over half a minute: all of them stay for a minute and a half.
pub fn spread(began: u64, count: u64) -> impl Fn(u64, u64) -> Command {
    move |at, now| load::command(at, now - 20_000 + (at - began) * 29_000 / count.max(1))
}

/// Sends commands as fast as they are answered.
pub async fn send(
    seat: &Seat,
    range: std::ops::Range<u64>,
    make: impl Fn(u64, u64) -> Command,
) -> Result<(), String> {
    let channel = connect(&Address::Unix(seat.path("orders.sock"))).await?;
    let mut under_way = tokio::task::JoinSet::new();
    let mut at = range.start;
    while at < range.end || !under_way.is_empty() {
        if at < range.end && (under_way.len() as u64) < UNDER_WAY {
            let (upto, now) = (range.end.min(at + BATCH), now_ms());
            let batch = CommandBatch {
                commands: (at..upto).map(|at| make(at, now)).collect(),
            };
            let mut client = OrderEntryClient::new(channel.clone());
            under_way.spawn(async move { client.submit_batch(batch).await });
            at = upto;
            continue;
        }
        let Some(answered) = under_way.join_next().await else {
            break;
        };
        let answer = answered
            .map_err(|cause| cause.to_string())?
            .map_err(|status| status.to_string())?;
        let results = answer.into_inner().results;
        if let Some(refused) = results.iter().find(|result| result.code >= 100) {
            return Err(format!(
                "a command was refused: {:?}",
                ResultCode::try_from(refused.code)
            ));
        }
    }
    Ok(())
}
