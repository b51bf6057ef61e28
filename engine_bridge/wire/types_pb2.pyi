from google.protobuf.internal import containers as _containers
from google.protobuf.internal import enum_type_wrapper as _enum_type_wrapper
from google.protobuf import descriptor as _descriptor
from google.protobuf import message as _message
from collections.abc import Iterable as _Iterable, Mapping as _Mapping
from typing import ClassVar as _ClassVar, Optional as _Optional, Union as _Union

DESCRIPTOR: _descriptor.FileDescriptor

class Side(int, metaclass=_enum_type_wrapper.EnumTypeWrapper):
    __slots__ = ()
    SIDE_UNSPECIFIED: _ClassVar[Side]
    SIDE_BUY: _ClassVar[Side]
    SIDE_SELL: _ClassVar[Side]

class OrderKind(int, metaclass=_enum_type_wrapper.EnumTypeWrapper):
    __slots__ = ()
    ORDER_KIND_UNSPECIFIED: _ClassVar[OrderKind]
    ORDER_KIND_LIMIT: _ClassVar[OrderKind]
    ORDER_KIND_MARKET: _ClassVar[OrderKind]

class TimeInForce(int, metaclass=_enum_type_wrapper.EnumTypeWrapper):
    __slots__ = ()
    TIME_IN_FORCE_UNSPECIFIED: _ClassVar[TimeInForce]
    TIME_IN_FORCE_GTC: _ClassVar[TimeInForce]
    TIME_IN_FORCE_IOC: _ClassVar[TimeInForce]
    TIME_IN_FORCE_FOK: _ClassVar[TimeInForce]
    TIME_IN_FORCE_GTD: _ClassVar[TimeInForce]

class StpMode(int, metaclass=_enum_type_wrapper.EnumTypeWrapper):
    __slots__ = ()
    STP_MODE_UNSPECIFIED: _ClassVar[StpMode]
    STP_MODE_CANCEL_MAKER: _ClassVar[StpMode]
    STP_MODE_CANCEL_TAKER: _ClassVar[StpMode]
    STP_MODE_CANCEL_BOTH: _ClassVar[StpMode]

class InstrumentKind(int, metaclass=_enum_type_wrapper.EnumTypeWrapper):
    __slots__ = ()
    INSTRUMENT_KIND_UNSPECIFIED: _ClassVar[InstrumentKind]
    INSTRUMENT_KIND_SPOT: _ClassVar[InstrumentKind]
    INSTRUMENT_KIND_PERPETUAL: _ClassVar[InstrumentKind]
    INSTRUMENT_KIND_OUTCOME: _ClassVar[InstrumentKind]

class InstrumentState(int, metaclass=_enum_type_wrapper.EnumTypeWrapper):
    __slots__ = ()
    INSTRUMENT_STATE_UNSPECIFIED: _ClassVar[InstrumentState]
    INSTRUMENT_STATE_PREOPEN: _ClassVar[InstrumentState]
    INSTRUMENT_STATE_AUCTION: _ClassVar[InstrumentState]
    INSTRUMENT_STATE_OPEN: _ClassVar[InstrumentState]
    INSTRUMENT_STATE_POST_ONLY: _ClassVar[InstrumentState]
    INSTRUMENT_STATE_CANCEL_ONLY: _ClassVar[InstrumentState]
    INSTRUMENT_STATE_HALTED: _ClassVar[InstrumentState]
    INSTRUMENT_STATE_CLOSED: _ClassVar[InstrumentState]

class ShardState(int, metaclass=_enum_type_wrapper.EnumTypeWrapper):
    __slots__ = ()
    SHARD_STATE_UNSPECIFIED: _ClassVar[ShardState]
    SHARD_STATE_RECOVERING: _ClassVar[ShardState]
    SHARD_STATE_STANDBY: _ClassVar[ShardState]
    SHARD_STATE_RUNNING: _ClassVar[ShardState]
    SHARD_STATE_DRAINING: _ClassVar[ShardState]
    SHARD_STATE_UPGRADING: _ClassVar[ShardState]
    SHARD_STATE_FAILED: _ClassVar[ShardState]

class Durability(int, metaclass=_enum_type_wrapper.EnumTypeWrapper):
    __slots__ = ()
    DURABILITY_UNSPECIFIED: _ClassVar[Durability]
    DURABILITY_DISK: _ClassVar[Durability]
    DURABILITY_MEMORY: _ClassVar[Durability]
    DURABILITY_DISK_AND_REPLICA: _ClassVar[Durability]

