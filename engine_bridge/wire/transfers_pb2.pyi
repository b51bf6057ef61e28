from engine_bridge.wire import types_pb2 as _types_pb2
from google.protobuf.internal import containers as _containers
from google.protobuf import descriptor as _descriptor
from google.protobuf import message as _message
from collections.abc import Iterable as _Iterable, Mapping as _Mapping
from typing import ClassVar as _ClassVar, Optional as _Optional, Union as _Union

DESCRIPTOR: _descriptor.FileDescriptor

class Transfer(_message.Message):
    __slots__ = ("transfer_id", "account_id", "asset_id", "into_venue", "units_hi", "units_lo")
    TRANSFER_ID_FIELD_NUMBER: _ClassVar[int]
    ACCOUNT_ID_FIELD_NUMBER: _ClassVar[int]
    ASSET_ID_FIELD_NUMBER: _ClassVar[int]
    INTO_VENUE_FIELD_NUMBER: _ClassVar[int]
    UNITS_HI_FIELD_NUMBER: _ClassVar[int]
    UNITS_LO_FIELD_NUMBER: _ClassVar[int]
    transfer_id: bytes
    account_id: int
    asset_id: int
    into_venue: bool
    units_hi: int
    units_lo: int
    def __init__(self, transfer_id: _Optional[bytes] = ..., account_id: _Optional[int] = ..., asset_id: _Optional[int] = ..., into_venue: _Optional[bool] = ..., units_hi: _Optional[int] = ..., units_lo: _Optional[int] = ...) -> None: ...

class TransferBatch(_message.Message):
    __slots__ = ("transfers",)
    TRANSFERS_FIELD_NUMBER: _ClassVar[int]
    transfers: _containers.RepeatedCompositeFieldContainer[Transfer]
    def __init__(self, transfers: _Optional[_Iterable[_Union[Transfer, _Mapping]]] = ...) -> None: ...

class TransferResult(_message.Message):
    __slots__ = ("transfer_id", "code", "engine_seq", "event_seq", "duplicate", "engine_time_ns", "durability")
    TRANSFER_ID_FIELD_NUMBER: _ClassVar[int]
    CODE_FIELD_NUMBER: _ClassVar[int]
    ENGINE_SEQ_FIELD_NUMBER: _ClassVar[int]
    EVENT_SEQ_FIELD_NUMBER: _ClassVar[int]
    DUPLICATE_FIELD_NUMBER: _ClassVar[int]
    ENGINE_TIME_NS_FIELD_NUMBER: _ClassVar[int]
    DURABILITY_FIELD_NUMBER: _ClassVar[int]
    transfer_id: bytes
    code: _types_pb2.ResultCode
    engine_seq: int
    event_seq: int
    duplicate: bool
    engine_time_ns: int
    durability: _types_pb2.Durability
    def __init__(self, transfer_id: _Optional[bytes] = ..., code: _Optional[_Union[_types_pb2.ResultCode, str]] = ..., engine_seq: _Optional[int] = ..., event_seq: _Optional[int] = ..., duplicate: _Optional[bool] = ..., engine_time_ns: _Optional[int] = ..., durability: _Optional[_Union[_types_pb2.Durability, str]] = ...) -> None: ...

class TransferResultBatch(_message.Message):
    __slots__ = ("epoch", "results", "durable_seq")
    EPOCH_FIELD_NUMBER: _ClassVar[int]
    RESULTS_FIELD_NUMBER: _ClassVar[int]
    DURABLE_SEQ_FIELD_NUMBER: _ClassVar[int]
    epoch: int
    results: _containers.RepeatedCompositeFieldContainer[TransferResult]
    durable_seq: int
    def __init__(self, epoch: _Optional[int] = ..., results: _Optional[_Iterable[_Union[TransferResult, _Mapping]]] = ..., durable_seq: _Optional[int] = ...) -> None: ...

class QueryTransferRequest(_message.Message):
    __slots__ = ("transfer_id",)
    TRANSFER_ID_FIELD_NUMBER: _ClassVar[int]
    transfer_id: bytes
    def __init__(self, transfer_id: _Optional[bytes] = ...) -> None: ...

class AcknowledgeRequest(_message.Message):
    __slots__ = ("through_event_seq",)
    THROUGH_EVENT_SEQ_FIELD_NUMBER: _ClassVar[int]
    through_event_seq: int
    def __init__(self, through_event_seq: _Optional[int] = ...) -> None: ...

class SettledRequest(_message.Message):
    __slots__ = ("consumer", "through_event_seq")
    CONSUMER_FIELD_NUMBER: _ClassVar[int]
    THROUGH_EVENT_SEQ_FIELD_NUMBER: _ClassVar[int]
    consumer: str
    through_event_seq: int
    def __init__(self, consumer: _Optional[str] = ..., through_event_seq: _Optional[int] = ...) -> None: ...

class SettledResult(_message.Message):
    __slots__ = ("oldest_event_seq",)
    OLDEST_EVENT_SEQ_FIELD_NUMBER: _ClassVar[int]
    oldest_event_seq: int
    def __init__(self, oldest_event_seq: _Optional[int] = ...) -> None: ...

class AcknowledgeResult(_message.Message):
    __slots__ = ("engine_seq", "forgotten")
    ENGINE_SEQ_FIELD_NUMBER: _ClassVar[int]
    FORGOTTEN_FIELD_NUMBER: _ClassVar[int]
    engine_seq: int
    forgotten: int
    def __init__(self, engine_seq: _Optional[int] = ..., forgotten: _Optional[int] = ...) -> None: ...
