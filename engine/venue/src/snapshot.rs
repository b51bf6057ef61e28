//! The whole state as bytes, and back.
//!
//! The bytes are canonical: a state that was read back writes the same ones again. So the hash over them names the
//! state, and a snapshot proves itself.

use countersign_book::{Book, Resting};
use countersign_risk::Balance;

use crate::auction::{Call, Indication};
use crate::codec::{Chain, Malformed, Put, Reader};
use crate::command::{AssetSpec, InstrumentSpec, Scope, Side, State, Tif, side_from_number, stp_from_number};
use crate::dedupe::{Outcome, Remembered};
use crate::event::Code;
use crate::logic::{SESSIONS_END, is_known};
use crate::market::{Details, Market};
use crate::screen::DATE_MS_MAX;
use crate::sessions::Sessions;
use crate::state::{Asset, Timer, Venue};
use crate::transfers::Told;

impl Venue {
    /// A hash over [`Venue::snapshot`]: balances, books and remembered outcomes included.
    pub fn state_hash(&self) -> [u8; 32] {
        hash(&self.snapshot())
    }

    pub fn snapshot(&self) -> Vec<u8> {
        let mut out = Vec::new();
        for number in [self.epoch, self.engine_seq, self.event_seq, self.time_ns] {
            out.put_u64(number);
        }
        out.extend_from_slice(&self.chain.bytes());
        self.write_balances(&mut out);
        out.put_u64(self.markets.len() as u64);
        for market in &self.markets {
            self.write_market(market, &mut out);
        }
        self.sessions.encode(&mut out);
        out.put_u64(self.transfer_log.len() as u64);
        for id in self.transfer_log.values() {
            out.put_id(id);
            self.transfers.get(id).expect("it is in the log").encode(&mut out);
        }
        out.put_u64(self.switches.len() as u64);
        for (account, at) in &self.switches {
            out.put_u64(*account);
            out.put_u64(*at);
        }
        let remembered = self.dedupe.current(self.time_ns / 1_000_000);
        out.put_u64(remembered.len() as u64);
        for (id, remembered) in remembered {
            out.put_id(&id);
            remembered.encode(&mut out);
        }
        // The first rules are not named: states were written before there could be others.
        if self.logic != 1 {
            out.put_u32(self.logic);
        }
        if self.logic >= SESSIONS_END {
            self.sessions.encode_streams(&mut out);
        }
        out
    }

    /// Accounts in the order in which they came, each with its own fees and a balance per asset.
    fn write_balances(&self, out: &mut Vec<u8>) {
        let mut assets: Vec<&Asset> = self.assets.values().collect();
        assets.sort_unstable_by_key(|asset| asset.index);
        out.put_u64(assets.len() as u64);
        for asset in &assets {
            asset.spec.encode(out);
        }
        out.put_u64(self.gate.len() as u64);
        for handle in 0..self.gate.len() as u32 {
            out.put_u64(self.gate.account(handle));
            let fees = self.fees.get(handle as usize);
            out.put_bool(fees.is_some());
            if let Some((maker, taker)) = fees {
                out.put_u32(maker);
                out.put_u32(taker);
            }
            for asset in &assets {
                let balance = self.gate.balance(asset.index, handle);
                out.put_u128(balance.available);
                out.put_u128(balance.held);
            }
        }
    }

    fn write_market(&self, market: &Market, out: &mut Vec<u8>) {
        market.spec.encode(out);
        out.put_u8(market.state as u8);
        out.put_i64(market.last_price);
        out.put_bool(market.call.is_some());
        if let Some(call) = &market.call {
            call.told.encode(out);
            out.put_u64(call.due_ns);
        }
        out.put_u64(market.book.len() as u64);
        for side in [Side::Buy, Side::Sell] {
            for (price, slot, order) in market.book.orders(side) {
                let details = &market.details[slot as usize];
                out.put_u8(side as u8);
                out.put_u64(order.id);
                out.put_u64(self.gate.account(order.owner));
                out.put_i64(price);
                out.put_u64(order.leaves);
                out.put_u64(details.total);
                out.put_u64(order.group);
                out.put_u8(details.stp as u8);
                out.put_u8(details.tif as u8);
                out.put_bool(details.post_only);
                out.put_u32(details.session);
                out.put_u64(details.owner_ref);
                out.put_u64(details.expire_at_ms);
                out.put_u128(details.filled_ticklots);
            }
        }
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
        if venue.snapshot() != bytes {
            return Err(Malformed("the state does not write itself again"));
        }
        Ok(venue)
    }

    /// Lists every order among its owner's, in book order, so that turns rise within each queue.
    fn list_standing(&mut self) -> Result<(), Malformed> {
        for place in self.in_scope(&Scope::default()) {
            let market = &mut self.markets[place.market as usize];
            let details = &mut market.details[place.slot as usize];
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
            details: Vec::new(),
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

pub fn hash(bytes: &[u8]) -> [u8; 32] {
    let mut chain = Chain::default();
    chain.absorb(bytes);
    chain.bytes()
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
