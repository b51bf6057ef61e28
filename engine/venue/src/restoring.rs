//! A state that was written, read back.

use countersign_book::{Book, Resting, Slab};
use countersign_risk::Balance;

use crate::auction::{Call, Indication, Uncross};
use crate::codec::{Chain, Malformed, Reader};
use crate::command::{AssetSpec, InstrumentSpec, Scope, State, Tif, side_from_number, stp_from_number};
use crate::dedupe::Remembered;
use crate::event::Code;
use crate::logic::{IN_PIECES, SESSIONS_END, is_known};
use crate::market::{Details, Market};
use crate::packed::Packed;
use crate::screen::DATE_MS_MAX;
use crate::sessions::Sessions;
use crate::state::{Asset, NS_PER_MS, Timer, Venue};
use crate::transfers::Told;

impl Venue {
    /// Reads a state back, and checks every promise that its bytes make.
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
        venue.dedupe.file_anew();
        if !reader.is_empty() {
            venue.logic = reader.u32()?;
            if !is_known(venue.logic) {
                return Err(Malformed("a state under rules that this program does not know"));
            }
        }
        if venue.logic >= SESSIONS_END {
            venue.sessions.decode_streams(&mut reader)?;
        }
        if venue.logic >= IN_PIECES {
            venue.read_uncrossings(&mut reader)?;
        }
        reader.finish()?;
        venue.timers.extend(venue.sessions.list()?);
        venue.list_standing()?;
        venue.audit_told().map_err(|_| Malformed("the state contradicts itself"))?;
        // Whatever came twice, or stood for nothing, is not there any more.
        if !venue.is_written_as(bytes) {
            return Err(Malformed("the state does not write itself again"));
        }
        Ok(venue)
    }

    /// Remembers what [`Venue::outcomes_since`] told, the oldest first. That of former snapshots may be more than a retry
    /// can ask for by now.
    pub fn recall(&mut self, packed: Packed) -> Result<(), Malformed> {
        if packed.last_seq > self.engine_seq {
            return Err(Malformed("an outcome of a command that was not applied yet"));
        }
        self.dedupe.recall(packed, self.time_ns / NS_PER_MS)
    }

    /// What [`Venue::outcomes_since`] told of ids up to this bucket's cannot be read any more: of such an id that is not
    /// found nobody says from now on that it never was applied, and nobody applies it.
    pub fn lose_outcomes(&mut self, through: u64) {
        self.dedupe.lose(through);
    }

    /// Whether a retry could still ask for something that is lost.
    pub fn misses_outcomes(&self) -> bool {
        self.dedupe.misses(self.time_ns / NS_PER_MS)
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

    /// Lists every order among its owner's, in book order, so that turns rise within each queue.
    fn list_standing(&mut self) -> Result<(), Malformed> {
        for place in self.in_scope(&Scope::default(), usize::MAX) {
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
            if self.assets.insert(spec.asset_id, Asset { spec, index }).is_some() {
                return Err(Malformed("an asset comes twice"));
            }
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

    fn read_uncrossings(&mut self, reader: &mut Reader<'_>) -> Result<(), Malformed> {
        for _ in 0..reader.u64()? {
            let at = reader.u32()? as usize;
            let uncross = Uncross::decode(reader)?;
            let call = self.markets.get_mut(at).and_then(|market| market.call.as_mut());
            call.ok_or(Malformed("an auction that nobody called is run"))?.uncross = Some(uncross);
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
            true => Some(Call { told: Indication::decode(reader)?, due_ns: reader.u64()?, uncross: None }),
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
                || price <= 0
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
            code: Code::decode(reader)?,
            engine_seq: reader.u64()?,
            event_seq: reader.u64()?,
            time_ns: reader.u64()?,
        })
    }
}
