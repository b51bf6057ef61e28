"""What `manage.py check --deploy` says of the bridge: that production has a release build of its library."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Final

from django.conf import settings
from django.core.checks import CheckMessage, Error, register

from engine_bridge.adapters import line
from engine_bridge.adapters.channel import EngineAway

BUILD: Final = (
    "cargo build --release --locked --manifest-path engine/Cargo.toml"
    " -p countersign-server -p countersign-bridge"
)


@register(deploy=True)
def check_library(app_configs: Any = None, **kwargs: Any) -> Sequence[CheckMessage]:
    """Refuse a library that is not there, or that carries what is only for tests."""
    path = settings.ENGINE_LIBRARY
    hint = f"Build it by `{BUILD}`, and let ENGINE_LIBRARY name engine/target/release/{path.name}."
    try:
        if line.is_release(path):
            return []
    except EngineAway as error:
        return [Error(f"ENGINE_LIBRARY cannot be loaded: {error}", hint=hint, id="engine.E001")]
    return [Error(f"ENGINE_LIBRARY is no release build: {path}", hint=hint, id="engine.E002")]
