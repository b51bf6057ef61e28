from engine_bridge.wire import types_pb2 as _types_pb2
from google.protobuf.internal import containers as _containers
from google.protobuf import descriptor as _descriptor
from google.protobuf import message as _message
from collections.abc import Iterable as _Iterable, Mapping as _Mapping
from typing import ClassVar as _ClassVar, Optional as _Optional, Union as _Union

DESCRIPTOR: _descriptor.FileDescriptor

class ClientFrame(_message.Message):
    __slots__ = ("hello", "batch", "pong")
    HELLO_FIELD_NUMBER: _ClassVar[int]
    BATCH_FIELD_NUMBER: _ClassVar[int]
    PONG_FIELD_NUMBER: _ClassVar[int]
    hello: Hello
    batch: CommandBatch
    pong: Pong
    def __init__(self, hello: _Optional[_Union[Hello, _Mapping]] = ..., batch: _Optional[_Union[CommandBatch, _Mapping]] = ..., pong: _Optional[_Union[Pong, _Mapping]] = ...) -> None: ...

class ServerFrame(_message.Message):
    __slots__ = ("welcome", "results", "status", "ping")
    WELCOME_FIELD_NUMBER: _ClassVar[int]
    RESULTS_FIELD_NUMBER: _ClassVar[int]
    STATUS_FIELD_NUMBER: _ClassVar[int]
    PING_FIELD_NUMBER: _ClassVar[int]
    welcome: Welcome
    results: ResultBatch
    status: _types_pb2.ShardStatus
    ping: Ping
    def __init__(self, welcome: _Optional[_Union[Welcome, _Mapping]] = ..., results: _Optional[_Union[ResultBatch, _Mapping]] = ..., status: _Optional[_Union[_types_pb2.ShardStatus, _Mapping]] = ..., ping: _Optional[_Union[Ping, _Mapping]] = ...) -> None: ...

class Hello(_message.Message):
    __slots__ = ("protocol_version", "session_id", "next_session_seq", "cancel_on_disconnect")
    PROTOCOL_VERSION_FIELD_NUMBER: _ClassVar[int]
    SESSION_ID_FIELD_NUMBER: _ClassVar[int]
    NEXT_SESSION_SEQ_FIELD_NUMBER: _ClassVar[int]
    CANCEL_ON_DISCONNECT_FIELD_NUMBER: _ClassVar[int]
    protocol_version: int
    session_id: bytes
    next_session_seq: int
    cancel_on_disconnect: bool
    def __init__(self, protocol_version: _Optional[int] = ..., session_id: _Optional[bytes] = ..., next_session_seq: _Optional[int] = ..., cancel_on_disconnect: _Optional[bool] = ...) -> None: ...

class Welcome(_message.Message):
    __slots__ = ("epoch", "last_session_seq_applied", "durable_seq", "max_batch", "state")
    EPOCH_FIELD_NUMBER: _ClassVar[int]
    LAST_SESSION_SEQ_APPLIED_FIELD_NUMBER: _ClassVar[int]
    DURABLE_SEQ_FIELD_NUMBER: _ClassVar[int]
    MAX_BATCH_FIELD_NUMBER: _ClassVar[int]
    STATE_FIELD_NUMBER: _ClassVar[int]
    epoch: int
    last_session_seq_applied: int
    durable_seq: int
    max_batch: int
    state: _types_pb2.ShardState
    def __init__(self, epoch: _Optional[int] = ..., last_session_seq_applied: _Optional[int] = ..., durable_seq: _Optional[int] = ..., max_batch: _Optional[int] = ..., state: _Optional[_Union[_types_pb2.ShardState, str]] = ...) -> None: ...

class Ping(_message.Message):
    __slots__ = ("nonce",)
    NONCE_FIELD_NUMBER: _ClassVar[int]
    nonce: int
    def __init__(self, nonce: _Optional[int] = ...) -> None: ...

class Pong(_message.Message):
    __slots__ = ("nonce",)
    NONCE_FIELD_NUMBER: _ClassVar[int]
    nonce: int
    def __init__(self, nonce: _Optional[int] = ...) -> None: ...

class CommandBatch(_message.Message):
    __slots__ = ("commands",)
    COMMANDS_FIELD_NUMBER: _ClassVar[int]
    commands: _containers.RepeatedCompositeFieldContainer[Command]
    def __init__(self, commands: _Optional[_Iterable[_Union[Command, _Mapping]]] = ...) -> None: ...

