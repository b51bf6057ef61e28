"""A registry on its way: whoever may stop it, and how long a signer listens for that. It …"""

from __future__ import annotations

from pathlib import Path

from custody.signer import requests
from fixtures.authenticator import Authenticator
from kernel import canonical
from kernel.approval import Verb
from kernel.intent import time_text
from tests import vault as vaults
from tests.messages import order
from tests.registries import DELAY, RIA, patient, succession
from tests.softtoken import Desk, hot_registry
from tests.vault import BEN, DOT
from tests.watchers import WATCHERS, Watcher, cosigned, section


def test_listens_for_a_veto_that_others_heard_while_it_was_down(tmp_path: Path) -> None:
    """Its host starts it with the new file when the delay is long over: it has yet to be told."""
    desk = patient(tmp_path)
    new, members = succession(desk)
    assert desk.code(order("signer.registry", **members)) == "obeyed"
    backup = desk.file.read_bytes(), desk.token.anchor
    desk.now += DELAY + 86_400
    assert desk.restart(registry=new).listen(9).health["state"] == "SIGNER_REGISTRY_CHANGED"
    stop = {"maker": DOT, "officers": [DOT], "verb": Verb.APPROVE, "digest": members["digest"]}
    assert desk.code(order("signer.veto", **stop, expires=time_text(desk.in_hours(1)))) == "obeyed"
    assert desk.listen(60).spend() == "SIGNER_REGISTRY_CHANGED"
    assert desk.restart().listen(60).spend() == "SIGNER_REGISTRY_CHANGED"
    assert desk.health["registry"]["version"] == 1  # and says so: on the console it runs the old one
    # Where nobody vetoed it, it takes it up by itself, and is then the same as after any other start.
    desk.file.write_bytes(backup[0])
    desk.token.anchor = backup[1]
    assert desk.restart().listen(9).spend() == "SIGNER_REGISTRY_CHANGED"
    assert desk.listen(1).spend() == "SIGNER_FEE_ABOVE_LIMIT"
    assert desk.restart().spend() == "SIGNER_FEE_ABOVE_LIMIT"


def test_counts_no_time_as_listening_in_which_nobody_spoke_to_it(tmp_path: Path) -> None:
    """It may have been cut off from whoever brings a veto, or have a clock that was put forward."""
    desk = patient(tmp_path)
    new, members = succession(desk)
    assert desk.code(order("signer.registry", **members)) == "obeyed"
    desk.now += DELAY
    desk.restart(registry=new)
    for _ in range(9):
        desk.now += 86_400
        assert desk.health["state"] == "SIGNER_REGISTRY_CHANGED"
    desk.restart().listen(8)
    for _ in range(9):  # the reconciler's user may still reach it, and can bring no veto
        desk.now += 60
        asked = [desk.signer.answer({"v": 1, "type": kind}, may_order=False) for kind in ("attest", "health")]
        assert [said["type"] for said in asked] == ["refused", "health"]
    assert desk.health["state"] == "SIGNER_REGISTRY_CHANGED"
    assert desk.listen(1).health["state"] == "ready"


def test_listens_no_longer_than_the_delay_of_its_deployment(tmp_path: Path) -> None:
    desk = Desk(tmp_path / "state", registry=hot_registry(limits={"registry_delay_s": 120}))
    new, members = succession(desk)
    assert desk.code(order("signer.registry", **members)) == "obeyed"
    assert desk.restart(registry=new).listen(1).spend() == "SIGNER_REGISTRY_CHANGED"
    assert desk.listen(1).spend() == "SIGNER_FEE_ABOVE_LIMIT"


def test_listens_not_at_all_where_people_carry_everything_to_it(tmp_path: Path) -> None:
    desk = patient(tmp_path)
    new, members = succession(desk)
    assert desk.code(order("signer.registry", **members)) == "obeyed"
    desk.now += DELAY
    assert desk.restart(registry=new, listens=False).spend() == "SIGNER_FEE_ABOVE_LIMIT"


