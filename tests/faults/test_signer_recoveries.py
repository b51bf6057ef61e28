"""The way back from a lost quorum of a signer's officers …"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from custody.signer import requests
from custody.signer.refusals import Refused
from fixtures.authenticator import Authenticator
from kernel import canonical
from kernel.approval import Verb
from kernel.registry import Registry
from tests import vault as vaults
from tests.messages import order
from tests.softtoken import Desk, hot_registry
from tests.vault import ANA, BEN, DOT, Message

RIA, SAM = "01900000-0000-7000-8000-0000000000e5", "01900000-0000-7000-8000-0000000000f6"
DAYS_S = 30 * 86_400


def recovering(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> tuple[Desk, Any]:
    """A desk whose registry names Ria and Sam for a recovery, and the next one, with another Ben."""
    spare = {RIA: Authenticator("e5" * 32), SAM: Authenticator("f6" * 32)}
    people = {
        who: {"name": "Ria" if who == RIA else "Sam", "public_key": key.public_key_hex}
        for who, key in spare.items()
    }
    recovery = {"officers": people, "quorum": 2, "delay_s": DAYS_S}
    old = hot_registry(recovery=recovery)
    officers = canonical.decode_object(old.encoded)["officers"]
    assert isinstance(officers, dict)
    fresh = {**officers, BEN: {**officers[BEN], "public_key": Authenticator("77" * 32).public_key_hex}}
    new = hot_registry(recovery=recovery, officers=fresh, version=2)
    for who, key in spare.items():
        monkeypatch.setitem(vaults.KEYS, who, key)
    return Desk(tmp_path / "recovery", registry=old), new


def recovery_order(new: Any, **how: Any) -> Message:
    members = {"version": new.version, "digest": new.digest.hex(), "keys": list(new.keys)}
    return order("signer.recovery", **{"maker": RIA, "officers": [RIA, SAM], **members, **how})


def test_bring_new_officers_by_those_named_for_it_after_a_long_delay(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    desk, new = recovering(tmp_path, monkeypatch)
    assert desk.code(recovery_order(new, maker=ANA)) == "obeyed"
    desk.now += DAYS_S - 11 * 60
    assert desk.restart(registry=new).listen(10).spend() == "SIGNER_REGISTRY_CHANGED"
    assert desk.listen(1).health["state"] == "ready"
    assert desk.spend() == "SIGNER_ASSERTION_SIGNATURE"  # Ben's old passkey counts no more


@pytest.mark.parametrize(
    ("expected", "how"),
    [
        ("SIGNER_MAKER_APPROVES", {}),
        ("SIGNER_BELOW_QUORUM", {"maker": ANA, "officers": [RIA]}),
        ("SIGNER_UNKNOWN_OFFICER", {"maker": ANA, "officers": [RIA, BEN]}),
        ("SIGNER_WRONG_VERB", {"maker": ANA, "verb": Verb.APPROVE}),
    ],
)
def test_bring_none_by_anybody_else(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, expected: str, how: dict[str, Any]
) -> None:
    desk, new = recovering(tmp_path, monkeypatch)
    assert desk.code(recovery_order(new, **how)) == expected


def test_let_recovery_officers_do_nothing_else(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    without = Desk(tmp_path / "without")
    desk, new = recovering(tmp_path, monkeypatch)
    assert desk.spend(officers=[RIA, SAM]) == "SIGNER_UNKNOWN_OFFICER"
    members = {"version": 2, "digest": new.digest.hex(), "keys": list(new.keys)}
    assert desk.code(order("signer.registry", officers=[RIA, SAM], **members)) == "SIGNER_UNKNOWN_OFFICER"
    assert without.code(recovery_order(new, maker=ANA)) == "SIGNER_UNKNOWN_KIND"


@pytest.mark.parametrize("who", [DOT, SAM])
def test_let_any_officer_of_either_kind_veto_a_recovery(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, who: str
) -> None:
    desk, new = recovering(tmp_path, monkeypatch)
    assert desk.code(recovery_order(new, maker=ANA)) == "obeyed"
    veto = order("signer.veto", maker=who, officers=[who], verb=Verb.APPROVE, digest=new.digest.hex())
    assert desk.code(veto) == "obeyed"
    desk.now += DAYS_S
    assert desk.restart(registry=new).listen().spend() == "SIGNER_REGISTRY_CHANGED"


def test_move_nothing_but_officers_by_a_recovery(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    desk, new = recovering(tmp_path, monkeypatch)
    document = canonical.decode_object(new.encoded)
    document["limits"] = {**document["limits"], "fee_sats_max": "900000"}  # type: ignore[dict-item]
    richer = Registry.parse(canonical.encode(document))
    # At the start the file is at hand, so it is refused at once.
    with pytest.raises(Refused, match="a recovery changes officers and nothing else"):
        desk.restart(registry=richer, order=requests.order(recovery_order(richer, maker=ANA)))
    # Over the socket only its digest is announced; it is refused when it is to be taken up.
    desk.order, desk.registry = None, Registry.parse((desk.state / "registry.json").read_bytes())
    desk.signer = desk._start()
    assert desk.code(recovery_order(richer, maker=ANA)) == "obeyed"
    desk.now += DAYS_S
    with pytest.raises(Refused, match="a recovery changes officers and nothing else"):
        desk.restart(registry=richer)