class DoneReason(int, metaclass=_enum_type_wrapper.EnumTypeWrapper):
    __slots__ = ()
    DONE_REASON_UNSPECIFIED: _ClassVar[DoneReason]
    DONE_REASON_FILLED: _ClassVar[DoneReason]
    DONE_REASON_CANCELLED: _ClassVar[DoneReason]
    DONE_REASON_IOC_REMAINDER: _ClassVar[DoneReason]
    DONE_REASON_EXPIRED: _ClassVar[DoneReason]
    DONE_REASON_STP: _ClassVar[DoneReason]
    DONE_REASON_MASS_CANCEL: _ClassVar[DoneReason]
    DONE_REASON_CANCEL_ALL_AFTER: _ClassVar[DoneReason]
    DONE_REASON_DISCONNECT: _ClassVar[DoneReason]
    DONE_REASON_AMEND_FAILED: _ClassVar[DoneReason]
    DONE_REASON_BUDGET_SPENT: _ClassVar[DoneReason]

class ResultCode(int, metaclass=_enum_type_wrapper.EnumTypeWrapper):
    __slots__ = ()
    RESULT_CODE_UNSPECIFIED: _ClassVar[ResultCode]
    RESULT_CODE_OK: _ClassVar[ResultCode]
    RESULT_CODE_BAD_COMMAND: _ClassVar[ResultCode]
    RESULT_CODE_EXPIRED: _ClassVar[ResultCode]
    RESULT_CODE_COMMAND_MISMATCH: _ClassVar[ResultCode]
    RESULT_CODE_UNKNOWN_COMMAND: _ClassVar[ResultCode]
    RESULT_CODE_UNKNOWN_INSTRUMENT: _ClassVar[ResultCode]
    RESULT_CODE_UNKNOWN_ASSET: _ClassVar[ResultCode]
    RESULT_CODE_UNKNOWN_ORDER: _ClassVar[ResultCode]
    RESULT_CODE_NOT_OWNER: _ClassVar[ResultCode]
    RESULT_CODE_DUPLICATE_ORDER_ID: _ClassVar[ResultCode]
    RESULT_CODE_INSTRUMENT_STATE: _ClassVar[ResultCode]
    RESULT_CODE_PRICE_OUT_OF_RANGE: _ClassVar[ResultCode]
    RESULT_CODE_PRICE_BAND: _ClassVar[ResultCode]
    RESULT_CODE_QUANTITY_OUT_OF_RANGE: _ClassVar[ResultCode]
    RESULT_CODE_INSUFFICIENT_BALANCE: _ClassVar[ResultCode]
    RESULT_CODE_NO_LIQUIDITY: _ClassVar[ResultCode]
    RESULT_CODE_WOULD_TAKE: _ClassVar[ResultCode]
    RESULT_CODE_FOK_UNFILLABLE: _ClassVar[ResultCode]
    RESULT_CODE_SELF_TRADE: _ClassVar[ResultCode]
    RESULT_CODE_TOO_MANY_ORDERS: _ClassVar[ResultCode]
    RESULT_CODE_NOT_EMPTY: _ClassVar[ResultCode]
    RESULT_CODE_UNSUPPORTED: _ClassVar[ResultCode]
    RESULT_CODE_OVERFLOW: _ClassVar[ResultCode]
    RESULT_CODE_UNCHANGED: _ClassVar[ResultCode]
    RESULT_CODE_FORGOTTEN: _ClassVar[ResultCode]
    RESULT_CODE_DRAINING: _ClassVar[ResultCode]
    RESULT_CODE_BUSY: _ClassVar[ResultCode]
    RESULT_CODE_NOT_LEADER: _ClassVar[ResultCode]
    RESULT_CODE_FAILED: _ClassVar[ResultCode]
    RESULT_CODE_SESSION_GAP: _ClassVar[ResultCode]
    RESULT_CODE_UNCONFIRMED: _ClassVar[ResultCode]
    RESULT_CODE_OVERTAKEN: _ClassVar[ResultCode]
