from engine_bridge.wire import types_pb2 as _types_pb2
from google.protobuf.internal import enum_type_wrapper as _enum_type_wrapper
from google.protobuf import descriptor as _descriptor
from google.protobuf import message as _message
from collections.abc import Mapping as _Mapping
from typing import ClassVar as _ClassVar, Optional as _Optional, Union as _Union

DESCRIPTOR: _descriptor.FileDescriptor

class VerifyState(int, metaclass=_enum_type_wrapper.EnumTypeWrapper):
    __slots__ = ()
    VERIFY_STATE_UNSPECIFIED: _ClassVar[VerifyState]
    VERIFY_STATE_RUNNING: _ClassVar[VerifyState]
    VERIFY_STATE_SOUND: _ClassVar[VerifyState]
    VERIFY_STATE_BROKEN: _ClassVar[VerifyState]
VERIFY_STATE_UNSPECIFIED: VerifyState
VERIFY_STATE_RUNNING: VerifyState
VERIFY_STATE_SOUND: VerifyState
VERIFY_STATE_BROKEN: VerifyState

class PutAssetRequest(_message.Message):
    __slots__ = ("asset", "reference")
    ASSET_FIELD_NUMBER: _ClassVar[int]
    REFERENCE_FIELD_NUMBER: _ClassVar[int]
    asset: _types_pb2.AssetSpec
    reference: bytes
    def __init__(self, asset: _Optional[_Union[_types_pb2.AssetSpec, _Mapping]] = ..., reference: _Optional[bytes] = ...) -> None: ...

class PutInstrumentRequest(_message.Message):
    __slots__ = ("instrument", "reference")
    INSTRUMENT_FIELD_NUMBER: _ClassVar[int]
    REFERENCE_FIELD_NUMBER: _ClassVar[int]
    instrument: _types_pb2.InstrumentSpec
    reference: bytes
    def __init__(self, instrument: _Optional[_Union[_types_pb2.InstrumentSpec, _Mapping]] = ..., reference: _Optional[bytes] = ...) -> None: ...

class SetInstrumentStateRequest(_message.Message):
    __slots__ = ("instrument_id", "state", "reference", "seen_seq")
    INSTRUMENT_ID_FIELD_NUMBER: _ClassVar[int]
    STATE_FIELD_NUMBER: _ClassVar[int]
    REFERENCE_FIELD_NUMBER: _ClassVar[int]
    SEEN_SEQ_FIELD_NUMBER: _ClassVar[int]
    instrument_id: int
    state: _types_pb2.InstrumentState
    reference: bytes
    seen_seq: int
    def __init__(self, instrument_id: _Optional[int] = ..., state: _Optional[_Union[_types_pb2.InstrumentState, str]] = ..., reference: _Optional[bytes] = ..., seen_seq: _Optional[int] = ...) -> None: ...

class SetPriceBandRequest(_message.Message):
    __slots__ = ("instrument_id", "price_band_ppm", "reference_price_ticks", "reference")
    INSTRUMENT_ID_FIELD_NUMBER: _ClassVar[int]
    PRICE_BAND_PPM_FIELD_NUMBER: _ClassVar[int]
    REFERENCE_PRICE_TICKS_FIELD_NUMBER: _ClassVar[int]
    REFERENCE_FIELD_NUMBER: _ClassVar[int]
    instrument_id: int
    price_band_ppm: int
    reference_price_ticks: int
    reference: bytes
    def __init__(self, instrument_id: _Optional[int] = ..., price_band_ppm: _Optional[int] = ..., reference_price_ticks: _Optional[int] = ..., reference: _Optional[bytes] = ...) -> None: ...

class SetAccountFeesRequest(_message.Message):
    __slots__ = ("account_id", "maker_fee_ppm", "taker_fee_ppm", "default_fees", "reference")
    ACCOUNT_ID_FIELD_NUMBER: _ClassVar[int]
    MAKER_FEE_PPM_FIELD_NUMBER: _ClassVar[int]
    TAKER_FEE_PPM_FIELD_NUMBER: _ClassVar[int]
    DEFAULT_FEES_FIELD_NUMBER: _ClassVar[int]
    REFERENCE_FIELD_NUMBER: _ClassVar[int]
    account_id: int
    maker_fee_ppm: int
    taker_fee_ppm: int
    default_fees: bool
    reference: bytes
    def __init__(self, account_id: _Optional[int] = ..., maker_fee_ppm: _Optional[int] = ..., taker_fee_ppm: _Optional[int] = ..., default_fees: _Optional[bool] = ..., reference: _Optional[bytes] = ...) -> None: ...

