"""The service door: what our own programs may ask, with a service token of the edge."""

from __future__ import annotations

from django.urls import URLPattern

urlpatterns: list[URLPattern] = []