SIDE_UNSPECIFIED: Side
SIDE_BUY: Side
SIDE_SELL: Side
ORDER_KIND_UNSPECIFIED: OrderKind
ORDER_KIND_LIMIT: OrderKind
ORDER_KIND_MARKET: OrderKind
TIME_IN_FORCE_UNSPECIFIED: TimeInForce
TIME_IN_FORCE_GTC: TimeInForce
TIME_IN_FORCE_IOC: TimeInForce
TIME_IN_FORCE_FOK: TimeInForce
TIME_IN_FORCE_GTD: TimeInForce
STP_MODE_UNSPECIFIED: StpMode
STP_MODE_CANCEL_MAKER: StpMode
STP_MODE_CANCEL_TAKER: StpMode
STP_MODE_CANCEL_BOTH: StpMode
INSTRUMENT_KIND_UNSPECIFIED: InstrumentKind
INSTRUMENT_KIND_SPOT: InstrumentKind
INSTRUMENT_KIND_PERPETUAL: InstrumentKind
INSTRUMENT_KIND_OUTCOME: InstrumentKind
INSTRUMENT_STATE_UNSPECIFIED: InstrumentState
INSTRUMENT_STATE_PREOPEN: InstrumentState
INSTRUMENT_STATE_AUCTION: InstrumentState
INSTRUMENT_STATE_OPEN: InstrumentState
INSTRUMENT_STATE_POST_ONLY: InstrumentState
INSTRUMENT_STATE_CANCEL_ONLY: InstrumentState
INSTRUMENT_STATE_HALTED: InstrumentState
INSTRUMENT_STATE_CLOSED: InstrumentState
SHARD_STATE_UNSPECIFIED: ShardState
SHARD_STATE_RECOVERING: ShardState
SHARD_STATE_STANDBY: ShardState
SHARD_STATE_RUNNING: ShardState
SHARD_STATE_DRAINING: ShardState
SHARD_STATE_UPGRADING: ShardState
SHARD_STATE_FAILED: ShardState
DURABILITY_UNSPECIFIED: Durability
DURABILITY_DISK: Durability
DURABILITY_MEMORY: Durability
DURABILITY_DISK_AND_REPLICA: Durability
DONE_REASON_UNSPECIFIED: DoneReason
DONE_REASON_FILLED: DoneReason
DONE_REASON_CANCELLED: DoneReason
DONE_REASON_IOC_REMAINDER: DoneReason
DONE_REASON_EXPIRED: DoneReason
DONE_REASON_STP: DoneReason
DONE_REASON_MASS_CANCEL: DoneReason
DONE_REASON_CANCEL_ALL_AFTER: DoneReason
DONE_REASON_DISCONNECT: DoneReason
DONE_REASON_AMEND_FAILED: DoneReason
DONE_REASON_BUDGET_SPENT: DoneReason
RESULT_CODE_UNSPECIFIED: ResultCode
RESULT_CODE_OK: ResultCode
RESULT_CODE_BAD_COMMAND: ResultCode
RESULT_CODE_EXPIRED: ResultCode
RESULT_CODE_COMMAND_MISMATCH: ResultCode
RESULT_CODE_UNKNOWN_COMMAND: ResultCode
RESULT_CODE_UNKNOWN_INSTRUMENT: ResultCode
RESULT_CODE_UNKNOWN_ASSET: ResultCode
RESULT_CODE_UNKNOWN_ORDER: ResultCode
RESULT_CODE_NOT_OWNER: ResultCode
RESULT_CODE_DUPLICATE_ORDER_ID: ResultCode
RESULT_CODE_INSTRUMENT_STATE: ResultCode
RESULT_CODE_PRICE_OUT_OF_RANGE: ResultCode
RESULT_CODE_PRICE_BAND: ResultCode
RESULT_CODE_QUANTITY_OUT_OF_RANGE: ResultCode
RESULT_CODE_INSUFFICIENT_BALANCE: ResultCode
RESULT_CODE_NO_LIQUIDITY: ResultCode
RESULT_CODE_WOULD_TAKE: ResultCode
RESULT_CODE_FOK_UNFILLABLE: ResultCode
RESULT_CODE_SELF_TRADE: ResultCode
RESULT_CODE_TOO_MANY_ORDERS: ResultCode
RESULT_CODE_NOT_EMPTY: ResultCode
RESULT_CODE_UNSUPPORTED: ResultCode
RESULT_CODE_OVERFLOW: ResultCode
RESULT_CODE_UNCHANGED: ResultCode
RESULT_CODE_FORGOTTEN: ResultCode
RESULT_CODE_DRAINING: ResultCode
RESULT_CODE_BUSY: ResultCode
RESULT_CODE_NOT_LEADER: ResultCode
RESULT_CODE_FAILED: ResultCode
RESULT_CODE_SESSION_GAP: ResultCode
RESULT_CODE_UNCONFIRMED: ResultCode
RESULT_CODE_OVERTAKEN: ResultCode

class Empty(_message.Message):
    __slots__ = ()
    def __init__(self) -> None: ...

