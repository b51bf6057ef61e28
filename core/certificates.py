"""The certificate authorities that our HTTP clients believe, read once in each process."""

from __future__ import annotations

import functools
import ssl

import httpx


@functools.cache
def authorities() -> ssl.SSLContext:
    """httpx's own, whatever the environment says. To read them takes 30 ms, more than most calls do."""
    return httpx.create_ssl_context(trust_env=False)