def test_hears_while_it_listens_that_folder_and_token_were_put_back_to_before_a_veto(tmp_path: Path) -> None:
    watched = section()
    desk = Desk(
        tmp_path / "state", registry=hot_registry(limits={"registry_delay_s": DELAY}, witnesses=watched)
    )
    new, members = succession(desk, witnesses=watched)
    assert desk.code(order("signer.registry", **members)) == "obeyed"
    backup = desk.file.read_bytes(), desk.token.anchor
    veto = order("signer.veto", maker=DOT, officers=[DOT], verb=Verb.APPROVE, digest=members["digest"])
    assert desk.code(veto) == "obeyed"
    seen = cosigned(desk, *map(Watcher, WATCHERS), at=desk.now)
    desk.file.write_bytes(backup[0])
    desk.token.anchor = backup[1]
    desk.now += DELAY
    assert desk.restart(registry=new).code(seen) == "SIGNER_LOG_FORKED"
    for _ in range(2):
        assert desk.listen(20).health["state"] == "SIGNER_LOG_FORKED"
        assert desk.health["registry"]["version"] == 1
        desk.restart()


def test_lets_any_one_officer_veto_a_registry_within_its_delay(tmp_path: Path) -> None:
    desk = patient(tmp_path)
    new, members = succession(desk)
    assert desk.code(order("signer.registry", **members)) == "obeyed"
    veto = order("signer.veto", maker=DOT, officers=[DOT], verb=Verb.APPROVE, digest=members["digest"])
    assert desk.code(veto) == "obeyed"
    desk.now += DELAY + 1
    assert desk.restart(registry=new).listen().spend() == "SIGNER_REGISTRY_CHANGED"
    again = requests.order(order("signer.registry", nonce=b"\x09" * 32, **members))
    assert desk.restart(order=again).listen().spend() == "SIGNER_REGISTRY_CHANGED"


def test_hears_a_veto_also_after_a_reopening_and_while_its_clock_is_behind(tmp_path: Path) -> None:
    """A reopening distrusts orders from before it; what stops something is none to distrust."""
    desk = patient(tmp_path)
    new, members = succession(desk)
    assert desk.code(order("signer.registry", **members)) == "obeyed"
    standing = desk.health["journal"]["standing"]
    assert desk.code(order("signer.reopen", token="hot-1", standing=standing)) == "obeyed"
    desk.now -= 600
    veto = order("signer.veto", maker=DOT, officers=[DOT], verb=Verb.APPROVE, digest=members["digest"])
    assert desk.code(veto) == "obeyed"
    desk.now += DELAY + 601
    assert desk.restart(registry=new).listen().spend() == "SIGNER_REGISTRY_CHANGED"


def test_hears_a_veto_and_a_freeze_while_it_waits_with_the_new_file_already(tmp_path: Path) -> None:
    """A host that starts its signer with the next file early keeps no officer's veto from counting."""
    desk = patient(tmp_path)
    ria = Authenticator()
    officers = canonical.decode_object(desk.registry.encoded)["officers"]
    ours = {RIA: {"name": "Ria", "teams": ["treasury"], "public_key": ria.public_key_hex}}
    new, members = succession(desk, officers={**officers, **ours})
    assert desk.code(order("signer.registry", **members)) == "obeyed"
    desk.restart(registry=new)
    veto = order("signer.veto", maker=DOT, officers=[DOT], verb=Verb.APPROVE, digest=members["digest"])
    freeze = order("signer.freeze", officers=[BEN], verb=Verb.APPROVE, wallet="hot")
    # It hears the officers of the registry that it believes, and lets nobody go by either.
    vaults.KEYS[RIA] = ria
    try:
        forged = order("signer.freeze", officers=[RIA], verb=Verb.APPROVE, wallet="*")
    finally:
        del vaults.KEYS[RIA]
    assert desk.code(forged) == "SIGNER_UNKNOWN_OFFICER"
    assert [desk.code(sent) for sent in (veto, freeze)] == ["obeyed", "obeyed"]
    assert desk.code(order("signer.release", wallet="hot")) == "SIGNER_REGISTRY_CHANGED"
    desk.now += DELAY + 1
    assert desk.restart().listen().spend() == "SIGNER_REGISTRY_CHANGED"
    desk.restart(registry=hot_registry(limits={"registry_delay_s": DELAY}))
    assert desk.spend() == "SIGNER_FROZEN"


def test_is_not_reopened_while_it_waits_with_the_new_file(tmp_path: Path) -> None:
    """The line of a reopening names a registry: it would be this one, before its delay and past a veto."""
    desk = patient(tmp_path)
    old = desk.registry
    new, members = succession(desk)
    assert desk.code(order("signer.registry", **members)) == "obeyed"
    standing = desk.restart(registry=new).health["journal"]["standing"]
    reopen = order("signer.reopen", token="hot-1", standing=standing)
    assert desk.code(reopen) == "SIGNER_REGISTRY_CHANGED"
    assert desk.restart().health["registry"]["version"] == 1
    assert desk.restart(registry=old).spend() == "signed"