class Amount(_message.Message):
    __slots__ = ("asset_id", "units_hi", "units_lo")
    ASSET_ID_FIELD_NUMBER: _ClassVar[int]
    UNITS_HI_FIELD_NUMBER: _ClassVar[int]
    UNITS_LO_FIELD_NUMBER: _ClassVar[int]
    asset_id: int
    units_hi: int
    units_lo: int
    def __init__(self, asset_id: _Optional[int] = ..., units_hi: _Optional[int] = ..., units_lo: _Optional[int] = ...) -> None: ...

class AssetSpec(_message.Message):
    __slots__ = ("asset_id", "symbol", "decimals")
    ASSET_ID_FIELD_NUMBER: _ClassVar[int]
    SYMBOL_FIELD_NUMBER: _ClassVar[int]
    DECIMALS_FIELD_NUMBER: _ClassVar[int]
    asset_id: int
    symbol: str
    decimals: int
    def __init__(self, asset_id: _Optional[int] = ..., symbol: _Optional[str] = ..., decimals: _Optional[int] = ...) -> None: ...

class InstrumentSpec(_message.Message):
    __slots__ = ("instrument_id", "kind", "symbol", "base_asset_id", "quote_asset_id", "base_units_per_lot", "quote_units_per_ticklot", "min_price_ticks", "max_price_ticks", "min_qty_lots", "max_qty_lots", "maker_fee_ppm", "taker_fee_ppm", "price_band_ppm", "reference_price_ticks")
    INSTRUMENT_ID_FIELD_NUMBER: _ClassVar[int]
    KIND_FIELD_NUMBER: _ClassVar[int]
    SYMBOL_FIELD_NUMBER: _ClassVar[int]
    BASE_ASSET_ID_FIELD_NUMBER: _ClassVar[int]
    QUOTE_ASSET_ID_FIELD_NUMBER: _ClassVar[int]
    BASE_UNITS_PER_LOT_FIELD_NUMBER: _ClassVar[int]
    QUOTE_UNITS_PER_TICKLOT_FIELD_NUMBER: _ClassVar[int]
    MIN_PRICE_TICKS_FIELD_NUMBER: _ClassVar[int]
    MAX_PRICE_TICKS_FIELD_NUMBER: _ClassVar[int]
    MIN_QTY_LOTS_FIELD_NUMBER: _ClassVar[int]
    MAX_QTY_LOTS_FIELD_NUMBER: _ClassVar[int]
    MAKER_FEE_PPM_FIELD_NUMBER: _ClassVar[int]
    TAKER_FEE_PPM_FIELD_NUMBER: _ClassVar[int]
    PRICE_BAND_PPM_FIELD_NUMBER: _ClassVar[int]
    REFERENCE_PRICE_TICKS_FIELD_NUMBER: _ClassVar[int]
    instrument_id: int
    kind: InstrumentKind
    symbol: str
    base_asset_id: int
    quote_asset_id: int
    base_units_per_lot: int
    quote_units_per_ticklot: int
    min_price_ticks: int
    max_price_ticks: int
    min_qty_lots: int
    max_qty_lots: int
    maker_fee_ppm: int
    taker_fee_ppm: int
    price_band_ppm: int
    reference_price_ticks: int
    def __init__(self, instrument_id: _Optional[int] = ..., kind: _Optional[_Union[InstrumentKind, str]] = ..., symbol: _Optional[str] = ..., base_asset_id: _Optional[int] = ..., quote_asset_id: _Optional[int] = ..., base_units_per_lot: _Optional[int] = ..., quote_units_per_ticklot: _Optional[int] = ..., min_price_ticks: _Optional[int] = ..., max_price_ticks: _Optional[int] = ..., min_qty_lots: _Optional[int] = ..., max_qty_lots: _Optional[int] = ..., maker_fee_ppm: _Optional[int] = ..., taker_fee_ppm: _Optional[int] = ..., price_band_ppm: _Optional[int] = ..., reference_price_ticks: _Optional[int] = ...) -> None: ...

class Instrument(_message.Message):
    __slots__ = ("spec", "state", "last_price_ticks")
    SPEC_FIELD_NUMBER: _ClassVar[int]
    STATE_FIELD_NUMBER: _ClassVar[int]
    LAST_PRICE_TICKS_FIELD_NUMBER: _ClassVar[int]
    spec: InstrumentSpec
    state: InstrumentState
    last_price_ticks: int
    def __init__(self, spec: _Optional[_Union[InstrumentSpec, _Mapping]] = ..., state: _Optional[_Union[InstrumentState, str]] = ..., last_price_ticks: _Optional[int] = ...) -> None: ...