class Command(_message.Message):
    __slots__ = ("command_id", "session_seq", "expires_at_ms", "new_order", "cancel", "amend", "cancel_all", "cancel_all_after")
    COMMAND_ID_FIELD_NUMBER: _ClassVar[int]
    SESSION_SEQ_FIELD_NUMBER: _ClassVar[int]
    EXPIRES_AT_MS_FIELD_NUMBER: _ClassVar[int]
    NEW_ORDER_FIELD_NUMBER: _ClassVar[int]
    CANCEL_FIELD_NUMBER: _ClassVar[int]
    AMEND_FIELD_NUMBER: _ClassVar[int]
    CANCEL_ALL_FIELD_NUMBER: _ClassVar[int]
    CANCEL_ALL_AFTER_FIELD_NUMBER: _ClassVar[int]
    command_id: bytes
    session_seq: int
    expires_at_ms: int
    new_order: NewOrder
    cancel: CancelOrder
    amend: AmendOrder
    cancel_all: CancelAll
    cancel_all_after: CancelAllAfter
    def __init__(self, command_id: _Optional[bytes] = ..., session_seq: _Optional[int] = ..., expires_at_ms: _Optional[int] = ..., new_order: _Optional[_Union[NewOrder, _Mapping]] = ..., cancel: _Optional[_Union[CancelOrder, _Mapping]] = ..., amend: _Optional[_Union[AmendOrder, _Mapping]] = ..., cancel_all: _Optional[_Union[CancelAll, _Mapping]] = ..., cancel_all_after: _Optional[_Union[CancelAllAfter, _Mapping]] = ...) -> None: ...

class NewOrder(_message.Message):
    __slots__ = ("order_id", "instrument_id", "side", "kind", "tif", "post_only", "price_ticks", "qty_lots", "budget_ticklots", "owner_ref", "stp_group", "stp", "expire_at_ms", "account_id", "reduce_only")
    ORDER_ID_FIELD_NUMBER: _ClassVar[int]
    INSTRUMENT_ID_FIELD_NUMBER: _ClassVar[int]
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
    ACCOUNT_ID_FIELD_NUMBER: _ClassVar[int]
    REDUCE_ONLY_FIELD_NUMBER: _ClassVar[int]
    order_id: int
    instrument_id: int
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
    account_id: int
    reduce_only: bool
    def __init__(self, order_id: _Optional[int] = ..., instrument_id: _Optional[int] = ..., side: _Optional[_Union[_types_pb2.Side, str]] = ..., kind: _Optional[_Union[_types_pb2.OrderKind, str]] = ..., tif: _Optional[_Union[_types_pb2.TimeInForce, str]] = ..., post_only: _Optional[bool] = ..., price_ticks: _Optional[int] = ..., qty_lots: _Optional[int] = ..., budget_ticklots: _Optional[int] = ..., owner_ref: _Optional[int] = ..., stp_group: _Optional[int] = ..., stp: _Optional[_Union[_types_pb2.StpMode, str]] = ..., expire_at_ms: _Optional[int] = ..., account_id: _Optional[int] = ..., reduce_only: _Optional[bool] = ...) -> None: ...

class CancelOrder(_message.Message):
    __slots__ = ("order_id", "account_id")
    ORDER_ID_FIELD_NUMBER: _ClassVar[int]
    ACCOUNT_ID_FIELD_NUMBER: _ClassVar[int]
    order_id: int
    account_id: int
    def __init__(self, order_id: _Optional[int] = ..., account_id: _Optional[int] = ...) -> None: ...

class AmendOrder(_message.Message):
    __slots__ = ("order_id", "new_total_qty_lots", "new_price_ticks", "cancel_on_fail", "account_id")
    ORDER_ID_FIELD_NUMBER: _ClassVar[int]
    NEW_TOTAL_QTY_LOTS_FIELD_NUMBER: _ClassVar[int]
    NEW_PRICE_TICKS_FIELD_NUMBER: _ClassVar[int]
    CANCEL_ON_FAIL_FIELD_NUMBER: _ClassVar[int]
    ACCOUNT_ID_FIELD_NUMBER: _ClassVar[int]
    order_id: int
    new_total_qty_lots: int
    new_price_ticks: int
    cancel_on_fail: bool
    account_id: int
    def __init__(self, order_id: _Optional[int] = ..., new_total_qty_lots: _Optional[int] = ..., new_price_ticks: _Optional[int] = ..., cancel_on_fail: _Optional[bool] = ..., account_id: _Optional[int] = ...) -> None: ...

