"""Transfers, over their own socket: what enters orders cannot open it."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

import grpc

from engine_bridge.adapters import decoding, encoding
from engine_bridge.adapters.channel import EngineAway, failure, open_channel
from engine_bridge.domain.commands import MoveFunds
from engine_bridge.domain.results import AWAY, ResultCode
from engine_bridge.wire import transfers_pb2, transfers_pb2_grpc

CALL_S: Final = 3.0
BATCH_MAX: Final = 256


def send(target: str, transfers: Sequence[MoveFunds]) -> list[ResultCode]:
    """The engine's outcome of each, the first one told again where it was sent before. EngineAway,
    EngineRefused.
    """
    batch = transfers_pb2.TransferBatch(transfers=[encoding.transfer(item) for item in transfers[:BATCH_MAX]])
    with open_channel(target) as channel:
        try:
            answer = transfers_pb2_grpc.TransfersStub(channel).Submit(batch, timeout=CALL_S)
        except grpc.RpcError as error:
            raise failure(error) from None
    codes = [decoding.code(item.code) for item in answer.results]
    if any(code in AWAY or code is ResultCode.BUSY for code in codes):
        raise EngineAway("the engine takes no transfers now")
    return codes


def settled(target: str, *, consumer: str, through_event_seq: int) -> int:
    """Say that a consumer has stored every event up to this one; the oldest event that the engine keeps.

    EngineAway, EngineRefused.
    """
    request = transfers_pb2.SettledRequest(consumer=consumer, through_event_seq=through_event_seq)
    with open_channel(target) as channel:
        try:
            answer = transfers_pb2_grpc.TransfersStub(channel).Settled(request, timeout=CALL_S)
        except grpc.RpcError as error:
            raise failure(error) from None
    oldest: int = answer.oldest_event_seq
    return oldest


def acknowledge(target: str, *, through_event_seq: int) -> int:
    """Let the engine forget transfers that closed by this event; how many it forgot. EngineAway,
    EngineRefused.
    """
    request = transfers_pb2.AcknowledgeRequest(through_event_seq=through_event_seq)
    with open_channel(target) as channel:
        try:
            answer = transfers_pb2_grpc.TransfersStub(channel).Acknowledge(request, timeout=CALL_S)
        except grpc.RpcError as error:
            raise failure(error) from None
    forgotten: int = answer.forgotten
    return forgotten
