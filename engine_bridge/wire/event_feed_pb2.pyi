from engine_bridge.wire import types_pb2 as _types_pb2
from google.protobuf.internal import containers as _containers
from google.protobuf import descriptor as _descriptor
from google.protobuf import message as _message
from collections.abc import Iterable as _Iterable, Mapping as _Mapping
from typing import ClassVar as _ClassVar, Optional as _Optional, Union as _Union

DESCRIPTOR: _descriptor.FileDescriptor

class SubscribeRequest(_message.Message):
    __slots__ = ("from_event_seq", "max_events", "heartbeat_ms", "consumer")
    FROM_EVENT_SEQ_FIELD_NUMBER: _ClassVar[int]
    MAX_EVENTS_FIELD_NUMBER: _ClassVar[int]
    HEARTBEAT_MS_FIELD_NUMBER: _ClassVar[int]
    CONSUMER_FIELD_NUMBER: _ClassVar[int]
    from_event_seq: int
    max_events: int
    heartbeat_ms: int
    consumer: str
    def __init__(self, from_event_seq: _Optional[int] = ..., max_events: _Optional[int] = ..., heartbeat_ms: _Optional[int] = ..., consumer: _Optional[str] = ...) -> None: ...

class EventBatch(_message.Message):
    __slots__ = ("epoch", "first_event_seq", "events", "state_hash", "state_hash_seq", "durable_event_seq")
    EPOCH_FIELD_NUMBER: _ClassVar[int]
    FIRST_EVENT_SEQ_FIELD_NUMBER: _ClassVar[int]
    EVENTS_FIELD_NUMBER: _ClassVar[int]
    STATE_HASH_FIELD_NUMBER: _ClassVar[int]
    STATE_HASH_SEQ_FIELD_NUMBER: _ClassVar[int]
    DURABLE_EVENT_SEQ_FIELD_NUMBER: _ClassVar[int]
    epoch: int
    first_event_seq: int
    events: _containers.RepeatedCompositeFieldContainer[Event]
    state_hash: bytes
    state_hash_seq: int
    durable_event_seq: int
    def __init__(self, epoch: _Optional[int] = ..., first_event_seq: _Optional[int] = ..., events: _Optional[_Iterable[_Union[Event, _Mapping]]] = ..., state_hash: _Optional[bytes] = ..., state_hash_seq: _Optional[int] = ..., durable_event_seq: _Optional[int] = ...) -> None: ...

