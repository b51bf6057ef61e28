//! What is traded under load, and who has what to trade with.

use std::path::Path;

use countersign_wire::v1::admin_client::AdminClient;
use countersign_wire::v1::transfers_client::TransfersClient;
use countersign_wire::v1::{
    AssetSpec, InstrumentKind, InstrumentSpec, InstrumentState, PutAssetRequest,
    PutInstrumentRequest, SetInstrumentStateRequest, Transfer, TransferBatch,
};

use crate::transport::{Address, connect};

pub const ACCOUNTS: u64 = 1_000;

/// Opens one market and gives every account plenty.
pub async fn prepare(admin: &Path, transfers: &Path) -> Result<(), String> {
    let failed = |status: tonic::Status| status.to_string();
    let mut admin = AdminClient::new(connect(&Address::Unix(admin.to_path_buf())).await?);
    for (asset_id, symbol) in [(1, "BTC"), (2, "USDT")] {
        let asset = Some(AssetSpec {
            asset_id,
            symbol: symbol.into(),
            decimals: 8,
        });
        admin
            .put_asset(PutAssetRequest {
                asset,
                reference: vec![],
            })
            .await
            .map_err(failed)?;
    }
    let instrument = Some(InstrumentSpec {
        instrument_id: 1,
        kind: InstrumentKind::Spot as i32,
        symbol: "BTC-USDT".into(),
        base_asset_id: 1,
        quote_asset_id: 2,
        base_units_per_lot: 1_000,
        quote_units_per_ticklot: 1,
        min_price_ticks: 1,
        max_price_ticks: 100_000_000,
        min_qty_lots: 1,
        max_qty_lots: 1_000_000,
        maker_fee_ppm: 800,
        taker_fee_ppm: 1_000,
        price_band_ppm: 0,
        reference_price_ticks: 0,
    });
    admin
        .put_instrument(PutInstrumentRequest {
            instrument,
            reference: vec![],
        })
        .await
        .map_err(failed)?;
    let state = InstrumentState::Open as i32;
    let open = SetInstrumentStateRequest {
        instrument_id: 1,
        state,
        reference: vec![],
        ..SetInstrumentStateRequest::default()
    };
    admin.set_instrument_state(open).await.map_err(failed)?;
    fund(transfers, ACCOUNTS).await
}

/// Gives every account up to this one plenty, unless it has it; the transfers are settled at once.
pub async fn fund(transfers: &Path, accounts: u64) -> Result<(), String> {
    let failed = |status: tonic::Status| status.to_string();
    let mut client = TransfersClient::new(connect(&Address::Unix(transfers.to_path_buf())).await?);
    let mut batch = TransferBatch::default();
    for account_id in 1..=accounts {
        for asset_id in [1u32, 2] {
            let mut transfer_id = vec![0; 16];
            transfer_id[..8].copy_from_slice(&account_id.to_le_bytes());
            transfer_id[15] = asset_id as u8;
            batch.transfers.push(Transfer {
                transfer_id,
                account_id,
                asset_id,
                into_venue: true,
                units_hi: 1,
                units_lo: 0,
            });
            if batch.transfers.len() == 1_000 {
                client
                    .submit(std::mem::take(&mut batch))
                    .await
                    .map_err(failed)?;
            }
        }
    }
    Ok(())
}