class RunAuctionRequest(_message.Message):
    __slots__ = ("instrument_id", "then", "reference", "seen_seq")
    INSTRUMENT_ID_FIELD_NUMBER: _ClassVar[int]
    THEN_FIELD_NUMBER: _ClassVar[int]
    REFERENCE_FIELD_NUMBER: _ClassVar[int]
    SEEN_SEQ_FIELD_NUMBER: _ClassVar[int]
    instrument_id: int
    then: _types_pb2.InstrumentState
    reference: bytes
    seen_seq: int
    def __init__(self, instrument_id: _Optional[int] = ..., then: _Optional[_Union[_types_pb2.InstrumentState, str]] = ..., reference: _Optional[bytes] = ..., seen_seq: _Optional[int] = ...) -> None: ...

class MassCancelRequest(_message.Message):
    __slots__ = ("account_id", "owner_ref", "stp_group", "instrument_id", "reference")
    ACCOUNT_ID_FIELD_NUMBER: _ClassVar[int]
    OWNER_REF_FIELD_NUMBER: _ClassVar[int]
    STP_GROUP_FIELD_NUMBER: _ClassVar[int]
    INSTRUMENT_ID_FIELD_NUMBER: _ClassVar[int]
    REFERENCE_FIELD_NUMBER: _ClassVar[int]
    account_id: int
    owner_ref: int
    stp_group: int
    instrument_id: int
    reference: bytes
    def __init__(self, account_id: _Optional[int] = ..., owner_ref: _Optional[int] = ..., stp_group: _Optional[int] = ..., instrument_id: _Optional[int] = ..., reference: _Optional[bytes] = ...) -> None: ...

class AdminResult(_message.Message):
    __slots__ = ("code", "engine_seq", "epoch", "cancelled_orders", "durability", "detail")
    CODE_FIELD_NUMBER: _ClassVar[int]
    ENGINE_SEQ_FIELD_NUMBER: _ClassVar[int]
    EPOCH_FIELD_NUMBER: _ClassVar[int]
    CANCELLED_ORDERS_FIELD_NUMBER: _ClassVar[int]
    DURABILITY_FIELD_NUMBER: _ClassVar[int]
    DETAIL_FIELD_NUMBER: _ClassVar[int]
    code: _types_pb2.ResultCode
    engine_seq: int
    epoch: int
    cancelled_orders: int
    durability: _types_pb2.Durability
    detail: str
    def __init__(self, code: _Optional[_Union[_types_pb2.ResultCode, str]] = ..., engine_seq: _Optional[int] = ..., epoch: _Optional[int] = ..., cancelled_orders: _Optional[int] = ..., durability: _Optional[_Union[_types_pb2.Durability, str]] = ..., detail: _Optional[str] = ...) -> None: ...

class DrainRequest(_message.Message):
    __slots__ = ("release_journal", "retry_after_ms")
    RELEASE_JOURNAL_FIELD_NUMBER: _ClassVar[int]
    RETRY_AFTER_MS_FIELD_NUMBER: _ClassVar[int]
    release_journal: bool
    retry_after_ms: int
    def __init__(self, release_journal: _Optional[bool] = ..., retry_after_ms: _Optional[int] = ...) -> None: ...

class DrainResult(_message.Message):
    __slots__ = ("engine_seq", "event_seq", "state_hash", "epoch")
    ENGINE_SEQ_FIELD_NUMBER: _ClassVar[int]
    EVENT_SEQ_FIELD_NUMBER: _ClassVar[int]
    STATE_HASH_FIELD_NUMBER: _ClassVar[int]
    EPOCH_FIELD_NUMBER: _ClassVar[int]
    engine_seq: int
    event_seq: int
    state_hash: bytes
    epoch: int
    def __init__(self, engine_seq: _Optional[int] = ..., event_seq: _Optional[int] = ..., state_hash: _Optional[bytes] = ..., epoch: _Optional[int] = ...) -> None: ...

class ResumeRequest(_message.Message):
    __slots__ = ("reference",)
    REFERENCE_FIELD_NUMBER: _ClassVar[int]
    reference: bytes
    def __init__(self, reference: _Optional[bytes] = ...) -> None: ...

