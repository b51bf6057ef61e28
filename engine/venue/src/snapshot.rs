//! The whole state as bytes, and back.
//!
//! The bytes are canonical: a state that was read back writes the same ones again. So the hash over them names the
//! state, and a snapshot proves itself.

use std::convert::Infallible;

use countersign_book::{Book, Resting, Slab};
use countersign_risk::Balance;

use crate::auction::{Call, Indication};
use crate::codec::{Chain, Hash, Malformed, Put, Reader};
use crate::command::{AssetSpec, InstrumentSpec, Scope, Side, State, Tif, side_from_number, stp_from_number};
use crate::dedupe::{Outcome, Remembered};
use crate::event::Code;
use crate::logic::{SESSIONS_END, is_known};
use crate::market::{Details, Market};
use crate::pieces::Pieces;
use crate::screen::DATE_MS_MAX;
use crate::sessions::Sessions;
use crate::state::{Asset, NS_PER_MS, Timer, Venue};
use crate::transfers::Told;

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
        out.room()?.put_u64(self.dedupe.count(now_ms));
        self.dedupe.each(now_ms, |id, remembered| {
            let room = out.room()?;
            room.put_id(id);
            remembered.encode(room);
            Ok(())
        })?;
        // The first rules are not named: states were written before there could be others.
        if self.logic != 1 {
            out.room()?.put_u32(self.logic);
        }
        if self.logic >= SESSIONS_END {
            self.sessions.encode_streams(out.room()?);
        }
        out.end()
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

    /// Whether these are the bytes that it writes.
    fn is_written_as(&self, bytes: &[u8]) -> bool {
        let mut rest = bytes;
        let same: Result<(), ()> = self.write_state(|piece| {
            rest = rest.strip_prefix(piece).ok_or(())?;
            Ok(())
        });
        same == Ok(()) && rest.is_empty()
    }

    /// Reads a state back, and checks every promise that it makes about itself.
    pub fn restore(bytes: &[u8]) -> Result<Venue, Malformed> {
        let mut reader = Reader::new(bytes);
        let mut venue = Venue::new();
        venue.epoch = reader.u64()?;
        venue.engine_seq = reader.u64()?;
        venue.event_seq = reader.u64()?;
        venue.time_ns = reader.u64()?;
        venue.chain = Chain::from_bytes(reader.bytes(32)?.try_into().expect("32 bytes were taken"));
        venue.read_balances(&mut reader)?;
        for _ in 0..reader.u64()? {
            venue.read_market(&mut reader)?;
        }
        venue.sessions = Sessions::decode(&mut reader)?;
        for _ in 0..reader.u64()? {
            let (id, told) = (reader.id()?, Told::decode(&mut reader)?);
            venue.transfer_log.insert(told.event_seq, id);
            venue.transfers.insert(id, told);
        }
        for _ in 0..reader.u64()? {
            let (account, at) = (reader.u64()?, reader.u64()?);
            venue.switches.insert(account, at);
            venue.timers.insert((at, Timer::CancelAllAfter(account)));
        }
        for _ in 0..reader.u64()? {
            let id = reader.id()?;
            venue.dedupe.remember(id, Remembered::decode(&mut reader)?);
        }
        if !reader.is_empty() {
            venue.logic = reader.u32()?;
            if !is_known(venue.logic) {
                return Err(Malformed("a state under rules that this program does not know"));
            }
        }
        if venue.logic >= SESSIONS_END {
            venue.sessions.decode_streams(&mut reader)?;
        }
        reader.finish()?;
        venue.timers.extend(venue.sessions.list()?);
        venue.list_standing()?;
        venue.audit().map_err(|_| Malformed("the state contradicts itself"))?;
        // Whatever came twice, or stood for nothing, is not there any more.
        if !venue.is_written_as(bytes) {
            return Err(Malformed("the state does not write itself again"));
        }
        Ok(venue)
    }

    /// Lists every order among its owner's, in book order, so that turns rise within each queue.
    fn list_standing(&mut self) -> Result<(), Malformed> {
        for place in self.in_scope(&Scope::default()) {
            let market = &mut self.markets[place.market as usize];
            let details = &mut market.details[place.slot];
            if details.session != 0 && self.sessions.get(details.session).is_none() {
                return Err(Malformed("an order of a session that nobody opened"));
            }
            details.listed = self.standing.join(place, market.book.order(place.slot).owner, details.session);
        }
        Ok(())
    }

    fn read_balances(&mut self, reader: &mut Reader<'_>) -> Result<(), Malformed> {
        let assets = reader.u64()?;
        for _ in 0..assets {
            let spec = AssetSpec::decode(reader)?;
            let index = self.gate.add_asset();
            self.assets.insert(spec.asset_id, Asset { spec, index });
        }
        for expected in 0..reader.u64()? {
            let handle = self.gate.open(reader.u64()?);
            if u64::from(handle) != expected {
                return Err(Malformed("an account comes twice"));
            }
            if reader.bool()? {
                *self.fees.at(handle as usize) = Some((reader.u32()?, reader.u32()?));
            }
            for index in 0..assets as u32 {
                let balance = Balance { available: reader.u128()?, held: reader.u128()? };
                self.gate.restore(index, handle, balance);
            }
        }
        Ok(())
    }

    fn read_market(&mut self, reader: &mut Reader<'_>) -> Result<(), Malformed> {
        let spec = InstrumentSpec::decode(reader)?;
        let listed = |asset_id| self.assets.get(&asset_id).map(|asset: &Asset| asset.index);
        let (Some(base), Some(quote)) = (listed(spec.base_asset_id), listed(spec.quote_asset_id)) else {
            return Err(Malformed("a market without its assets"));
        };
        let state = State::from_number(i32::from(reader.u8()?)).ok_or(Malformed("no such state"))?;
        let last_price = reader.i64()?;
        let at = self.markets.len() as u32;
        let call = match reader.bool()? {
            true => Some(Call { told: Indication::decode(reader)?, due_ns: reader.u64()? }),
            false => None,
        };
        if call.is_some() != (state == State::Auction) {
            return Err(Malformed("an auction without its clock"));
        }
        if let Some(call) = &call {
            self.timers.insert((call.due_ns, Timer::Indication(at)));
        }
        self.market_of.insert(spec.instrument_id, at);
        self.markets.push(Market {
            spec,
            state,
            last_price,
            base,
            quote,
            book: Book::new(),
            details: Slab::default(),
            call,
        });
        for _ in 0..reader.u64()? {
            let side = side_from_number(i32::from(reader.u8()?)).ok_or(Malformed("no such side"))?;
            let (order_id, account_id) = (reader.u64()?, reader.u64()?);
            let (price, leaves, total) = (reader.i64()?, reader.u64()?, reader.u64()?);
            let group = reader.u64()?;
            let stp = stp_from_number(i32::from(reader.u8()?)).ok_or(Malformed("no such STP mode"))?;
            let tif = Tif::from_number(i32::from(reader.u8()?)).ok_or(Malformed("no such time in force"))?;
            let details = Details {
                side,
                tif,
                stp,
                post_only: reader.bool()?,
                session: reader.u32()?,
                price,
                total,
                owner_ref: reader.u64()?,
                expire_at_ms: reader.u64()?,
                filled_ticklots: reader.u128()?,
                listed: 0,
            };
            let account = self.gate.find(account_id).ok_or(Malformed("an order without its account"))?;
            if details.expire_at_ms > DATE_MS_MAX
                || leaves == 0
                || leaves > total
                || self.index.contains_key(&order_id)
            {
                return Err(Malformed("an order that cannot rest"));
            }
            self.seat(at, Resting { id: order_id, leaves, group, owner: account }, details);
        }
        Ok(())
    }
}

impl Told {
    fn decode(reader: &mut Reader<'_>) -> Result<Told, Malformed> {
        Ok(Told {
            digest: reader.u64()?,
            code: code(reader)?,
            engine_seq: reader.u64()?,
            event_seq: reader.u64()?,
            time_ns: reader.u64()?,
        })
    }
}

impl Remembered {
    fn decode(reader: &mut Reader<'_>) -> Result<Remembered, Malformed> {
        let digest = reader.u64()?;
        let outcome = Outcome {
            code: code(reader)?,
            engine_seq: reader.u64()?,
            time_ns: reader.u64()?,
            order_id: reader.u64()?,
            filled: reader.u64()?,
            leaves: reader.u64()?,
            cancelled: reader.u32()?,
        };
        Ok(Remembered { digest, outcome })
    }
}

fn code(reader: &mut Reader<'_>) -> Result<Code, Malformed> {
    Code::from_number(i32::from(reader.u8()?)).ok_or(Malformed("no such code"))
}
