"""The console's screens: one line each, and each view names the permission that opens it."""

from __future__ import annotations

from django.urls import URLPattern

urlpatterns: list[URLPattern] = []