class Event(_message.Message):
    __slots__ = ("event_seq", "engine_seq", "engine_time_ns", "instrument_id", "accepted", "rejected", "trade", "done", "amended", "instrument", "marker", "auction", "transfer_applied", "transfer_rejected", "asset", "amend_rejected", "account")
    EVENT_SEQ_FIELD_NUMBER: _ClassVar[int]
    ENGINE_SEQ_FIELD_NUMBER: _ClassVar[int]
    ENGINE_TIME_NS_FIELD_NUMBER: _ClassVar[int]
    INSTRUMENT_ID_FIELD_NUMBER: _ClassVar[int]
    ACCEPTED_FIELD_NUMBER: _ClassVar[int]
    REJECTED_FIELD_NUMBER: _ClassVar[int]
    TRADE_FIELD_NUMBER: _ClassVar[int]
    DONE_FIELD_NUMBER: _ClassVar[int]
    AMENDED_FIELD_NUMBER: _ClassVar[int]
    INSTRUMENT_FIELD_NUMBER: _ClassVar[int]
    MARKER_FIELD_NUMBER: _ClassVar[int]
    AUCTION_FIELD_NUMBER: _ClassVar[int]
    TRANSFER_APPLIED_FIELD_NUMBER: _ClassVar[int]
    TRANSFER_REJECTED_FIELD_NUMBER: _ClassVar[int]
    ASSET_FIELD_NUMBER: _ClassVar[int]
    AMEND_REJECTED_FIELD_NUMBER: _ClassVar[int]
    ACCOUNT_FIELD_NUMBER: _ClassVar[int]
    event_seq: int
    engine_seq: int
    engine_time_ns: int
    instrument_id: int
    accepted: OrderAccepted
    rejected: OrderRejected
    trade: Trade
    done: OrderDone
    amended: OrderAmended
    instrument: InstrumentChanged
    marker: ShardMarker
    auction: AuctionIndicative
    transfer_applied: TransferApplied
    transfer_rejected: TransferRejected
    asset: AssetChanged
    amend_rejected: AmendRejected
    account: AccountChanged
    def __init__(self, event_seq: _Optional[int] = ..., engine_seq: _Optional[int] = ..., engine_time_ns: _Optional[int] = ..., instrument_id: _Optional[int] = ..., accepted: _Optional[_Union[OrderAccepted, _Mapping]] = ..., rejected: _Optional[_Union[OrderRejected, _Mapping]] = ..., trade: _Optional[_Union[Trade, _Mapping]] = ..., done: _Optional[_Union[OrderDone, _Mapping]] = ..., amended: _Optional[_Union[OrderAmended, _Mapping]] = ..., instrument: _Optional[_Union[InstrumentChanged, _Mapping]] = ..., marker: _Optional[_Union[ShardMarker, _Mapping]] = ..., auction: _Optional[_Union[AuctionIndicative, _Mapping]] = ..., transfer_applied: _Optional[_Union[TransferApplied, _Mapping]] = ..., transfer_rejected: _Optional[_Union[TransferRejected, _Mapping]] = ..., asset: _Optional[_Union[AssetChanged, _Mapping]] = ..., amend_rejected: _Optional[_Union[AmendRejected, _Mapping]] = ..., account: _Optional[_Union[AccountChanged, _Mapping]] = ...) -> None: ...

class OrderAccepted(_message.Message):
    __slots__ = ("order_id", "account_id", "command_id", "side", "kind", "tif", "post_only", "price_ticks", "qty_lots", "budget_ticklots", "owner_ref", "stp_group", "stp", "expire_at_ms", "held")
    ORDER_ID_FIELD_NUMBER: _ClassVar[int]
    ACCOUNT_ID_FIELD_NUMBER: _ClassVar[int]
    COMMAND_ID_FIELD_NUMBER: _ClassVar[int]
    SIDE_FIELD_NUMBER: _ClassVar[int]
    KIND_FIELD_NUMBER: _ClassVar[int]
    TIF_FIELD_NUMBER: _ClassVar[int]
    POST_ONLY_FIELD_NUMBER: _ClassVar[int]
    PRICE_TICKS_FIELD_NUMBER: _ClassVar[int]
    QTY_LOTS_FIELD_NUMBER: _ClassVar[int]
    BUDGET_TICKLOTS_FIELD_NUMBER: _ClassVar[int]
    OWNER_REF_FIELD_NUMBER: _ClassVar[int]
    STP_GROUP_FIELD_NUMBER: _ClassVar[int]
    STP_FIELD_NUMBER: _ClassVar[int]
    EXPIRE_AT_MS_FIELD_NUMBER: _ClassVar[int]
    HELD_FIELD_NUMBER: _ClassVar[int]
    order_id: int
    account_id: int
    command_id: bytes
    side: _types_pb2.Side
    kind: _types_pb2.OrderKind
    tif: _types_pb2.TimeInForce
    post_only: bool
    price_ticks: int
    qty_lots: int
    budget_ticklots: int
    owner_ref: int
    stp_group: int
    stp: _types_pb2.StpMode
    expire_at_ms: int
    held: _types_pb2.Amount
    def __init__(self, order_id: _Optional[int] = ..., account_id: _Optional[int] = ..., command_id: _Optional[bytes] = ..., side: _Optional[_Union[_types_pb2.Side, str]] = ..., kind: _Optional[_Union[_types_pb2.OrderKind, str]] = ..., tif: _Optional[_Union[_types_pb2.TimeInForce, str]] = ..., post_only: _Optional[bool] = ..., price_ticks: _Optional[int] = ..., qty_lots: _Optional[int] = ..., budget_ticklots: _Optional[int] = ..., owner_ref: _Optional[int] = ..., stp_group: _Optional[int] = ..., stp: _Optional[_Union[_types_pb2.StpMode, str]] = ..., expire_at_ms: _Optional[int] = ..., held: _Optional[_Union[_types_pb2.Amount, _Mapping]] = ...) -> None: ...

