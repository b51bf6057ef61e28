"""Channels to the engine's sockets, and the names of what goes wrong on them."""

from __future__ import annotations

from typing import Any, Final

import grpc

from engine_bridge.adapters import papers

FRAME_MAX: Final = 4 * 1024 * 1024

# Over a unix socket grpcio sends the socket's path as authority, which an h2 server refuses.
UNIX_OPTIONS: Final = (("grpc.default_authority", "localhost"),)
OPTIONS: Final = (
    ("grpc.max_receive_message_length", FRAME_MAX),
    ("grpc.max_send_message_length", FRAME_MAX),
    ("grpc.initial_reconnect_backoff_ms", 50),
    ("grpc.max_reconnect_backoff_ms", 500),
    ("grpc.enable_retries", 0),
    # Channels to one target would share a connection, and with it one process's back-off for all.
    ("grpc.use_local_subchannel_pool", 1),
)


class EngineAway(Exception):
    """Nobody answers on the engine's socket, or it is between two versions. Nothing was done."""


class EngineBusy(Exception):
    """More is waiting than may wait. Nothing was done."""


class OutcomeUnknown(Exception):
    """The command was sent and its answer is missing: it may have been done, or may be done until it
    expires.
    """


class EngineRefused(Exception):
    """An act was refused, or its caller may not do it at all; the sentence is the engine's."""


AWAY_CODES: Final = frozenset({
    grpc.StatusCode.UNAVAILABLE,
    grpc.StatusCode.DEADLINE_EXCEEDED,
    grpc.StatusCode.CANCELLED,
    grpc.StatusCode.UNKNOWN,
    grpc.StatusCode.INTERNAL,
})  # fmt: skip


def open_channel(target: str) -> grpc.Channel:
    """A channel for single calls and for a daemon's stream of events. Open it after any fork.

    EngineAway where the certificates for a TCP target cannot be read; papers.BadTarget.
    """
    door = papers.door(target)
    if door is None:
        return grpc.insecure_channel(target, options=UNIX_OPTIONS + OPTIONS)
    try:
        shown = grpc.ssl_channel_credentials(
            root_certificates=door.read(papers.AUTHORITY),
            private_key=door.read(papers.KEY),
            certificate_chain=door.read(papers.CERTIFICATE),
        )
    except OSError as error:
        raise EngineAway(f"no certificates to show to the engine: {error}") from None
    return grpc.secure_channel(door.address, shown, options=OPTIONS)


def is_away(error: grpc.RpcError | Any) -> bool:
    """Whether the failure says that the engine is not there, rather than that it refused something."""
    return error.code() in AWAY_CODES


def failure(error: grpc.RpcError | Any) -> EngineAway | EngineRefused:
    """What a failed call says: nobody is there, or the engine does not want it, in its own words."""
    if is_away(error):
        return EngineAway(error.code().name)
    return EngineRefused(error.details() or error.code().name)
