"""This process's connection to Redis, for what is remembered there and may be lost."""

from __future__ import annotations

import functools
import os
from typing import Final

import redis

WITHIN_S: Final = 1.0
"""A Redis that does not answer within this time is down: whoever asks goes on without it, or refuses."""

Down = redis.RedisError


def connected(url: str) -> redis.Redis:
    """One for each process and address; a forked child has its own."""
    return _connect(os.getpid(), url)


@functools.cache
def _connect(pid: int, url: str) -> redis.Redis:
    return redis.Redis.from_url(url, socket_timeout=WITHIN_S, socket_connect_timeout=WITHIN_S)