class OrderRejected(_message.Message):
    __slots__ = ("order_id", "account_id", "command_id", "code")
    ORDER_ID_FIELD_NUMBER: _ClassVar[int]
    ACCOUNT_ID_FIELD_NUMBER: _ClassVar[int]
    COMMAND_ID_FIELD_NUMBER: _ClassVar[int]
    CODE_FIELD_NUMBER: _ClassVar[int]
    order_id: int
    account_id: int
    command_id: bytes
    code: _types_pb2.ResultCode
    def __init__(self, order_id: _Optional[int] = ..., account_id: _Optional[int] = ..., command_id: _Optional[bytes] = ..., code: _Optional[_Union[_types_pb2.ResultCode, str]] = ...) -> None: ...

class Trade(_message.Message):
    __slots__ = ("trade_id", "price_ticks", "qty_lots", "taker_side", "maker_order_id", "taker_order_id", "maker_leaves_lots", "taker_leaves_lots", "maker_account_id", "taker_account_id", "maker_fee", "taker_fee", "base", "quote", "maker_held", "taker_held", "auction")
    TRADE_ID_FIELD_NUMBER: _ClassVar[int]
    PRICE_TICKS_FIELD_NUMBER: _ClassVar[int]
    QTY_LOTS_FIELD_NUMBER: _ClassVar[int]
    TAKER_SIDE_FIELD_NUMBER: _ClassVar[int]
    MAKER_ORDER_ID_FIELD_NUMBER: _ClassVar[int]
    TAKER_ORDER_ID_FIELD_NUMBER: _ClassVar[int]
    MAKER_LEAVES_LOTS_FIELD_NUMBER: _ClassVar[int]
    TAKER_LEAVES_LOTS_FIELD_NUMBER: _ClassVar[int]
    MAKER_ACCOUNT_ID_FIELD_NUMBER: _ClassVar[int]
    TAKER_ACCOUNT_ID_FIELD_NUMBER: _ClassVar[int]
    MAKER_FEE_FIELD_NUMBER: _ClassVar[int]
    TAKER_FEE_FIELD_NUMBER: _ClassVar[int]
    BASE_FIELD_NUMBER: _ClassVar[int]
    QUOTE_FIELD_NUMBER: _ClassVar[int]
    MAKER_HELD_FIELD_NUMBER: _ClassVar[int]
    TAKER_HELD_FIELD_NUMBER: _ClassVar[int]
    AUCTION_FIELD_NUMBER: _ClassVar[int]
    trade_id: int
    price_ticks: int
    qty_lots: int
    taker_side: _types_pb2.Side
    maker_order_id: int
    taker_order_id: int
    maker_leaves_lots: int
    taker_leaves_lots: int
    maker_account_id: int
    taker_account_id: int
    maker_fee: _types_pb2.Amount
    taker_fee: _types_pb2.Amount
    base: _types_pb2.Amount
    quote: _types_pb2.Amount
    maker_held: _types_pb2.Amount
    taker_held: _types_pb2.Amount
    auction: bool
    def __init__(self, trade_id: _Optional[int] = ..., price_ticks: _Optional[int] = ..., qty_lots: _Optional[int] = ..., taker_side: _Optional[_Union[_types_pb2.Side, str]] = ..., maker_order_id: _Optional[int] = ..., taker_order_id: _Optional[int] = ..., maker_leaves_lots: _Optional[int] = ..., taker_leaves_lots: _Optional[int] = ..., maker_account_id: _Optional[int] = ..., taker_account_id: _Optional[int] = ..., maker_fee: _Optional[_Union[_types_pb2.Amount, _Mapping]] = ..., taker_fee: _Optional[_Union[_types_pb2.Amount, _Mapping]] = ..., base: _Optional[_Union[_types_pb2.Amount, _Mapping]] = ..., quote: _Optional[_Union[_types_pb2.Amount, _Mapping]] = ..., maker_held: _Optional[_Union[_types_pb2.Amount, _Mapping]] = ..., taker_held: _Optional[_Union[_types_pb2.Amount, _Mapping]] = ..., auction: _Optional[bool] = ...) -> None: ...