class ShardStatus(_message.Message):
    __slots__ = ("epoch", "state", "engine_seq", "durable_seq", "event_seq", "queue_depth", "logic_version", "state_hash", "state_hash_seq", "engine_time_ns", "snapshot_seq", "journal_bytes", "fsync_p50_us", "fsync_p99_us", "retry_after_ms", "consumers", "open_orders", "accounts", "version", "flush_us_buckets", "queue_limit", "awaits_confirmation")
    EPOCH_FIELD_NUMBER: _ClassVar[int]
    STATE_FIELD_NUMBER: _ClassVar[int]
    ENGINE_SEQ_FIELD_NUMBER: _ClassVar[int]
    DURABLE_SEQ_FIELD_NUMBER: _ClassVar[int]
    EVENT_SEQ_FIELD_NUMBER: _ClassVar[int]
    QUEUE_DEPTH_FIELD_NUMBER: _ClassVar[int]
    LOGIC_VERSION_FIELD_NUMBER: _ClassVar[int]
    STATE_HASH_FIELD_NUMBER: _ClassVar[int]
    STATE_HASH_SEQ_FIELD_NUMBER: _ClassVar[int]
    ENGINE_TIME_NS_FIELD_NUMBER: _ClassVar[int]
    SNAPSHOT_SEQ_FIELD_NUMBER: _ClassVar[int]
    JOURNAL_BYTES_FIELD_NUMBER: _ClassVar[int]
    FSYNC_P50_US_FIELD_NUMBER: _ClassVar[int]
    FSYNC_P99_US_FIELD_NUMBER: _ClassVar[int]
    RETRY_AFTER_MS_FIELD_NUMBER: _ClassVar[int]
    CONSUMERS_FIELD_NUMBER: _ClassVar[int]
    OPEN_ORDERS_FIELD_NUMBER: _ClassVar[int]
    ACCOUNTS_FIELD_NUMBER: _ClassVar[int]
    VERSION_FIELD_NUMBER: _ClassVar[int]
    FLUSH_US_BUCKETS_FIELD_NUMBER: _ClassVar[int]
    QUEUE_LIMIT_FIELD_NUMBER: _ClassVar[int]
    AWAITS_CONFIRMATION_FIELD_NUMBER: _ClassVar[int]
    epoch: int
    state: ShardState
    engine_seq: int
    durable_seq: int
    event_seq: int
    queue_depth: int
    logic_version: int
    state_hash: bytes
    state_hash_seq: int
    engine_time_ns: int
    snapshot_seq: int
    journal_bytes: int
    fsync_p50_us: int
    fsync_p99_us: int
    retry_after_ms: int
    consumers: _containers.RepeatedCompositeFieldContainer[ConsumerStatus]
    open_orders: int
    accounts: int
    version: str
    flush_us_buckets: _containers.RepeatedScalarFieldContainer[int]
    queue_limit: int
    awaits_confirmation: bool
    def __init__(self, epoch: _Optional[int] = ..., state: _Optional[_Union[ShardState, str]] = ..., engine_seq: _Optional[int] = ..., durable_seq: _Optional[int] = ..., event_seq: _Optional[int] = ..., queue_depth: _Optional[int] = ..., logic_version: _Optional[int] = ..., state_hash: _Optional[bytes] = ..., state_hash_seq: _Optional[int] = ..., engine_time_ns: _Optional[int] = ..., snapshot_seq: _Optional[int] = ..., journal_bytes: _Optional[int] = ..., fsync_p50_us: _Optional[int] = ..., fsync_p99_us: _Optional[int] = ..., retry_after_ms: _Optional[int] = ..., consumers: _Optional[_Iterable[_Union[ConsumerStatus, _Mapping]]] = ..., open_orders: _Optional[int] = ..., accounts: _Optional[int] = ..., version: _Optional[str] = ..., flush_us_buckets: _Optional[_Iterable[int]] = ..., queue_limit: _Optional[int] = ..., awaits_confirmation: _Optional[bool] = ...) -> None: ...

class ConsumerStatus(_message.Message):
    __slots__ = ("name", "sent_event_seq")
    NAME_FIELD_NUMBER: _ClassVar[int]
    SENT_EVENT_SEQ_FIELD_NUMBER: _ClassVar[int]
    name: str
    sent_event_seq: int
    def __init__(self, name: _Optional[str] = ..., sent_event_seq: _Optional[int] = ...) -> None: ...
