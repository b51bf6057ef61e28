//! Money in and out, once per transfer id.

use crate::codec::Put;
use crate::command::Transfer;
use crate::event::{Amount, Body, Code, Output};
use crate::state::Venue;

/// What became of a transfer; kept until settlement acknowledges its event.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Told {
    pub digest: u64,
    pub code: Code,
    pub engine_seq: u64,
    pub event_seq: u64,
    pub time_ns: u64,
}

impl Told {
    pub(crate) fn encode(&self, out: &mut Vec<u8>) {
        out.put_u64(self.digest);
        out.put_u8(self.code as u8);
        out.put_u64(self.engine_seq);
        out.put_u64(self.event_seq);
        out.put_u64(self.time_ns);
    }
}

impl Venue {
    pub(crate) fn transfer(&mut self, transfer: &Transfer, digest: u64, out: &mut Output) -> Code {
        let code = self.move_money(transfer);
        let amount = Amount { asset_id: transfer.asset_id, units: transfer.units };
        self.emit(
            0,
            &Body::Transfer {
                transfer_id: transfer.transfer_id,
                account_id: transfer.account_id,
                into_venue: transfer.into_venue,
                amount,
                code,
            },
            out,
        );
        let told = Told {
            digest,
            code,
            engine_seq: self.engine_seq,
            event_seq: self.event_seq,
            time_ns: self.time_ns,
        };
        self.transfers.insert(transfer.transfer_id, told);
        self.transfer_log.insert(self.event_seq, transfer.transfer_id);
        code
    }

    fn move_money(&mut self, transfer: &Transfer) -> Code {
        let Some(asset) = self.assets.get(&transfer.asset_id) else { return Code::UnknownAsset };
        let index = asset.index;
        if transfer.into_venue {
            let account = self.gate.open(transfer.account_id);
            match self.gate.transfer_in(index, account, transfer.units) {
                Ok(()) => Code::Ok,
                Err(_) => Code::Overflow,
            }
        } else {
            let Some(account) = self.gate.find(transfer.account_id) else { return Code::InsufficientBalance };
            match self.gate.transfer_out(index, account, transfer.units) {
                Ok(()) => Code::Ok,
                Err(_) => Code::InsufficientBalance,
            }
        }
    }

    pub(crate) fn forget_transfers(&mut self, through_event_seq: u64) -> u64 {
        let kept = self.transfer_log.split_off(&through_event_seq.saturating_add(1));
        let forgotten = std::mem::replace(&mut self.transfer_log, kept);
        for id in forgotten.values() {
            self.transfers.remove(id);
        }
        forgotten.len() as u64
    }

    /// What became of a transfer, as far as it is remembered.
    pub fn told_transfer(&self, transfer_id: &[u8; 16]) -> Option<&Told> {
        self.transfers.get(transfer_id)
    }
}
