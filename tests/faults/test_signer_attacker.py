"""Whoever owns PostgreSQL and the web process …

The attacker reads and writes every row, sends what they like to the signers' sockets, and keeps whatever
passed through: approvals, statements, attestations, notes. They hold no officer's, customer's, reconciler's
or witness's key, and no token's PIN. Three real signers (2 of 3) are asked, each in a process of its own.
"""

from __future__ import annotations

import copy
import json
import time
from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any
from uuid import UUID

import pytest

from fixtures.authenticator import Authenticator
from kernel import canonical, encodings, lane, script
from kernel.approval import Verb
from kernel.intent import Intent, time_text
from kernel.money import Amount
from kernel.psbt import Psbt
from kernel.registry import Registry
from kernel.transaction import Output
from tests import messages, watchers
from tests import vault as vaults
from tests.customers import SITE, TOM, Customer, Reconciler, payout, section, unattended
from tests.messages import coin, request, withdrawal
from tests.softkeys import SoftKey
from tests.vault import BEN, CY, Message, SignerProcess, Vault

TOKENS = ("hot-1", "hot-2", "hot-3")
UNA = "01900000-0000-7000-8000-00000000c002"
NOBODY = "01900000-0000-7000-8000-00000000c003"
DAYS_AGO = """
import time
now = time.time
time.time = lambda: now() - 3 * 86_400
from custody.signer.__main__ import main
raise SystemExit(main())
"""
"""The signer as it was three days ago: what it learns then has cooled off by now."""
MINE = "bcrt1qrp33g0q5c5txsp9arysrx4k6zdkfs4nce4xj0gdcccefvpysxf3qzf4jry"
"""The attacker's own address."""
TOMS = [script.address_of(b"\x00\x14" + bytes([n]) * 20, vaults.NETWORK) for n in range(1, 25)]


@dataclass
class Scene:
    """Three signers, and what they believe."""

    vault: Vault
    signers: dict[str, SignerProcess]

    @property
    def registry(self) -> Registry:
        return self.vault.registry

    def codes(self, message: Message) -> list[str]:
        """What each of the three answers."""
        answers = [signer.ask(message) for signer in self.signers.values()]
        return [str(answer.get("code", answer["type"])) for answer in answers]

    def code(self, message: Message) -> str:
        """What all three answer alike."""
        (code,) = set(self.codes(message))
        return code


@pytest.fixture(scope="module")
def scene(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Scene]:
    vault = Vault.build(tmp_path_factory.mktemp("attacked"), hot=3, wallets=["hot"])
    vault.document["lanes"] = {"hot": section()}
    vault.document["customers"] = SITE
    vault.registry_file.write_bytes(canonical.encode(vault.document) + b"\n")
    scene = Scene(vault, {token: vault.start(token, program=("-c", DAYS_AGO)) for token in TOKENS})
    for signer in scene.signers.values():
        signer.ready()
    # Honest days: Tom and Una signed up, and Tom named the addresses that he pays himself to.
    tom, una, said = Customer(), Customer(UNA, seed=8), {"time": time_text(messages.in_hours(-72))}
    for learnt in (tom.key(**said), una.key(**said), *(tom.beneficiary(each, **said) for each in TOMS)):
        assert scene.code(learnt) == "learnt"
    assert scene.code(una.beneficiary(messages.DESTINATION, **said)) == "learnt"
    for signer in scene.signers.values():
        signer.stop()
    scene.signers = {token: vault.start(token) for token in TOKENS}
    for signer in scene.signers.values():
        signer.ready()
    assert scene.code(Reconciler().attests(messages.in_hours(0))) == "attested"
    yield scene
    for signer in scene.signers.values():
        signer.stop()


def approved(scene: Scene, intent: Intent | None = None, **how: Any) -> Message:
    """A row as the honest web tier left it: an intent with its approvals and a built transaction."""
    return request(scene.registry, [intent or withdrawal()], **how)


def payload(message: Message, **members: Any) -> Message:
    """The row's payload is edited; its approvals stay."""
    edited = copy.deepcopy(message)
    changed = {**messages.payload_of(edited["intents"][0]), **members}
    edited["intents"][0]["payload"] = encodings.base64url(canonical.encode(changed))
    return edited


def paying(scene: Scene, intent: Intent, *outputs: Output) -> Message:
    """The same approvals over a transaction of the attacker's."""
    mine = coin(scene.registry, "hot", 1, 150_000_000)
    return approved(scene, intent, psbt=Psbt.build([mine], list(outputs), locktime=intent.mark))