class OrderDone(_message.Message):
    __slots__ = ("order_id", "reason", "filled_lots", "cancelled_lots", "filled_ticklots_hi", "filled_ticklots_lo", "account_id", "released")
    ORDER_ID_FIELD_NUMBER: _ClassVar[int]
    REASON_FIELD_NUMBER: _ClassVar[int]
    FILLED_LOTS_FIELD_NUMBER: _ClassVar[int]
    CANCELLED_LOTS_FIELD_NUMBER: _ClassVar[int]
    FILLED_TICKLOTS_HI_FIELD_NUMBER: _ClassVar[int]
    FILLED_TICKLOTS_LO_FIELD_NUMBER: _ClassVar[int]
    ACCOUNT_ID_FIELD_NUMBER: _ClassVar[int]
    RELEASED_FIELD_NUMBER: _ClassVar[int]
    order_id: int
    reason: _types_pb2.DoneReason
    filled_lots: int
    cancelled_lots: int
    filled_ticklots_hi: int
    filled_ticklots_lo: int
    account_id: int
    released: _types_pb2.Amount
    def __init__(self, order_id: _Optional[int] = ..., reason: _Optional[_Union[_types_pb2.DoneReason, str]] = ..., filled_lots: _Optional[int] = ..., cancelled_lots: _Optional[int] = ..., filled_ticklots_hi: _Optional[int] = ..., filled_ticklots_lo: _Optional[int] = ..., account_id: _Optional[int] = ..., released: _Optional[_Union[_types_pb2.Amount, _Mapping]] = ...) -> None: ...

class OrderAmended(_message.Message):
    __slots__ = ("order_id", "account_id", "command_id", "price_ticks", "total_qty_lots", "leaves_lots", "kept_priority", "held")
    ORDER_ID_FIELD_NUMBER: _ClassVar[int]
    ACCOUNT_ID_FIELD_NUMBER: _ClassVar[int]
    COMMAND_ID_FIELD_NUMBER: _ClassVar[int]
    PRICE_TICKS_FIELD_NUMBER: _ClassVar[int]
    TOTAL_QTY_LOTS_FIELD_NUMBER: _ClassVar[int]
    LEAVES_LOTS_FIELD_NUMBER: _ClassVar[int]
    KEPT_PRIORITY_FIELD_NUMBER: _ClassVar[int]
    HELD_FIELD_NUMBER: _ClassVar[int]
    order_id: int
    account_id: int
    command_id: bytes
    price_ticks: int
    total_qty_lots: int
    leaves_lots: int
    kept_priority: bool
    held: _types_pb2.Amount
    def __init__(self, order_id: _Optional[int] = ..., account_id: _Optional[int] = ..., command_id: _Optional[bytes] = ..., price_ticks: _Optional[int] = ..., total_qty_lots: _Optional[int] = ..., leaves_lots: _Optional[int] = ..., kept_priority: _Optional[bool] = ..., held: _Optional[_Union[_types_pb2.Amount, _Mapping]] = ...) -> None: ...

class AmendRejected(_message.Message):
    __slots__ = ("order_id", "account_id", "command_id", "code")
    ORDER_ID_FIELD_NUMBER: _ClassVar[int]
    ACCOUNT_ID_FIELD_NUMBER: _ClassVar[int]
    COMMAND_ID_FIELD_NUMBER: _ClassVar[int]
    CODE_FIELD_NUMBER: _ClassVar[int]
    order_id: int
    account_id: int
    command_id: bytes
    code: _types_pb2.ResultCode
    def __init__(self, order_id: _Optional[int] = ..., account_id: _Optional[int] = ..., command_id: _Optional[bytes] = ..., code: _Optional[_Union[_types_pb2.ResultCode, str]] = ...) -> None: ...

