"""WebSocket routes of the two entries; none is open yet beyond what the rooms register here."""

from __future__ import annotations

from django.urls import URLPattern

console_sockets: list[URLPattern] = []
trader_sockets: list[URLPattern] = []
