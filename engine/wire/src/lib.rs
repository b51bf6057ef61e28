//! Messages and service traits of `proto/exchange/engine/v1`, as committed by `wiregen`.

pub use prost::bytes::Bytes;

/// Package `exchange.engine.v1`.
#[allow(clippy::all)]
#[rustfmt::skip]
#[path = "exchange.engine.v1.rs"]
pub mod v1;