def to(address: str, sats: int) -> Output:
    return Output(sats, script.script_of(address, vaults.NETWORK))


def test_gains_nothing_by_editing_the_rows_of_a_payment(scene: Scene) -> None:
    intent = withdrawal()
    row, change = approved(scene, intent), scene.registry.wallets["hot"].address(0)
    assert scene.code(payload(row, destination=MINE)) == "SIGNER_ASSERTION_CHALLENGE"
    assert scene.code(payload(row, amount="99000000")) == "SIGNER_ASSERTION_CHALLENGE"
    assert scene.code(payload(row, expires="2099-01-01T00:00:00Z")) == "SIGNER_INTENT_TOO_LONG"
    stolen = paying(scene, intent, to(MINE, 25_000_000), to(change, 124_998_000))
    assert scene.code(stolen) == "SIGNER_OUTPUT_NOT_APPROVED"
    beside = paying(scene, intent, to(messages.DESTINATION, 25_000_000), to(MINE, 124_998_000))
    assert scene.code(beside) == "SIGNER_OUTPUT_NOT_APPROVED"
    burnt = paying(scene, intent, to(messages.DESTINATION, 25_000_000))
    assert scene.code(burnt) == "SIGNER_FEE_ABOVE_CAP"


def test_gains_nothing_by_inserting_approvals(scene: Scene, monkeypatch: pytest.MonkeyPatch) -> None:
    intent = withdrawal(destination=MINE)
    alone = approved(scene, intent, officers=[BEN])
    assert scene.code(alone) == "SIGNER_BELOW_QUORUM"
    twice = copy.deepcopy(alone)
    (given,) = twice["intents"][0]["approvals"]
    twice["intents"][0]["approvals"] += [{**given, "officer": CY}]
    assert scene.code(twice) == "SIGNER_ASSERTION_SIGNATURE"
    # A row for an officer of their own, or for Cy with a key of their own.
    monkeypatch.setitem(vaults.KEYS, NOBODY, Authenticator("66" * 32))
    assert scene.code(approved(scene, intent, officers=[BEN, NOBODY])) == "SIGNER_UNKNOWN_OFFICER"
    monkeypatch.setitem(vaults.KEYS, CY, Authenticator("66" * 32))
    assert scene.code(approved(scene, intent)) == "SIGNER_ASSERTION_SIGNATURE"


def test_gains_nothing_by_swapping_descriptors(scene: Scene) -> None:
    keys = tuple(SoftKey(number).public_key for number in (71, 72, 73))
    theirs = replace(scene.registry.wallets["hot"], keys=(keys, keys, keys))
    swapped = replace(scene.registry, wallets={"hot": theirs})
    intent = withdrawal()
    # Coins of their wallet; our coins with change to their wallet; change to a customer's deposit address.
    foreign = approved(scene, intent, coins=[coin(swapped, "hot", 1, 90_000_000)])
    assert scene.code(foreign) == "SIGNER_FOREIGN_COIN"
    for change in (theirs.address(0), scene.registry.wallets["hot"].address(2)):
        paid = paying(scene, intent, to(messages.DESTINATION, 25_000_000), to(change, 124_998_000))
        assert scene.code(paid) == "SIGNER_OUTPUT_NOT_APPROVED"


def test_gains_nothing_by_replaying_yesterdays_approvals(scene: Scene) -> None:
    intent = withdrawal()
    assert set(scene.codes(approved(scene, intent))) == {"signed"}
    assert scene.code(approved(scene, intent)) == "SIGNER_REPLAY"  # over other coins
    hidden = request(scene.registry, [withdrawal(), intent])
    assert scene.code(hidden) == "SIGNER_NO_INTENT"
    assert scene.code(approved(scene, withdrawal(expires=messages.in_hours(-1)))) == "SIGNER_INTENT_EXPIRED"
    other = approved(scene, withdrawal(destination=MINE))
    other["intents"][0]["approvals"] = approved(scene, intent)["intents"][0]["approvals"]
    assert scene.code(other) == "SIGNER_ASSERTION_CHALLENGE"
    refused = approved(scene, withdrawal(destination=MINE), verb=Verb.REJECT)
    assert scene.code(refused) == "SIGNER_WRONG_VERB"
    for answer in refused["intents"][0]["approvals"]:
        answer["verb"] = "approve"
    assert scene.code(refused) == "SIGNER_ASSERTION_CHALLENGE"
    # An order that released a freeze last week ends no freeze of today.
    freeze, release = (
        messages.order("signer.freeze", wallet="hot", officers=[BEN], verb=Verb.APPROVE),
        messages.order("signer.release", wallet="hot"),
    )
    assert [scene.code(sent) for sent in (freeze, release)] == ["obeyed", "obeyed"]
    assert scene.code(release) == "SIGNER_ORDER_USED"


