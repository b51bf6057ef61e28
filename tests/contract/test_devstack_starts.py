"""A start of the stack …"""

from __future__ import annotations

import socket
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from devstack import kept, layout, ports, stack
from devstack.demo import __main__ as demo
from devstack.layout import Layout


@pytest.fixture
def where(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Layout:
    monkeypatch.setenv("COUNTERSIGN_VAR", str(tmp_path / "var"))
    return layout.layout()


@pytest.fixture
def taken(monkeypatch: pytest.MonkeyPatch) -> Iterator[int]:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        port = int(listener.getsockname()[1])
        monkeypatch.setenv("PORT", str(port))
        yield port


def test_makes_nothing_for_a_port_that_is_taken_so_that_another_can_be_chosen(
    where: Layout, taken: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    with pytest.raises(ports.PortTaken, match=f"port {taken}, "), stack.running(say=False):
        raise AssertionError("it started")
    assert not where.secrets.exists()
    assert kept.load_secrets(where, port=taken - 1)["port"] == str(taken - 1)


def test_of_the_demo_leaves_the_state_alone_where_its_port_is_taken(where: Layout, taken: int) -> None:
    kept.load_secrets(where, port=None)
    for _ in range(2):
        assert demo.main() == 1
    assert (where.secrets / "stack.json").exists()
    assert not where.var.with_name("var.previous").exists()


@pytest.mark.parametrize("port", ["0", "65536", "eight", "-1", "٨٠٠٠"])
def test_says_what_a_port_is(
    where: Layout, port: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("PORT", port)
    assert demo.main() == 1
    assert f"PORT={port} is no port: choose a number" in capsys.readouterr().err


def test_of_the_demo_that_is_stopped_early_does_not_end_as_if_every_step_had_held(
    where: Layout, monkeypatch: pytest.MonkeyPatch
) -> None:
    def stopped(**_: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(stack, "running", stopped)
    assert demo.main() == demo.INTERRUPTED


def test_of_the_demo_tells_each_stage_as_it_begins(
    where: Layout, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """The first start takes a minute: who sees nothing takes it for a fault."""

    def stopped(*, began: Callable[[str], None], **_: object) -> None:
        began("tokens get their keys")
        raise KeyboardInterrupt

    monkeypatch.setattr(stack, "running", stopped)
    demo.main()
    assert "tokens get their keys\nstopped" in capsys.readouterr().out
