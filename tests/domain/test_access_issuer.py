"""The stand-in's issuer …"""

from __future__ import annotations

from pathlib import Path

import pytest

from devstack.standins import edge_issuer
from devstack.standins.edge_issuer import GLOBAL_SESSION_S, LIFETIME_S, Issuer, Person

AUD, OTHER = "a1" * 32, "b2" * 32
ANA = Person("1", "Ana", "ana@countersign.example", "sub-ana", ("compliance_officer",))


class Clock:
    """time.time, moved by hand."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.moment = 1_800_000_000.0
        monkeypatch.setattr(edge_issuer.time, "time", lambda: self.moment)


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> Clock:
    return Clock(monkeypatch)


@pytest.fixture(scope="module")
def keys(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("issuer") / "keys.json"


@pytest.fixture
def issuer(keys: Path) -> Issuer:
    return Issuer(url="http://127.0.0.1:1", keys_file=keys, people=[ANA], services=[])


def test_knows_its_own_tokens_until_they_expire(issuer: Issuer, clock: Clock) -> None:
    token = issuer.user_token(ANA, AUD)
    held = issuer.holder(token, AUD)
    assert held is not None
    assert held[0] == ANA
    assert issuer.holder(token, OTHER) is None
    assert issuer.holder(token[:-4] + "AAAA", AUD) is None
    clock.moment += LIFETIME_S
    assert issuer.holder(token, AUD) is None


def test_renews_silently_while_the_session_lives(issuer: Issuer, clock: Clock) -> None:
    token = issuer.user_token(ANA, AUD)
    began = clock.moment
    while clock.moment - began < GLOBAL_SESSION_S:
        clock.moment += LIFETIME_S * 2
        fresh = issuer.renewed(token, AUD)
        if clock.moment - began > GLOBAL_SESSION_S:
            break
        assert fresh is not None
        assert fresh != token
        token = fresh
    clock.moment = began + GLOBAL_SESSION_S + 1
    assert issuer.renewed(token, AUD) is None


def test_renews_nothing_for_another_application_or_another_edge(
    issuer: Issuer, keys: Path, clock: Clock
) -> None:
    token = issuer.user_token(ANA, AUD)
    assert issuer.renewed(token, OTHER) is None
    assert issuer.renewed("a.b.c", AUD) is None
    restarted = Issuer(url="http://127.0.0.1:1", keys_file=keys, people=[ANA], services=[])
    assert restarted.holder(token, AUD) is not None
    assert restarted.renewed(token, AUD) is None