class InstrumentChanged(_message.Message):
    __slots__ = ("instrument", "reference")
    INSTRUMENT_FIELD_NUMBER: _ClassVar[int]
    REFERENCE_FIELD_NUMBER: _ClassVar[int]
    instrument: _types_pb2.Instrument
    reference: bytes
    def __init__(self, instrument: _Optional[_Union[_types_pb2.Instrument, _Mapping]] = ..., reference: _Optional[bytes] = ...) -> None: ...

class AssetChanged(_message.Message):
    __slots__ = ("asset",)
    ASSET_FIELD_NUMBER: _ClassVar[int]
    asset: _types_pb2.AssetSpec
    def __init__(self, asset: _Optional[_Union[_types_pb2.AssetSpec, _Mapping]] = ...) -> None: ...

class AccountChanged(_message.Message):
    __slots__ = ("account_id", "maker_fee_ppm", "taker_fee_ppm", "default_fees")
    ACCOUNT_ID_FIELD_NUMBER: _ClassVar[int]
    MAKER_FEE_PPM_FIELD_NUMBER: _ClassVar[int]
    TAKER_FEE_PPM_FIELD_NUMBER: _ClassVar[int]
    DEFAULT_FEES_FIELD_NUMBER: _ClassVar[int]
    account_id: int
    maker_fee_ppm: int
    taker_fee_ppm: int
    default_fees: bool
    def __init__(self, account_id: _Optional[int] = ..., maker_fee_ppm: _Optional[int] = ..., taker_fee_ppm: _Optional[int] = ..., default_fees: _Optional[bool] = ...) -> None: ...

class ShardMarker(_message.Message):
    __slots__ = ("epoch", "state", "logic_version")
    EPOCH_FIELD_NUMBER: _ClassVar[int]
    STATE_FIELD_NUMBER: _ClassVar[int]
    LOGIC_VERSION_FIELD_NUMBER: _ClassVar[int]
    epoch: int
    state: _types_pb2.ShardState
    logic_version: int
    def __init__(self, epoch: _Optional[int] = ..., state: _Optional[_Union[_types_pb2.ShardState, str]] = ..., logic_version: _Optional[int] = ...) -> None: ...

class AuctionIndicative(_message.Message):
    __slots__ = ("price_ticks", "matched_lots", "unmatched_lots", "unmatched_side", "uncrossed")
    PRICE_TICKS_FIELD_NUMBER: _ClassVar[int]
    MATCHED_LOTS_FIELD_NUMBER: _ClassVar[int]
    UNMATCHED_LOTS_FIELD_NUMBER: _ClassVar[int]
    UNMATCHED_SIDE_FIELD_NUMBER: _ClassVar[int]
    UNCROSSED_FIELD_NUMBER: _ClassVar[int]
    price_ticks: int
    matched_lots: int
    unmatched_lots: int
    unmatched_side: _types_pb2.Side
    uncrossed: bool
    def __init__(self, price_ticks: _Optional[int] = ..., matched_lots: _Optional[int] = ..., unmatched_lots: _Optional[int] = ..., unmatched_side: _Optional[_Union[_types_pb2.Side, str]] = ..., uncrossed: _Optional[bool] = ...) -> None: ...

class TransferApplied(_message.Message):
    __slots__ = ("transfer_id", "account_id", "into_venue", "amount")
    TRANSFER_ID_FIELD_NUMBER: _ClassVar[int]
    ACCOUNT_ID_FIELD_NUMBER: _ClassVar[int]
    INTO_VENUE_FIELD_NUMBER: _ClassVar[int]
    AMOUNT_FIELD_NUMBER: _ClassVar[int]
    transfer_id: bytes
    account_id: int
    into_venue: bool
    amount: _types_pb2.Amount
    def __init__(self, transfer_id: _Optional[bytes] = ..., account_id: _Optional[int] = ..., into_venue: _Optional[bool] = ..., amount: _Optional[_Union[_types_pb2.Amount, _Mapping]] = ...) -> None: ...