class CancelAll(_message.Message):
    __slots__ = ("account_id", "instrument_id", "owner_ref")
    ACCOUNT_ID_FIELD_NUMBER: _ClassVar[int]
    INSTRUMENT_ID_FIELD_NUMBER: _ClassVar[int]
    OWNER_REF_FIELD_NUMBER: _ClassVar[int]
    account_id: int
    instrument_id: int
    owner_ref: int
    def __init__(self, account_id: _Optional[int] = ..., instrument_id: _Optional[int] = ..., owner_ref: _Optional[int] = ...) -> None: ...

class CancelAllAfter(_message.Message):
    __slots__ = ("account_id", "timeout_ms")
    ACCOUNT_ID_FIELD_NUMBER: _ClassVar[int]
    TIMEOUT_MS_FIELD_NUMBER: _ClassVar[int]
    account_id: int
    timeout_ms: int
    def __init__(self, account_id: _Optional[int] = ..., timeout_ms: _Optional[int] = ...) -> None: ...

class CommandResult(_message.Message):
    __slots__ = ("session_seq", "command_id", "code", "engine_seq", "order_id", "filled_lots", "leaves_lots", "duplicate", "engine_time_ns", "durability", "cancelled_orders")
    SESSION_SEQ_FIELD_NUMBER: _ClassVar[int]
    COMMAND_ID_FIELD_NUMBER: _ClassVar[int]
    CODE_FIELD_NUMBER: _ClassVar[int]
    ENGINE_SEQ_FIELD_NUMBER: _ClassVar[int]
    ORDER_ID_FIELD_NUMBER: _ClassVar[int]
    FILLED_LOTS_FIELD_NUMBER: _ClassVar[int]
    LEAVES_LOTS_FIELD_NUMBER: _ClassVar[int]
    DUPLICATE_FIELD_NUMBER: _ClassVar[int]
    ENGINE_TIME_NS_FIELD_NUMBER: _ClassVar[int]
    DURABILITY_FIELD_NUMBER: _ClassVar[int]
    CANCELLED_ORDERS_FIELD_NUMBER: _ClassVar[int]
    session_seq: int
    command_id: bytes
    code: _types_pb2.ResultCode
    engine_seq: int
    order_id: int
    filled_lots: int
    leaves_lots: int
    duplicate: bool
    engine_time_ns: int
    durability: _types_pb2.Durability
    cancelled_orders: int
    def __init__(self, session_seq: _Optional[int] = ..., command_id: _Optional[bytes] = ..., code: _Optional[_Union[_types_pb2.ResultCode, str]] = ..., engine_seq: _Optional[int] = ..., order_id: _Optional[int] = ..., filled_lots: _Optional[int] = ..., leaves_lots: _Optional[int] = ..., duplicate: _Optional[bool] = ..., engine_time_ns: _Optional[int] = ..., durability: _Optional[_Union[_types_pb2.Durability, str]] = ..., cancelled_orders: _Optional[int] = ...) -> None: ...

class ResultBatch(_message.Message):
    __slots__ = ("epoch", "results", "durable_seq")
    EPOCH_FIELD_NUMBER: _ClassVar[int]
    RESULTS_FIELD_NUMBER: _ClassVar[int]
    DURABLE_SEQ_FIELD_NUMBER: _ClassVar[int]
    epoch: int
    results: _containers.RepeatedCompositeFieldContainer[CommandResult]
    durable_seq: int
    def __init__(self, epoch: _Optional[int] = ..., results: _Optional[_Iterable[_Union[CommandResult, _Mapping]]] = ..., durable_seq: _Optional[int] = ...) -> None: ...

class QueryCommandRequest(_message.Message):
    __slots__ = ("command_id",)
    COMMAND_ID_FIELD_NUMBER: _ClassVar[int]
    command_id: bytes
    def __init__(self, command_id: _Optional[bytes] = ...) -> None: ...
