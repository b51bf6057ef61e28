from engine_bridge.wire import event_feed_pb2 as _event_feed_pb2
from engine_bridge.wire import types_pb2 as _types_pb2
from google.protobuf.internal import containers as _containers
from google.protobuf import descriptor as _descriptor
from google.protobuf import message as _message
from collections.abc import Iterable as _Iterable, Mapping as _Mapping
from typing import ClassVar as _ClassVar, Optional as _Optional, Union as _Union

DESCRIPTOR: _descriptor.FileDescriptor

class InstrumentList(_message.Message):
    __slots__ = ("instruments", "assets", "engine_seq")
    INSTRUMENTS_FIELD_NUMBER: _ClassVar[int]
    ASSETS_FIELD_NUMBER: _ClassVar[int]
    ENGINE_SEQ_FIELD_NUMBER: _ClassVar[int]
    instruments: _containers.RepeatedCompositeFieldContainer[_types_pb2.Instrument]
    assets: _containers.RepeatedCompositeFieldContainer[_types_pb2.AssetSpec]
    engine_seq: int
    def __init__(self, instruments: _Optional[_Iterable[_Union[_types_pb2.Instrument, _Mapping]]] = ..., assets: _Optional[_Iterable[_Union[_types_pb2.AssetSpec, _Mapping]]] = ..., engine_seq: _Optional[int] = ...) -> None: ...

class BookRequest(_message.Message):
    __slots__ = ("instrument_id", "depth")
    INSTRUMENT_ID_FIELD_NUMBER: _ClassVar[int]
    DEPTH_FIELD_NUMBER: _ClassVar[int]
    instrument_id: int
    depth: int
    def __init__(self, instrument_id: _Optional[int] = ..., depth: _Optional[int] = ...) -> None: ...

class BookFrame(_message.Message):
    __slots__ = ("instrument_id", "prev_book_seq", "book_seq", "engine_seq", "snapshot", "bids", "asks", "checksum", "epoch", "event_seq", "engine_time_ns", "auction")
    INSTRUMENT_ID_FIELD_NUMBER: _ClassVar[int]
    PREV_BOOK_SEQ_FIELD_NUMBER: _ClassVar[int]
    BOOK_SEQ_FIELD_NUMBER: _ClassVar[int]
    ENGINE_SEQ_FIELD_NUMBER: _ClassVar[int]
    SNAPSHOT_FIELD_NUMBER: _ClassVar[int]
    BIDS_FIELD_NUMBER: _ClassVar[int]
    ASKS_FIELD_NUMBER: _ClassVar[int]
    CHECKSUM_FIELD_NUMBER: _ClassVar[int]
    EPOCH_FIELD_NUMBER: _ClassVar[int]
    EVENT_SEQ_FIELD_NUMBER: _ClassVar[int]
    ENGINE_TIME_NS_FIELD_NUMBER: _ClassVar[int]
    AUCTION_FIELD_NUMBER: _ClassVar[int]
    instrument_id: int
    prev_book_seq: int
    book_seq: int
    engine_seq: int
    snapshot: bool
    bids: _containers.RepeatedCompositeFieldContainer[Level]
    asks: _containers.RepeatedCompositeFieldContainer[Level]
    checksum: int
    epoch: int
    event_seq: int
    engine_time_ns: int
    auction: _event_feed_pb2.AuctionIndicative
    def __init__(self, instrument_id: _Optional[int] = ..., prev_book_seq: _Optional[int] = ..., book_seq: _Optional[int] = ..., engine_seq: _Optional[int] = ..., snapshot: _Optional[bool] = ..., bids: _Optional[_Iterable[_Union[Level, _Mapping]]] = ..., asks: _Optional[_Iterable[_Union[Level, _Mapping]]] = ..., checksum: _Optional[int] = ..., epoch: _Optional[int] = ..., event_seq: _Optional[int] = ..., engine_time_ns: _Optional[int] = ..., auction: _Optional[_Union[_event_feed_pb2.AuctionIndicative, _Mapping]] = ...) -> None: ...

class Level(_message.Message):
    __slots__ = ("price_ticks", "qty_lots", "orders")
    PRICE_TICKS_FIELD_NUMBER: _ClassVar[int]
    QTY_LOTS_FIELD_NUMBER: _ClassVar[int]
    ORDERS_FIELD_NUMBER: _ClassVar[int]
    price_ticks: int
    qty_lots: int
    orders: int
    def __init__(self, price_ticks: _Optional[int] = ..., qty_lots: _Optional[int] = ..., orders: _Optional[int] = ...) -> None: ...

class TradesRequest(_message.Message):
    __slots__ = ("instrument_id", "from_event_seq")
    INSTRUMENT_ID_FIELD_NUMBER: _ClassVar[int]
    FROM_EVENT_SEQ_FIELD_NUMBER: _ClassVar[int]
    instrument_id: int
    from_event_seq: int
    def __init__(self, instrument_id: _Optional[int] = ..., from_event_seq: _Optional[int] = ...) -> None: ...

class TradeBatch(_message.Message):
    __slots__ = ("epoch", "trades")
    EPOCH_FIELD_NUMBER: _ClassVar[int]
    TRADES_FIELD_NUMBER: _ClassVar[int]
    epoch: int
    trades: _containers.RepeatedCompositeFieldContainer[PublicTrade]
    def __init__(self, epoch: _Optional[int] = ..., trades: _Optional[_Iterable[_Union[PublicTrade, _Mapping]]] = ...) -> None: ...

class PublicTrade(_message.Message):
    __slots__ = ("trade_id", "instrument_id", "price_ticks", "qty_lots", "taker_side", "engine_time_ns")
    TRADE_ID_FIELD_NUMBER: _ClassVar[int]
    INSTRUMENT_ID_FIELD_NUMBER: _ClassVar[int]
    PRICE_TICKS_FIELD_NUMBER: _ClassVar[int]
    QTY_LOTS_FIELD_NUMBER: _ClassVar[int]
    TAKER_SIDE_FIELD_NUMBER: _ClassVar[int]
    ENGINE_TIME_NS_FIELD_NUMBER: _ClassVar[int]
    trade_id: int
    instrument_id: int
    price_ticks: int
    qty_lots: int
    taker_side: _types_pb2.Side
    engine_time_ns: int
    def __init__(self, trade_id: _Optional[int] = ..., instrument_id: _Optional[int] = ..., price_ticks: _Optional[int] = ..., qty_lots: _Optional[int] = ..., taker_side: _Optional[_Union[_types_pb2.Side, str]] = ..., engine_time_ns: _Optional[int] = ...) -> None: ...