class TransferRejected(_message.Message):
    __slots__ = ("transfer_id", "account_id", "into_venue", "amount", "code")
    TRANSFER_ID_FIELD_NUMBER: _ClassVar[int]
    ACCOUNT_ID_FIELD_NUMBER: _ClassVar[int]
    INTO_VENUE_FIELD_NUMBER: _ClassVar[int]
    AMOUNT_FIELD_NUMBER: _ClassVar[int]
    CODE_FIELD_NUMBER: _ClassVar[int]
    transfer_id: bytes
    account_id: int
    into_venue: bool
    amount: _types_pb2.Amount
    code: _types_pb2.ResultCode
    def __init__(self, transfer_id: _Optional[bytes] = ..., account_id: _Optional[int] = ..., into_venue: _Optional[bool] = ..., amount: _Optional[_Union[_types_pb2.Amount, _Mapping]] = ..., code: _Optional[_Union[_types_pb2.ResultCode, str]] = ...) -> None: ...

class OpenOrdersRequest(_message.Message):
    __slots__ = ("account_id", "instrument_id")
    ACCOUNT_ID_FIELD_NUMBER: _ClassVar[int]
    INSTRUMENT_ID_FIELD_NUMBER: _ClassVar[int]
    account_id: int
    instrument_id: int
    def __init__(self, account_id: _Optional[int] = ..., instrument_id: _Optional[int] = ...) -> None: ...

class OpenOrdersChunk(_message.Message):
    __slots__ = ("epoch", "engine_seq", "event_seq", "orders", "last")
    EPOCH_FIELD_NUMBER: _ClassVar[int]
    ENGINE_SEQ_FIELD_NUMBER: _ClassVar[int]
    EVENT_SEQ_FIELD_NUMBER: _ClassVar[int]
    ORDERS_FIELD_NUMBER: _ClassVar[int]
    LAST_FIELD_NUMBER: _ClassVar[int]
    epoch: int
    engine_seq: int
    event_seq: int
    orders: _containers.RepeatedCompositeFieldContainer[OpenOrder]
    last: bool
    def __init__(self, epoch: _Optional[int] = ..., engine_seq: _Optional[int] = ..., event_seq: _Optional[int] = ..., orders: _Optional[_Iterable[_Union[OpenOrder, _Mapping]]] = ..., last: _Optional[bool] = ...) -> None: ...

