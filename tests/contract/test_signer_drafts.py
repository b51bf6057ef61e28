"""The next version of a registry, drafted by a program …"""

from __future__ import annotations

import json
import shlex
from collections.abc import Iterator, Sequence
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from custody.signer.brought import BadInput
from custody.signer.changes import CHANGES
from custody.signer.drafts import notes
from custody.signer.template import build
from custody.signer.written import BadDraft
from fixtures.authenticator import Authenticator
from kernel import canonical
from kernel.registry import Registry
from tests import vault as vaults
from tests.drafting import KEY, PAPER, RIA, draft, in_force, records
from tests.recoveries import RAE
from tests.softkeys import SoftKey
from tests.softtoken import hot_registry
from tests.vault import ANA, BEN, DOT
from tests.watchers import WATCHERS, Watcher

DECODER = "cd" * 32


def leaves(value: Any, path: tuple[str, ...] = ()) -> Iterator[tuple[str, Any]]:
    """Every value of a document under its path; lists whole."""
    if isinstance(value, dict):
        for name, part in value.items():
            yield from leaves(part, (*path, name))
    else:
        yield "/".join(path), value


def changed(old: Registry, new: Registry) -> set[str]:
    """The paths at which two versions differ, ids by what people call them."""
    before, after = (dict(leaves(json.loads(one.encoded))) for one in (old, new))
    differ = {path for path in before.keys() | after.keys() if before.get(path) != after.get(path)}
    names = {RIA: "ria", BEN: "ben", DOT: "dot", ANA: "ana"}
    return {"/".join(names.get(part, part) for part in path.split("/")) for path in differ}


OFFICER = {"officers/{}/" + member for member in ("name", "public_key", "teams")}


EACH: list[tuple[str, tuple[str, ...], set[str]]] = [
    ("add-officer", (RIA, "Ria", "audit, treasury", KEY, PAPER), {one.format("ria") for one in OFFICER}),
    ("remove-officer", ("Dot",), {one.format("dot") for one in {*OFFICER, "officers/{}/decoder_key"}}),
    ("replace-passkey", ("Ben", KEY, PAPER.upper()), {"officers/ben/public_key"}),
    ("set-decoder", (DOT, DECODER), {"officers/dot/decoder_key"}),
    ("set-decoder", (BEN, "none"), {"officers/ben/decoder_key"}),
    ("set-teams", (DOT, "audit,treasury"), {"officers/dot/teams"}),
    ("set-quorum", ("signer.release", "treasury:3"), {"policies/signer.release/teams/treasury"}),
    (
        "set-quorum",
        ("custody.withdrawal", "treasury:2,audit:1"),
        {"policies/custody.withdrawal/teams/audit", "policies/custody.withdrawal/version"},
    ),
    (
        "set-confirmation",
        ("custody.withdrawal", "0.5BTC"),
        {"policies/custody.withdrawal/confirm_above", "policies/custody.withdrawal/version"},
    ),
    (
        "set-destination",
        ("custody.withdrawal", "hot/1"),
        {"policies/custody.withdrawal/destination", "policies/custody.withdrawal/version"},
    ),
    ("set-rules", ("none",), {"rules/v", "rules/version", "rules/rules"}),
    ("set-limit", ("registry_delay_s", "2d"), {"limits/registry_delay_s"}),
    ("set-limit", ("window_units_max/hot", "5BTC"), {"limits/window_units_max/hot"}),
    ("set-limit", ("destination_units_max/hot", "1sats"), {"limits/destination_units_max/hot"}),
    ("set-limit", ("payment_units_max/hot", "none"), {"limits/payment_units_max/hot"}),
    ("set-limit", ("fee_sats_max", "1sats"), {"limits/fee_sats_max"}),
    ("set-limit", ("feerate_sats_vb_max", "90sats/vB"), {"limits/feerate_sats_vb_max"}),
    ("set-lane", ("hot/window_units_max", "0.05BTC"), {"lanes/hot/window_units_max"}),
    ("set-lane", ("hot/cooling_off_s", "3d"), {"lanes/hot/cooling_off_s"}),
    ("set-reconciler", ("hot/second", "ab" * 32), {"lanes/hot/reconcilers/second"}),
    ("replace-passkey", (RAE, KEY, PAPER), {f"recovery/officers/{RAE}/public_key"}),
    (
        "add-recovery-officer",
        (RIA, "Ria", KEY, PAPER),
        {"recovery/officers/ria/name", "recovery/officers/ria/public_key"},
    ),
    ("set-recovery", ("quorum", "3"), {"recovery/quorum"}),
    ("set-recovery", ("delay_s", "5d"), {"recovery/delay_s"}),
    ("add-witness", (str(Watcher("fourth").cosigner),), {"witnesses/keys"}),
    ("remove-witness", (WATCHERS[2],), {"witnesses/keys"}),
    ("set-witnesses", ("quorum", "3"), {"witnesses/quorum"}),
    ("set-witnesses", ("age_s_max", "15m"), {"witnesses/age_s_max"}),
    ("set-witnessed", ("hot-1,hot-2",), {"witnesses/tokens"}),
]


