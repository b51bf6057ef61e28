"""Scenes that several files of actions begin with."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import datetime
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from pathlib import Path

    from core import approvals
    from core.approvals.models import ApprovalRequest
    from core.audit import sealing, witnesses
    from kernel import note
    from tests.lane import Drain, Scene
    from tests.nodes import Node
    from tests.officers import Staff
    from tests.reconciling import Chain
    from tests.stockroom import Lend
    from tests.treasury import Treasury


@pytest.fixture
def kind(db: None) -> Iterator[approvals.Kind]:
    """A kind of payments that nobody else asks about."""
    from tests.approvals import payments

    with payments() as entry:
        yield entry


@pytest.fixture
def as_console(kind: approvals.Kind) -> Iterator[None]:
    """The rights of the console's database role."""
    from tests.sql import as_the_console

    with as_the_console():
        yield


@pytest.fixture
def row(kind: approvals.Kind, staff: Staff, now: datetime) -> ApprovalRequest:
    """Such a payment, which Ana asks for."""
    from tests.approvals import ask

    return ask(maker=staff.ana, actor=staff.ana.actor, now=now)


@pytest.fixture
def treasury(lend: Lend, now: datetime) -> Treasury:
    """Tom at tier 2 with one bitcoin."""
    from tests.treasury import funded

    return lend(funded, now)


@pytest.fixture
def node(monkeypatch: pytest.MonkeyPatch) -> Node:
    """The node that the worker's tasks speak to."""
    from tests.nodes import stand_in

    return stand_in(monkeypatch)


@pytest.fixture
def coins() -> int:
    """Of one bitcoin each, in the hot wallet of a lane's scene."""
    return 2


@pytest.fixture
def scene(
    lend: Lend, now: datetime, monkeypatch: pytest.MonkeyPatch, drain_outbox: Drain, coins: int
) -> Iterator[Scene]:
    """A treasury whose hot wallet has a lane, with its signers up."""
    from tests.lane import Seasoned, opened

    with opened(lend(Seasoned(coins), now), patch=monkeypatch, drain=drain_outbox) as found:
        yield found


@pytest.fixture
def chain() -> Chain:
    """The node that the reconciler asks."""
    from tests.reconciling import Chain

    return Chain()


@pytest.fixture
def reconciler(scene: Scene, chain: Chain, monkeypatch: pytest.MonkeyPatch) -> None:
    """The reconciler itself, in this thread."""
    from tests.reconciling import reconciled

    reconciled(scene, chain, monkeypatch)


@pytest.fixture
def log(tmp_path: Path) -> tuple[note.Verifier, sealing.Seal]:
    """The audit log's verifier, and what seals it."""
    from tests.auditing import ORIGIN
    from tests.notaries import soft_log

    return soft_log(tmp_path, origin=ORIGIN)


@pytest.fixture
def among(tmp_path: Path, log: tuple[note.Verifier, sealing.Seal]) -> Iterator[list[witnesses.Witness]]:
    """Two witnesses of it."""
    from tests.auditing import watching

    with watching(tmp_path, log[0]) as found:
        yield found
