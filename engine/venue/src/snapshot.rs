//! The whole state as bytes.
//!
//! The bytes are canonical: a state that was read back writes the same ones again. So the hash over them names the
//! state, and a snapshot proves itself.

use std::convert::Infallible;

use crate::codec::{Hash, Put};
use crate::command::Side;
use crate::logic::{IN_PIECES, SESSIONS_END};
use crate::market::Market;
use crate::packed::Packed;
use crate::pieces::Pieces;
use crate::state::{Asset, NS_PER_MS, Venue};

impl Venue {
    /// A hash over [`Venue::snapshot`]: balances, books and remembered outcomes included.
    pub fn state_hash(&self) -> [u8; 32] {
        let mut hash = Hash::default();
        let Ok(()) = self.write_state(|piece| {
            hash.take(piece);
            Ok::<_, Infallible>(())
        });
        hash.end()
    }

    pub fn snapshot(&self) -> Vec<u8> {
        let mut state = Vec::new();
        let Ok(()) = self.write_state(|piece| {
            state.extend_from_slice(piece);
            Ok::<_, Infallible>(())
        });
        state
    }

    /// Gives the state away piece by piece. Whoever does not want any more gives an error back.
    pub fn write_state<E>(&self, give: impl FnMut(&[u8]) -> Result<(), E>) -> Result<(), E> {
        self.write(true, give)
    }

    /// The same as if nothing were remembered: outcomes are far more than all else, and most of them lie in files already.
    pub fn write_bare<E>(&self, give: impl FnMut(&[u8]) -> Result<(), E>) -> Result<(), E> {
        self.write(false, give)
    }

    /// What is remembered of commands behind `after`, bucket by bucket: [`Venue::recall`] takes it back.
    pub fn outcomes_since<E>(&self, after: u64, take: impl FnMut(Packed) -> Result<(), E>) -> Result<(), E> {
        self.dedupe.since(after, self.time_ns / NS_PER_MS, take)
    }

    fn write<E>(&self, outcomes: bool, give: impl FnMut(&[u8]) -> Result<(), E>) -> Result<(), E> {
        let mut out = Pieces::new(give);
        let head = out.room()?;
        for number in [self.epoch, self.engine_seq, self.event_seq, self.time_ns] {
            head.put_u64(number);
        }
        head.extend_from_slice(&self.chain.bytes());
        self.write_balances(&mut out)?;
        out.room()?.put_u64(self.markets.len() as u64);
        for market in &self.markets {
            self.write_market(market, &mut out)?;
        }
        self.sessions.encode(out.room()?);
        out.room()?.put_u64(self.transfer_log.len() as u64);
        for id in self.transfer_log.values() {
            let room = out.room()?;
            room.put_id(id);
            self.transfers.get(id).expect("it is in the log").encode(room);
        }
        out.room()?.put_u64(self.switches.len() as u64);
        for (account, at) in &self.switches {
            let room = out.room()?;
            room.put_u64(*account);
            room.put_u64(*at);
        }
        let now_ms = self.time_ns / NS_PER_MS;
        out.room()?.put_u64(if outcomes { self.dedupe.count(now_ms) } else { 0 });
        if outcomes {
            self.dedupe.each(now_ms, |id, remembered| {
                let room = out.room()?;
                room.put_id(id);
                remembered.encode(room);
                Ok(())
            })?;
        }
        // The first rules are not named: states were written before there could be others.
        if self.logic != 1 {
            out.room()?.put_u32(self.logic);
        }
        if self.logic >= SESSIONS_END {
            self.sessions.encode_streams(out.room()?);
        }
        if self.logic >= IN_PIECES {
            self.write_uncrossings(out.room()?);
        }
        out.end()
    }

    /// Auctions that are being run, of which not everything has traded yet.
    fn write_uncrossings(&self, room: &mut Vec<u8>) {
        let run = |market: &Market| market.call.and_then(|call| call.uncross);
        let running: Vec<_> =
            (0..).zip(&self.markets).filter_map(|(at, market)| Some((at, run(market)?))).collect();
        room.put_u64(running.len() as u64);
        for (at, uncross) in running {
            room.put_u32(at);
            uncross.encode(room);
        }
    }

    /// Accounts in the order in which they came, each with its own fees and a balance per asset.
    fn write_balances<E, F: FnMut(&[u8]) -> Result<(), E>>(&self, out: &mut Pieces<F>) -> Result<(), E> {
        let mut assets: Vec<&Asset> = self.assets.values().collect();
        assets.sort_unstable_by_key(|asset| asset.index);
        out.room()?.put_u64(assets.len() as u64);
        for asset in &assets {
            asset.spec.encode(out.room()?);
        }
        out.room()?.put_u64(self.gate.len() as u64);
        for handle in 0..self.gate.len() as u32 {
            let room = out.room()?;
            room.put_u64(self.gate.account(handle));
            let fees = self.fees.get(handle as usize);
            room.put_bool(fees.is_some());
            if let Some((maker, taker)) = fees {
                room.put_u32(maker);
                room.put_u32(taker);
            }
            for asset in &assets {
                let balance = self.gate.balance(asset.index, handle);
                room.put_u128(balance.available);
                room.put_u128(balance.held);
            }
        }
        Ok(())
    }

    fn write_market<E, F: FnMut(&[u8]) -> Result<(), E>>(
        &self,
        market: &Market,
        out: &mut Pieces<F>,
    ) -> Result<(), E> {
        let head = out.room()?;
        market.spec.encode(head);
        head.put_u8(market.state as u8);
        head.put_i64(market.last_price);
        head.put_bool(market.call.is_some());
        if let Some(call) = &market.call {
            call.told.encode(head);
            head.put_u64(call.due_ns);
        }
        head.put_u64(market.book.len() as u64);
        for side in [Side::Buy, Side::Sell] {
            for (price, slot, order) in market.book.orders(side) {
                let details = &market.details[slot];
                let room = out.room()?;
                room.put_u8(side as u8);
                room.put_u64(order.id);
                room.put_u64(self.gate.account(order.owner));
                room.put_i64(price);
                room.put_u64(order.leaves);
                room.put_u64(details.total);
                room.put_u64(order.group);
                room.put_u8(details.stp as u8);
                room.put_u8(details.tif as u8);
                room.put_bool(details.post_only);
                room.put_u32(details.session);
                room.put_u64(details.owner_ref);
                room.put_u64(details.expire_at_ms);
                room.put_u128(details.filled_ticklots);
            }
        }
        Ok(())
    }
}