def ask_for_the_lane(scene: Scene, destination: str, **changes: Any) -> Message:
    return unattended(request(scene.registry, [payout(destination=destination, **changes)], fee=500))


def test_gains_nothing_by_taking_the_approvals_away(scene: Scene) -> None:
    """What needs officers does not become automatic by being sent along the lane."""
    assert scene.code(ask_for_the_lane(scene, MINE)) == "SIGNER_UNKNOWN_BENEFICIARY"
    large = Amount(100_000_000, "BTC")
    assert scene.code(ask_for_the_lane(scene, TOMS[0], amount=large)) == "SIGNER_PAYMENT_ABOVE_LIMIT"
    # Una's destination for Tom's withdrawal.
    assert scene.code(ask_for_the_lane(scene, messages.DESTINATION)) == "SIGNER_UNKNOWN_BENEFICIARY"
    assert scene.code({**ask_for_the_lane(scene, TOMS[0]), "wallet": "cold"}) == "SIGNER_NO_LANE"
    bare = request(scene.registry, [payout(destination=TOMS[0])], officers=[])
    assert scene.code(bare) == "SIGNER_BELOW_QUORUM"


def test_gains_time_and_nothing_else_by_forging_customers(scene: Scene) -> None:
    thief = Customer(seed=66)
    assert scene.code(replaced(thief.beneficiary(MINE), customer=TOM)) == "SIGNER_BAD_STATEMENT"
    # A customer of their own invention, as old as its rows may say.
    invented = Customer(NOBODY, seed=66)
    assert scene.code(invented.beneficiary(MINE)) == "SIGNER_UNKNOWN_CUSTOMER"
    long_ago = "2020-01-01T00:00:00Z"
    assert scene.code(invented.key(time=long_ago)) == "learnt"
    assert scene.code(invented.beneficiary(MINE, time=long_ago)) == "learnt"
    wanted = ask_for_the_lane(scene, MINE, customer=UUID(NOBODY))
    assert scene.code(wanted) == "SIGNER_COOLING_OFF"
    # Another key for Una: everybody is told, and all that she had begins anew.
    answers = [signer.ask(Customer(UNA, seed=67).key()) for signer in scene.signers.values()]
    assert {answer["alert"] for answer in answers} == {"SIGNER_CUSTOMER_KEY_CHANGED"}
    hers = ask_for_the_lane(scene, messages.DESTINATION, customer=UUID(UNA))
    assert scene.code(hers) == "SIGNER_UNKNOWN_BENEFICIARY"


def replaced(message: Message, **members: Any) -> Message:
    """The statement's row is edited under its signature."""
    document = {**canonical.decode_object(encodings.from_base64url(message["payload"])), **members}
    return {**message, "payload": encodings.base64url(canonical.encode(document))}


def test_gains_nothing_by_feeding_attestations(scene: Scene) -> None:
    now = messages.in_hours(0)
    assert scene.code(Reconciler(66).attests(now)) == "SIGNER_BAD_ATTESTATION"
    real = Reconciler().attests(now, on_chain="1")
    assert scene.code(replaced(real, on_chain="900000000")) == "SIGNER_BAD_ATTESTATION"
    # An old one that said yes does not outlive a newer one that said no.
    yes, no = Reconciler().attests(now), Reconciler().attests(messages.in_hours(1 / 3600), on_chain="1")
    try:
        assert [scene.code(sent) for sent in (no, yes)] == ["attested", "attested"]
        assert scene.code(ask_for_the_lane(scene, TOMS[0])) == "SIGNER_BOOKS_BROKEN"
    finally:
        assert scene.code(Reconciler().attests(messages.in_hours(2 / 3600))) == "attested"