@pytest.mark.parametrize(("name", "words", "paths"), EACH)
def test_differs_in_what_was_named_and_in_nothing_else(
    name: str, words: Sequence[str], paths: set[str]
) -> None:
    old = in_force()
    new = draft(old, [(name, words)])
    assert changed(old, new) == {"version", *paths}
    assert new.version == old.version + 1


def test_carries_wallets_in_and_out_with_all_that_hangs_on_them(tmp_path: Path) -> None:
    old = in_force()
    warm = ("add-wallet", ("warm", "2", records(tmp_path, "warm", 2)))
    both = draft(old, [warm, ("set-limit", ("window_units_max/warm", "2BTC"))])
    assert changed(old, both) == {
        "version",
        "limits/window_units_max/warm",
        *(f"wallets/warm/{member}" for member in ("m", "tokens", "keys")),
    }
    assert draft(old, [("extend-wallet", ("hot", records(tmp_path, "hot", 6)))]).wallets["hot"].keys[:4] == (
        old.wallets["hot"].keys
    )
    away = [("set-source", ("custody.withdrawal", "warm")), ("retire-wallet", ("hot",))]
    with pytest.raises(BadDraft, match="tokens is a list of texts that is not empty"):
        draft(both, away)
    moved = draft(both, [("set-witnessed", ("warm-1",)), *away])
    gone = changed(both, moved)
    assert {path for path in gone if "/hot" not in path} == {
        "version",
        "witnesses/tokens",
        "policies/custody.withdrawal/source",
        "policies/custody.withdrawal/version",
    }
    assert (moved.lanes, list(moved.wallets), moved.version) == ({}, ["warm"], 3)
    assert "NOTE  signers will spend nothing from hot any more: is it empty?" in list(notes(both, moved))
    shut = draft(old, [("remove-lane", ("hot",))])
    assert {path.split("/")[0] for path in changed(old, shut)} == {"version", "lanes"}


SAFE: dict[str, Any] = {
    "chain_id": 1,
    "address": "0x5aAeb6053F3E94C9b9A09f33669435E7Ef1BeAed",
    "m": 2,
    "owners": ["eth-1", "eth-2", "eth-3"],
    "teams": {"treasury": 2},
    "assets": {"ETH": {"decimals": 18, "window_units_max": "5000000000000000000"}},
}


def test_carries_a_safe_in_and_out_with_the_first_keys_of_its_tokens(tmp_path: Path) -> None:
    old, file, tokens = in_force(), tmp_path / "vault.json", records(tmp_path, "eth", 2)
    file.write_bytes(canonical.encode(SAFE) + b"\n")
    both = draft(old, [("set-safe", ("vault", str(file), tokens))])
    assert {path.rpartition("/")[0] for path in changed(old, both) - {"version"}} == {
        *("safes/vault", "safes/vault/owners", "safes/vault/teams", "safes/vault/assets/ETH")
    }
    first = [SoftKey(20_000 + 100 * number).public_key for number in range(3)]
    assert list(both.safes["vault"].owners.values()) == first
    assert both.safes["vault"].policy == 1
    file.write_bytes(canonical.encode({**SAFE, "teams": {"treasury": 1}}) + b"\n")
    looser = draft(both, [("set-safe", ("vault", str(file), tokens))])
    assert changed(both, looser) == {"version", "safes/vault/policy", "safes/vault/teams/treasury"}
    assert draft(both, [("retire-safe", ("vault",))]).safes == {}
    assert "NOTE  signers will spend nothing from vault any more: is it empty?" in list(notes(both, old))
    with pytest.raises(BadDraft, match="there is no Safe cold"):
        draft(both, [("retire-safe", ("cold",))])
    with pytest.raises(BadDraft, match="no record of eth-1"):
        draft(old, [("set-safe", ("vault", str(file), records(tmp_path, "warm", 2)))])


