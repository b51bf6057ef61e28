"""A transfer between funding and trading, when somebody dies at any of its steps, ..."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from contextlib import suppress
from typing import Any

import pytest
from django.conf import settings
from django.db import connection

from core import audit, clock, ledger, outbox
from core.ledger import AccountKind
from engine_bridge import queries, tasks
from engine_bridge.actions import settlement, start_transfer
from engine_bridge.adapters import transfers
from engine_bridge.comparing import compare
from engine_bridge.models import Transfer
from kernel.money import Amount
from tests.traders import Trader
from tests.trading import account, maker, move, sound
from tests.venue import Venue, venue_open

COIN = 10**8


class Death(BaseException):
    """Nothing catches it, as nothing catches kill -9."""


@pytest.fixture
def venue(db: None) -> Iterator[Venue]:
    with venue_open() as opened:
        yield opened


@pytest.fixture
def tom(venue: Venue) -> Trader:
    return maker(venue)


def before(act: Callable[..., Any]) -> Callable[..., Any]:
    def die(*args: Any, **kwargs: Any) -> Any:
        raise Death

    return die


def after(act: Callable[..., Any]) -> Callable[..., Any]:
    def die(*args: Any, **kwargs: Any) -> Any:
        act(*args, **kwargs)
        raise Death

    return die


def holdings(trader: Trader) -> tuple[int, int, int]:
    """Funding, in transit, trading."""
    kinds = (AccountKind.CUSTOMER_FUNDING, AccountKind.IN_TRANSIT, AccountKind.CUSTOMER_TRADING)
    rows = [ledger.balance(ledger.account(kind, "BTC", trader.customer.pk)) for kind in kinds]
    return rows[0].posted.units, rows[1].posted.units, rows[2].posted.units


def recover(venue: Venue) -> None:
    """What the worker does when it is up again: send what is pending, settle, send and settle once more."""
    for _ in range(2):
        tasks.send_pending_transfers()
        venue.settlement.close()
        venue.settle()


STEPS: tuple[tuple[str, Any, str, Callable[..., Any]], ...] = (
    ("while it is begun", outbox, "publish", before),
    ("while its act is recorded", audit, "record", after),
    ("before it is sent", transfers, "send", before),
    ("when the engine has it and nobody was told", transfers, "send", after),
    ("before it is settled", settlement, "settle_batch", before),
    ("while its row is closed", settlement, "post_all", before),
    ("while its postings are written", settlement, "post_all", after),
    ("when it is settled and the reader has not moved", settlement, "settle_batch", after),
)


@pytest.mark.parametrize("into", [True, False], ids=["inwards", "outwards"])
def test_is_done_once_or_not_at_all(
    venue: Venue, tom: Trader, into: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    funding, _, trading = holdings(tom)
    for number, (step, place, name, how) in enumerate(STEPS, start=1):
        units = number * 1_000
        with monkeypatch.context() as patched, suppress(Death):
            patched.setattr(place, name, how(getattr(place, name)))
            if name == "settle_batch":
                patched.setattr("engine_bridge.daemons.settlement.settle_batch", getattr(place, name))
            begin(tom, units, into=into)
            tasks.send_pending_transfers()
            venue.settle()
            pytest.fail(f"nobody died {step}")
        begun = Transfer.objects.filter(units=units).exists()
        recover(venue)
        moved = units if begun else 0
        funding, trading = (funding - moved, trading + moved) if into else (funding + moved, trading - moved)
        assert holdings(tom) == (funding, 0, trading), step
        assert not Transfer.objects.filter(state="pending").exists(), step
    assert Transfer.objects.filter(units__lt=COIN // 10).count() == len(STEPS) - 2
    assert compare(f"unix:{venue.engine.transfers}").differences == ()
    assert sound()


def begin(trader: Trader, units: int, *, into: bool) -> Transfer:
    return start_transfer(
        customer_id=trader.customer.pk,
        amount=Amount(units, "BTC"),
        into_venue=into,
        actor=trader.actor,
        now=clock.now(),
    )


@pytest.mark.parametrize("into", [True, False], ids=["inwards", "outwards"])
def test_survives_the_engines_death_before_and_after_it_was_told(
    venue: Venue, tom: Trader, into: bool
) -> None:
    funding, _, trading = holdings(tom)
    move(tom, "0.1", "BTC", into=into)
    venue.engine.kill()
    venue.engine.start()
    tasks.send_pending_transfers()
    venue.engine.kill()
    venue.engine.start()
    recover(venue)
    change = COIN // 10 if into else -COIN // 10
    assert holdings(tom) == (funding - change, 0, trading + change)
    assert compare(f"unix:{venue.engine.transfers}").differences == ()


@pytest.mark.slow
def test_is_done_once_by_many_who_do_it_at_the_same_time(real_database: str) -> None:
    """Four begin the same transfers, four send whatever is pending, one settles; none waits."""
    with venue_open() as venue:
        tom = maker(venue)
        funding, _, trading = holdings(tom)
        barrier = threading.Barrier(8)

        def work(index: int) -> None:
            barrier.wait()
            try:
                for number in range(8):
                    if index % 2:
                        tasks.send_pending_transfers()
                    else:
                        move(tom, f"0.000{number + 1}", "BTC", into=bool(number % 2), client_id=f"t{number}")
            finally:
                connection.close()

        threads = [threading.Thread(target=work, args=(index,)) for index in range(8)]
        with venue.settling():
            for thread in threads:
                thread.start()
            for thread in threads:
                thread.join()
        recover(venue)
        inwards = sum(10_000 * (number + 1) * (1 if number % 2 else -1) for number in range(8))
        assert Transfer.objects.filter(client_id__startswith="t").count() == 8
        assert holdings(tom) == (funding - inwards, 0, trading + inwards)
        assert queries.held_by([account(tom).pk]).units[account(tom).pk, "BTC"] == trading + inwards
        assert compare(settings.ENGINE_TRANSFERS_TARGET).differences == ()
        assert sound()
