//! What is listed, as bytes: the same in commands, events and snapshots.

use crate::codec::{Malformed, Put, Reader};
use crate::command::{AssetSpec, InstrumentSpec};

impl AssetSpec {
    pub fn encode(&self, out: &mut Vec<u8>) {
        out.put_u32(self.asset_id);
        out.put_text(&self.symbol);
        out.put_u32(self.decimals);
    }

    pub fn decode(reader: &mut Reader<'_>) -> Result<AssetSpec, Malformed> {
        Ok(AssetSpec { asset_id: reader.u32()?, symbol: reader.text()?, decimals: reader.u32()? })
    }
}

impl InstrumentSpec {
    pub fn encode(&self, out: &mut Vec<u8>) {
        out.put_u32(self.instrument_id);
        out.put_u32(self.kind);
        out.put_text(&self.symbol);
        out.put_u32(self.base_asset_id);
        out.put_u32(self.quote_asset_id);
        out.put_u64(self.base_units_per_lot);
        out.put_u64(self.quote_units_per_ticklot);
        out.put_i64(self.min_price);
        out.put_i64(self.max_price);
        out.put_u64(self.min_qty);
        out.put_u64(self.max_qty);
        out.put_u32(self.maker_fee_ppm);
        out.put_u32(self.taker_fee_ppm);
        out.put_u32(self.price_band_ppm);
        out.put_i64(self.reference_price);
    }

    pub fn decode(reader: &mut Reader<'_>) -> Result<InstrumentSpec, Malformed> {
        Ok(InstrumentSpec {
            instrument_id: reader.u32()?,
            kind: reader.u32()?,
            symbol: reader.text()?,
            base_asset_id: reader.u32()?,
            quote_asset_id: reader.u32()?,
            base_units_per_lot: reader.u64()?,
            quote_units_per_ticklot: reader.u64()?,
            min_price: reader.i64()?,
            max_price: reader.i64()?,
            min_qty: reader.u64()?,
            max_qty: reader.u64()?,
            maker_fee_ppm: reader.u32()?,
            taker_fee_ppm: reader.u32()?,
            price_band_ppm: reader.u32()?,
            reference_price: reader.i64()?,
        })
    }
}