class OpenOrder(_message.Message):
    __slots__ = ("order_id", "account_id", "instrument_id", "side", "price_ticks", "total_qty_lots", "leaves_lots", "owner_ref", "stp_group", "stp", "tif", "post_only", "expire_at_ms", "held", "filled_ticklots_hi", "filled_ticklots_lo")
    ORDER_ID_FIELD_NUMBER: _ClassVar[int]
    ACCOUNT_ID_FIELD_NUMBER: _ClassVar[int]
    INSTRUMENT_ID_FIELD_NUMBER: _ClassVar[int]
    SIDE_FIELD_NUMBER: _ClassVar[int]
    PRICE_TICKS_FIELD_NUMBER: _ClassVar[int]
    TOTAL_QTY_LOTS_FIELD_NUMBER: _ClassVar[int]
    LEAVES_LOTS_FIELD_NUMBER: _ClassVar[int]
    OWNER_REF_FIELD_NUMBER: _ClassVar[int]
    STP_GROUP_FIELD_NUMBER: _ClassVar[int]
    STP_FIELD_NUMBER: _ClassVar[int]
    TIF_FIELD_NUMBER: _ClassVar[int]
    POST_ONLY_FIELD_NUMBER: _ClassVar[int]
    EXPIRE_AT_MS_FIELD_NUMBER: _ClassVar[int]
    HELD_FIELD_NUMBER: _ClassVar[int]
    FILLED_TICKLOTS_HI_FIELD_NUMBER: _ClassVar[int]
    FILLED_TICKLOTS_LO_FIELD_NUMBER: _ClassVar[int]
    order_id: int
    account_id: int
    instrument_id: int
    side: _types_pb2.Side
    price_ticks: int
    total_qty_lots: int
    leaves_lots: int
    owner_ref: int
    stp_group: int
    stp: _types_pb2.StpMode
    tif: _types_pb2.TimeInForce
    post_only: bool
    expire_at_ms: int
    held: _types_pb2.Amount
    filled_ticklots_hi: int
    filled_ticklots_lo: int
    def __init__(self, order_id: _Optional[int] = ..., account_id: _Optional[int] = ..., instrument_id: _Optional[int] = ..., side: _Optional[_Union[_types_pb2.Side, str]] = ..., price_ticks: _Optional[int] = ..., total_qty_lots: _Optional[int] = ..., leaves_lots: _Optional[int] = ..., owner_ref: _Optional[int] = ..., stp_group: _Optional[int] = ..., stp: _Optional[_Union[_types_pb2.StpMode, str]] = ..., tif: _Optional[_Union[_types_pb2.TimeInForce, str]] = ..., post_only: _Optional[bool] = ..., expire_at_ms: _Optional[int] = ..., held: _Optional[_Union[_types_pb2.Amount, _Mapping]] = ..., filled_ticklots_hi: _Optional[int] = ..., filled_ticklots_lo: _Optional[int] = ...) -> None: ...

class BalancesRequest(_message.Message):
    __slots__ = ("account_ids", "paged", "from_place")
    ACCOUNT_IDS_FIELD_NUMBER: _ClassVar[int]
    PAGED_FIELD_NUMBER: _ClassVar[int]
    FROM_PLACE_FIELD_NUMBER: _ClassVar[int]
    account_ids: _containers.RepeatedScalarFieldContainer[int]
    paged: bool
    from_place: int
    def __init__(self, account_ids: _Optional[_Iterable[int]] = ..., paged: _Optional[bool] = ..., from_place: _Optional[int] = ...) -> None: ...

class BalancesChunk(_message.Message):
    __slots__ = ("epoch", "engine_seq", "event_seq", "balances", "last", "next_place")
    EPOCH_FIELD_NUMBER: _ClassVar[int]
    ENGINE_SEQ_FIELD_NUMBER: _ClassVar[int]
    EVENT_SEQ_FIELD_NUMBER: _ClassVar[int]
    BALANCES_FIELD_NUMBER: _ClassVar[int]
    LAST_FIELD_NUMBER: _ClassVar[int]
    NEXT_PLACE_FIELD_NUMBER: _ClassVar[int]
    epoch: int
    engine_seq: int
    event_seq: int
    balances: _containers.RepeatedCompositeFieldContainer[Balance]
    last: bool
    next_place: int
    def __init__(self, epoch: _Optional[int] = ..., engine_seq: _Optional[int] = ..., event_seq: _Optional[int] = ..., balances: _Optional[_Iterable[_Union[Balance, _Mapping]]] = ..., last: _Optional[bool] = ..., next_place: _Optional[int] = ...) -> None: ...

class Balance(_message.Message):
    __slots__ = ("account_id", "available", "held")
    ACCOUNT_ID_FIELD_NUMBER: _ClassVar[int]
    AVAILABLE_FIELD_NUMBER: _ClassVar[int]
    HELD_FIELD_NUMBER: _ClassVar[int]
    account_id: int
    available: _types_pb2.Amount
    held: _types_pb2.Amount
    def __init__(self, account_id: _Optional[int] = ..., available: _Optional[_Union[_types_pb2.Amount, _Mapping]] = ..., held: _Optional[_Union[_types_pb2.Amount, _Mapping]] = ...) -> None: ...