def test_takes_the_stated_worst_loss_at_most_by_many_small_payouts_from_rotating_quorums(
    scene: Scene,
) -> None:
    limits = scene.registry.lanes["hot"]
    worst = lane.worst_loss(limits.window_units_max, threshold=2, tokens=3)
    taken, met = 0, set[str]()
    for round_, amount in enumerate((2_000_000, 1_000_000, 500_000, 100_000)):
        for number, destination in enumerate(TOMS):
            pair = [TOKENS[(number + round_) % 3], TOKENS[(number + round_ + 1) % 3]]
            wanted = ask_for_the_lane(scene, destination, amount=Amount(amount, "BTC"))
            answers = [scene.signers[token].ask(wanted) for token in pair]
            met |= {str(answer.get("code", answer["type"])) for answer in answers}
            if all(answer["type"] == "signed" for answer in answers):
                taken += amount + 500
    assert 0.9 * worst < taken <= worst == 15_000_000
    assert met == {"signed", "SIGNER_WINDOW_FULL"}
    # And then nothing any more, while officers still pay.
    last = ask_for_the_lane(scene, TOMS[5], amount=Amount(200_000, "BTC"))
    assert set(scene.codes(last)) == {"SIGNER_WINDOW_FULL"}
    assert set(scene.codes(approved(scene))) == {"signed"}


def test_finds_every_refusal_in_journals_that_they_cannot_write(scene: Scene) -> None:
    assert scene.code(approved(scene, officers=[BEN])) == "SIGNER_BELOW_QUORUM"
    for token in TOKENS:
        lines = (scene.vault.folder / token / "state" / "journal.jsonl").read_bytes().splitlines()
        last = json.loads(lines[-1])
        assert (last["event"], last["details"]["code"]) == ("refused", "SIGNER_BELOW_QUORUM")


# With the signers' host in their hands as well.


def test_is_noticed_when_they_restore_an_old_store(tmp_path: Path) -> None:
    vault = Vault.build(tmp_path, hot=2, wallets=["hot"])
    folder, backup = tmp_path / "hot-1" / "state", tmp_path / "backup"
    signer = vault.start("hot-1").ready()
    assert signer.ask(request(vault.registry, [withdrawal()]))["type"] == "signed"
    vaults.copy_tree(folder, backup)
    intent = withdrawal()
    assert signer.ask(request(vault.registry, [intent]))["type"] == "signed"
    signer.stop()
    vaults.copy_tree(backup, folder)
    again = vault.start("hot-1").ready()
    assert again.ask(request(vault.registry, [intent]))["code"] == "SIGNER_STORE_RESTORED"
    again.stop()
    assert any("code=SIGNER_STORE_RESTORED" in line for line in again.lines)
    # Nor with a registry of their own in its place.
    vaults.copy_tree(backup, folder)
    own = {**vault.document, "version": 2, "policies": {}}
    vault.registry_file.write_bytes(canonical.encode(own) + b"\n")
    third = vault.start("hot-1").ready()
    assert third.ask({"v": 1, "type": "health"})["state"] == "SIGNER_STORE_RESTORED"
    third.stop()


def test_is_noticed_by_witnesses_when_they_restore_store_and_token_together(tmp_path: Path) -> None:
    vault = Vault.build(tmp_path, hot=2, wallets=["hot"])
    vault.document["witnesses"] = watchers.section()
    vault.registry_file.write_bytes(canonical.encode(vault.document) + b"\n")
    folder, backup = tmp_path / "hot-1", tmp_path / "backup"
    north, south = watchers.Watcher("north"), watchers.Watcher("south")
    signer = vault.start("hot-1").ready()
    intent = withdrawal()
    assert signer.ask(request(vault.registry, [intent]))["code"] == "SIGNER_UNWITNESSED"
    note = watchers.cosigned(signer, north, south, at=time.time())
    assert signer.ask(note)["open"] is True
    signer.stop()
    vaults.copy_tree(folder, backup)  # the token's folder and the state folder, while nobody writes
    signer = vault.start("hot-1").ready()
    assert signer.ask(watchers.cosigned(signer, north, south, at=time.time()))["open"] is True
    assert signer.ask(request(vault.registry, [intent]))["type"] == "signed"
    seen = watchers.cosigned(signer, north, south, at=time.time())
    signer.stop()
    vaults.copy_tree(backup, folder)
    again = vault.start("hot-1").ready()
    over_other_coins = request(vault.registry, [intent])
    assert again.ask(note)["open"] is False  # an old note, from before this start
    assert again.ask(over_other_coins)["code"] == "SIGNER_UNWITNESSED"
    with pytest.raises(watchers.Fork):
        watchers.cosigned(again, north, south, at=time.time())
    forged = watchers.cosigned(again, watchers.Watcher("east"), watchers.Watcher("hill"), at=time.time())
    assert again.ask(forged)["code"] == "SIGNER_BAD_COSIGNATURE"
    assert again.ask(seen)["code"] == "SIGNER_LOG_FORKED"
    assert again.ask(over_other_coins)["code"] == "SIGNER_LOG_FORKED"
    again.stop()