class ConfirmRequest(_message.Message):
    __slots__ = ("epoch",)
    EPOCH_FIELD_NUMBER: _ClassVar[int]
    epoch: int
    def __init__(self, epoch: _Optional[int] = ...) -> None: ...

class SnapshotInfo(_message.Message):
    __slots__ = ("engine_seq", "event_seq", "state_hash", "file", "bytes")
    ENGINE_SEQ_FIELD_NUMBER: _ClassVar[int]
    EVENT_SEQ_FIELD_NUMBER: _ClassVar[int]
    STATE_HASH_FIELD_NUMBER: _ClassVar[int]
    FILE_FIELD_NUMBER: _ClassVar[int]
    BYTES_FIELD_NUMBER: _ClassVar[int]
    engine_seq: int
    event_seq: int
    state_hash: bytes
    file: str
    bytes: int
    def __init__(self, engine_seq: _Optional[int] = ..., event_seq: _Optional[int] = ..., state_hash: _Optional[bytes] = ..., file: _Optional[str] = ..., bytes: _Optional[int] = ...) -> None: ...

class VerifyRequest(_message.Message):
    __slots__ = ("begin",)
    BEGIN_FIELD_NUMBER: _ClassVar[int]
    begin: bool
    def __init__(self, begin: _Optional[bool] = ...) -> None: ...

class VerifyReport(_message.Message):
    __slots__ = ("state", "started_at_ms", "finished_at_ms", "segments", "blocks", "records", "bytes", "first_seq", "last_seq", "event_chain", "state_hash", "finding", "replayed_after_seq", "first_event_seq", "last_event_seq")
    STATE_FIELD_NUMBER: _ClassVar[int]
    STARTED_AT_MS_FIELD_NUMBER: _ClassVar[int]
    FINISHED_AT_MS_FIELD_NUMBER: _ClassVar[int]
    SEGMENTS_FIELD_NUMBER: _ClassVar[int]
    BLOCKS_FIELD_NUMBER: _ClassVar[int]
    RECORDS_FIELD_NUMBER: _ClassVar[int]
    BYTES_FIELD_NUMBER: _ClassVar[int]
    FIRST_SEQ_FIELD_NUMBER: _ClassVar[int]
    LAST_SEQ_FIELD_NUMBER: _ClassVar[int]
    EVENT_CHAIN_FIELD_NUMBER: _ClassVar[int]
    STATE_HASH_FIELD_NUMBER: _ClassVar[int]
    FINDING_FIELD_NUMBER: _ClassVar[int]
    REPLAYED_AFTER_SEQ_FIELD_NUMBER: _ClassVar[int]
    FIRST_EVENT_SEQ_FIELD_NUMBER: _ClassVar[int]
    LAST_EVENT_SEQ_FIELD_NUMBER: _ClassVar[int]
    state: VerifyState
    started_at_ms: int
    finished_at_ms: int
    segments: int
    blocks: int
    records: int
    bytes: int
    first_seq: int
    last_seq: int
    event_chain: bytes
    state_hash: bytes
    finding: str
    replayed_after_seq: int
    first_event_seq: int
    last_event_seq: int
    def __init__(self, state: _Optional[_Union[VerifyState, str]] = ..., started_at_ms: _Optional[int] = ..., finished_at_ms: _Optional[int] = ..., segments: _Optional[int] = ..., blocks: _Optional[int] = ..., records: _Optional[int] = ..., bytes: _Optional[int] = ..., first_seq: _Optional[int] = ..., last_seq: _Optional[int] = ..., event_chain: _Optional[bytes] = ..., state_hash: _Optional[bytes] = ..., finding: _Optional[str] = ..., replayed_after_seq: _Optional[int] = ..., first_event_seq: _Optional[int] = ..., last_event_seq: _Optional[int] = ...) -> None: ...

class TakeOverRequest(_message.Message):
    __slots__ = ("wait_ms", "reference")
    WAIT_MS_FIELD_NUMBER: _ClassVar[int]
    REFERENCE_FIELD_NUMBER: _ClassVar[int]
    wait_ms: int
    reference: bytes
    def __init__(self, wait_ms: _Optional[int] = ..., reference: _Optional[bytes] = ...) -> None: ...