def test_founds_a_safe_of_the_tokens_that_its_template_names(tmp_path: Path) -> None:
    template = {**json.loads(hot_registry().encoded), "safes": {"vault": SAFE}}
    template["wallets"] = {"hot": {"m": 2, "tokens": ["hot-1", "hot-2", "hot-3"]}}
    people = {one: bytes.fromhex(part["public_key"]) for one, part in template["officers"].items()}
    passkeys: Any = {one: SimpleNamespace(public_key=key) for one, key in people.items()}
    files = f"{records(tmp_path, 'hot', 2)},{records(tmp_path, 'eth', 2)}".split(",")
    tokens = [canonical.decode_object(Path(file).read_bytes()[:-1]) for file in files]
    assert list(build(template, passkeys, tokens).safes["vault"].owners) == SAFE["owners"]
    with pytest.raises(BadInput, match="no wallet uses eth-1, eth-2, eth-3"):
        build({name: part for name, part in template.items() if name != "safes"}, passkeys, tokens)


def test_knows_no_change_that_stands_in_no_test() -> None:
    elsewhere = {"set-source", "remove-lane", "add-wallet", "extend-wallet", "retire-wallet"}
    elsewhere |= {"set-safe", "retire-safe"}
    assert {name for name, _, _ in EACH} | elsewhere == CHANGES.keys()


def test_takes_a_passkey_as_the_approver_s_page_saved_it(tmp_path: Path) -> None:
    key, file = Authenticator("55" * 32), tmp_path / "ria.json"

    def drafted(paper: str = PAPER, **members: str) -> Registry:
        file.write_bytes(canonical.encode({**vaults.saved_passkey(RIA, "Ria", key), **members}) + b"\n")
        return draft(in_force(), [("add-officer", (RIA, "Ria", "audit", f"@{file}", paper))])

    assert drafted().officers[RIA].public_key.hex() == KEY
    for why, wrong in {
        f"of {BEN} in": {"officer": BEN},
        "made out to Ben": {"name": "Ben"},
        "in production": {"deployment": "production"},
        "another challenge": {"nonce": "0c" * 32},
        "and not the one given": {"paper": "0" * 32},
        "origin is": vaults.saved_passkey(RIA, "Ria", key, origin="https://evil.example"),
        "not what the approver's registration page saves": {"type": "enrolment"},
    }.items():
        with pytest.raises(BadDraft, match=why):
            drafted(**wrong)


def test_says_who_cannot_be_stood_in_for_and_what_a_lane_can_lose() -> None:
    old = in_force()
    changes = [("set-teams", (ANA, "compliance,makers")), ("set-lane", ("hot/window_units_max", "0.05BTC"))]
    new = draft(old, changes)
    said = list(notes(old, new))
    assert any(line.startswith("NOTE  custody.withdrawal needs somebody") for line in said)
    assert "          worst loss per window, all of the web tier and its database lost:" in said
    few = "NOTE  a freeze by Ben, Cy could not be released by others alone: who pulled it counts there"
    assert list(notes(old, draft(old, [("set-limit", ("fee_sats_max", "9sats"))]))) == [few]


def test_is_written_by_a_program_that_says_what_officers_will_see(tmp_path: Path) -> None:
    old, out = in_force(), tmp_path / "next.json"
    (tmp_path / "registry.json").write_bytes(old.encoded + b"\n")

    def drafted(line: str, follows: str = old.digest.hex()) -> tuple[int, list[str]]:
        words = ["draft", str(tmp_path / "registry.json"), "--follows", follows, "--out", str(out)]
        done = vaults.run(tmp_path, "custody.signer.registry", *words, *shlex.split(line), typed="")
        return done.returncode, (done.stdout + done.stderr).splitlines()

    line = f"--replace-passkey Ben {KEY} '{PAPER[:16]} {PAPER[16:]}' --set-lane hot/cooling_off_s 4d"
    code, said = drafted(line, follows="ab" * 32)
    assert (code, out.exists()) == (1, False)
    found = f"{tmp_path}/registry.json is version 1, {old.digest.hex()}"
    assert said == [f"NOT DRAFTED {found}, and not {'ab' * 32}"]
    code, said = drafted(line)
    new = Registry.parse(out.read_bytes())
    assert (code, said[0], new.version) == (0, "version 1 -> 2", 2)
    assert f"  Registry's digest: {new.digest.hex()}" in said
    spoken = " ".join(PAPER[at : at + 4] for at in range(0, 32, 4))
    assert f"  Passkey of Ben: {spoken}" in said
    assert any(line.startswith(f"officer Ben ({BEN}) / public_key: ANOTHER PASSKEY, ") for line in said)
    before = out.read_bytes()
    code, said = drafted("--set-limit fee_sats_max 9sats")
    assert (code, out.read_bytes()) == (1, before)
    assert "File exists" in said[-1]
