"""A node that is not where it was …"""

from __future__ import annotations

from collections.abc import Iterator
from datetime import datetime
from pathlib import Path

import pytest
from pytest_django.fixtures import Settings

from core.freezes.models import Freeze
from custody import queries
from custody.adapters.bitcoin import BitcoinNode
from custody.daemons import watcher
from custody.models import Deposit
from tests import chains
from tests.stockroom import Lend
from tests.worlds import Mined, World, opened

pytestmark = pytest.mark.slow


@pytest.fixture
def world(lend_real: Lend, settings: Settings, tmp_path: Path, now: datetime) -> Iterator[World]:
    """Tom with one coin, credited."""
    with opened(lend_real(Mined(coins=1), now), settings, tmp_path / "node") as found:
        yield found


def test_takes_no_deposit_back_while_it_reads_its_chain_anew(world: World, tmp_path: Path) -> None:
    """Its disk was lost, or we ask another one: it has the first blocks, or none, and has seen no more."""
    before = queries.tip_height()
    with chains.running(tmp_path / "other") as url, BitcoinNode(url) as other:
        for _ in range(3):
            assert not watcher.step(other, now=world.treasury.now)
    assert queries.tip_height() == before
    assert Deposit.objects.get().state == "credited"
    assert not Freeze.objects.exists()
    world.outside.mine(2)
    world.follow()
    assert queries.tip_height() == before + 2


def test_that_dropped_its_blocks_is_followed_down_and_up_again(world: World) -> None:
    before = queries.tip_height()
    tip = queries.tip()
    assert tip is not None
    world.node.invalidate(tip.hash)
    world.follow()
    assert queries.tip_height() == before - 1
    world.outside.mine(6)
    world.follow()
    assert queries.tip_height() == before + 5


def test_that_follows_another_chain_is_followed_to_the_fork_and_credits_nothing_twice(world: World) -> None:
    """Six blocks are undone with the deposit in them; the coins come again in another block."""
    world.outside.mine(4)
    world.follow()
    own, posted = Deposit.objects.get(), world.treasury.funding().posted
    fork = world.node.block_hash(own.height or 0)
    assert fork is not None
    world.node.invalidate(fork)
    world.outside.mine(8)
    world.follow()
    found = Deposit.objects.get()
    assert found.pk == own.pk
    assert (found.state, found.height) == ("credited", own.height)
    assert world.treasury.funding().posted == posted
    assert Freeze.objects.filter(scope=f"customer:{world.treasury.tom.pk}", released_at=None).count() == 1
