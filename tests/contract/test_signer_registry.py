"""The registry, for people …"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from cryptography.hazmat.primitives import serialization

from custody.signer.template import invitations
from custody.signer.words import describe, differences
from kernel import canonical, encodings, registration
from kernel.approval import Verb
from kernel.registry import DELAY_S_MIN, Registry
from tests import messages, recoveries
from tests import vault as vaults
from tests.attesting import certificate
from tests.customers import SITE, section
from tests.softtoken import hot_registry
from tests.vault import ANA, BEN, CY, DOT, Message, Vault
from tests.watchers import section as witnesses

LEADER = "01900000-0000-7000-8000-0000000000f0"
OFFICERS = (ANA, BEN, CY, DOT)


def write(folder: Path, name: str, document: Any) -> str:
    path = folder / name
    path.write_bytes(canonical.encode(document) + b"\n")
    return str(path)


Passkeys = list[tuple[str, str]]
Brought = tuple[Vault, list[str], Passkeys, str]


@pytest.fixture(scope="module")
def brought(tmp_path_factory: pytest.TempPathFactory) -> Brought:
    """What comes to the ceremony: tokens with their records, passkeys and their paper, the template."""
    folder = tmp_path_factory.mktemp("ceremony")
    vault = Vault.build(folder, hot=1, wallets=["hot"])
    records = []
    for token in ("hot-1", "hot-2", "hot-3"):
        made = vaults.run(
            folder / token,
            "custody.signer.provision",
            *("--token", token, "--count", "1", "--module", vaults.MODULE),
        )
        records.append(write(folder, f"{token}.json", json.loads(made.stdout)))
    people = {**{one: vaults.KEYS[one] for one in OFFICERS}, **recoveries.KEYS}
    names = {**vaults.NAMES, recoveries.RAE: "Rae", recoveries.RUI: "Rui", recoveries.ROS: "Ros"}
    passkeys = [
        (
            write(folder, f"{names[one]}.json", vaults.saved_passkey(one, names[one], key)),
            registration.fingerprint(bytes.fromhex(key.public_key_hex)),
        )
        for one, key in people.items()
    ]
    plain = {name: value for name, value in vault.document.items() if name not in ("v", "version")}
    plain["officers"] = {
        one: {name: value for name, value in part.items() if name != "public_key"}
        for one, part in plain["officers"].items()
    }
    back = {one: {"name": names[one]} for one in recoveries.KEYS}
    plain["recovery"] = {"officers": back, "quorum": 2, "delay_s": recoveries.DELAY_S}
    plain["wallets"] = {"hot": {"m": 2, "tokens": ["hot-1", "hot-2", "hot-3"]}}
    plain["network"] = "mainnet"
    plain["limits"] |= {"registry_delay_s": DELAY_S_MIN}
    return vault, records, passkeys, write(folder, "template.json", plain)


def genesis(folder: Path, *arguments: str) -> tuple[int, str]:
    done = vaults.run(folder, "custody.signer.genesis", *arguments, typed="")
    return done.returncode, done.stdout + done.stderr


def build(template: str, passkeys: Passkeys, records: list[str], out: Path) -> list[str]:
    """The words of `genesis build`."""
    words = ["build", "--template", template, "--token", *records, "--out", str(out)]
    return [*words, *(word for pair in passkeys for word in ("--passkey", *pair))]


def signed(folder: Path, payload: bytes, *officers: str, verb: Verb = Verb.RELEASE) -> list[str]:
    """Each officer's approval, as the approver page saves it."""
    kind = "signer.registry"
    given = messages.approvals(payload, kind=kind, verb=verb, officers=officers, asked=None)
    named = {"type": "approval/1", "deployment": vaults.DEPLOYMENT, "kind": kind}
    return [
        write(
            folder,
            f"approval-{one['officer'][-2:]}-{len(list(folder.iterdir()))}.json",
            {**named, **{name: value for name, value in one.items() if name != "officer"}},
        )
        for one in given
    ]


def test_begins_in_a_ceremony_in_which_every_officer_signs(brought: Brought, tmp_path: Path) -> None:
    vault, records, passkeys, template = brought
    code, said = genesis(tmp_path, *build(template, passkeys, records, vault.registry_file))
    assert (code, "FileExistsError" in said) == (1, True), "nothing is written over another file"
    vault.registry_file.unlink()
    code, said = genesis(tmp_path, *build(template, passkeys, records, vault.registry_file))
    assert code == 0, said
    registry = Registry.parse(vault.registry_file.read_bytes())
    assert f"  digest  {registry.digest.hex()}" in said.splitlines()
    payload = tmp_path / "payload.json"
    asked = ["order", "--registry", str(vault.registry_file), "--reason", "genesis", "--out", str(payload)]
    asked += ["--link", str(tmp_path / "link.txt")]
    assert genesis(tmp_path, *asked, "--maker", BEN)[1].startswith("NOT MADE the maker of the genesis")
    assert genesis(tmp_path, *asked, "--maker", LEADER)[0] == 0
    collect = ["collect", "--registry", str(vault.registry_file), "--payload", str(payload)]
    collect += ["--out", str(tmp_path / "order.json"), "--approval"]
    body = payload.read_bytes().removesuffix(b"\n")
    for why, wrong in {
        "no officer of this registry signed this order": signed(tmp_path, body + b" ", *OFFICERS),
        "an officer said reject": signed(tmp_path, body, *OFFICERS, verb=Verb.REJECT),
        "stands in the list twice": signed(tmp_path, body, ANA, ANA),
    }.items():
        code, said = genesis(tmp_path, *collect, *wrong)
        assert (code, why in said) == (1, True), said
    code, said = genesis(tmp_path, *collect, *signed(tmp_path, body, ANA, BEN, CY))
    assert (code, "SIGNER_GENESIS_UNSIGNED: not signed by Dot" in said) == (1, True)
    assert genesis(tmp_path, *collect, *signed(tmp_path, body, *OFFICERS))[0] == 0
    # A signer for real money starts with that order and not without it.
    refused = vault.start("hot-1")
    assert refused.process.wait(120) == 1
    assert refused.process.stdout is not None
    with refused.process.stdout as output:
        assert "SIGNER_GENESIS_UNSIGNED" in output.read()
    vault.start("hot-1", "--registry-order", str(tmp_path / "order.json")).ready().stop()


@pytest.mark.parametrize(
    ("wrong", "why"),
    [
        ("weak", "the keys of hot-1 are not safe: never_extractable"),
        ("missing", "no record of hot-3"),
        ("absent", "no passkey of Ana"),
        ("twice", "not one passkey of one officer of the template"),
        ("swapped", "and not the one given. Have Ana read theirs"),
        ("elsewhere", "the passkey of Ana: origin is"),
        ("unproven", "the passkey of Ana: the authenticator does not prove which model it is"),
        ("more", "NotCanonical"),
        # A signer would take these up, and then nobody could ever replace them.
        ("few", "custody.refill wants 2 of treasury, and its officers would be too few for that"),
        ("alone", "nobody who may ask for the next registry would be left beside the quorum for it"),
    ],
)
def test_is_not_made_of_anything_less(brought: Brought, tmp_path: Path, wrong: str, why: str) -> None:
    _, records, passkeys, template = brought
    more: list[str] = []
    if wrong == "weak":
        record = json.loads(Path(records[0]).read_bytes())
        record["attributes"]["never_extractable"] = False
        records = [write(tmp_path, "hot-1.json", record), *records[1:]]
    elif wrong == "missing":
        records = records[:-1]
    elif wrong == "absent":
        passkeys = passkeys[1:]
    elif wrong == "twice":
        passkeys = [*passkeys, passkeys[0]]
    elif wrong == "swapped":
        other = vaults.saved_passkey(ANA, "Ana", vaults.Authenticator("66" * 32))
        passkeys = [(write(tmp_path, "ana.json", other), passkeys[0][1]), *passkeys[1:]]
    elif wrong == "elsewhere":
        other = vaults.saved_passkey(ANA, "Ana", vaults.KEYS[ANA], origin="https://evil.example")
        passkeys = [(write(tmp_path, "ana.json", other), passkeys[0][1]), *passkeys[1:]]
    elif wrong == "unproven":
        root = certificate("Root", authority=True)[0].public_bytes(serialization.Encoding.PEM)
        (tmp_path / "roots.pem").write_bytes(root)
        more = ["--roots", str(tmp_path / "roots.pem")]
    elif wrong in ("few", "alone"):
        plain = json.loads(Path(template).read_bytes())
        for one in {"few": (BEN, CY), "alone": (CY,)}[wrong]:
            plain["officers"][one]["teams"] = ["audit"]
        template = write(tmp_path, "template.json", plain)
    else:
        template, why = str(tmp_path / "spaced.json"), "NOT MADE"
        Path(template).write_bytes(b"{ }")
    out = tmp_path / "out.json"
    code, said = genesis(tmp_path, *build(template, passkeys, records, out), *more)
    assert (code, out.exists()) == (1, False)
    assert why in said


def test_is_preceded_by_a_link_for_everybody_to_make_a_passkey(brought: Brought, tmp_path: Path) -> None:
    out = tmp_path / "links.txt"
    assert genesis(tmp_path, "invite", "--template", brought[3], "--out", str(out))[0] == 0
    links = dict(line.split(": ", 1) for line in out.read_text().splitlines())
    assert list(links) == ["Ana", "Ben", "Cy", "Dot", "Rae", "Rui", "Ros"]
    where, _, fragment = links["Ben"].partition("#")
    assert where == f"{vaults.ORIGIN}/register"
    fields = canonical.decode_object(encodings.from_base64url(fragment))
    assert (fields["officer"], fields["deployment"], fields["return"]) == (BEN, vaults.DEPLOYMENT, "file")
    assert len({link.rsplit("#")[1] for link in links.values()}) == len(links)
    # A registry serves as a template as well: for new passkeys where a quorum was lost.
    again = dict(invitations(canonical.decode_object(rich_registry().encoded)))
    assert list(again) == ["Ana", "Ben", "Cy", "Dot"]


def rich_registry(**changes: Any) -> Registry:
    return hot_registry(
        **{"lanes": {"hot": section()}, "customers": SITE, "witnesses": witnesses(), **changes}
    )


def test_is_shown_with_what_can_be_lost() -> None:
    lines = list(describe(rich_registry()))
    assert "  lane    hot pays unattended, in 86400 s:" in lines
    at = lines.index("          worst loss per window, all of the web tier and its database lost:")
    assert lines[at + 1 : at + 3] == [
        "            0.15 BTC",
        "            0.2 BTC and 1 signers' hosts with it",
    ]
    assert "  witnesses 2 of 3 within 3600 s, for hot-1" in lines


def test_says_in_words_what_a_new_version_changes() -> None:
    old = rich_registry()
    officers = canonical.decode_object(old.encoded)["officers"]
    assert isinstance(officers, dict)
    swapped = {
        **officers,
        BEN: {**officers[BEN], "public_key": vaults.Authenticator("66" * 32).public_key_hex},
    }
    del swapped[DOT]
    new = rich_registry(version=2, officers=swapped, limits={"fee_sats_max": "1"}, lanes={})
    lines = list(differences(old, new))
    assert lines[0] == "version 1 -> 2"
    assert any(line.startswith("lanes / hot: removed, was {") for line in lines)
    assert 'limits / fee_sats_max: "100000" -> "1"' in lines
    narrower = differences(old, rich_registry(version=2, lanes={"hot": section(window_units_max="5000000")}))
    assert list(narrower)[1].endswith('"15000000" -> "5000000" (0.15 BTC -> 0.05 BTC)')
    before, after = (spoken(one.officers[BEN].public_key) for one in (old, new))
    assert f"officer Ben ({BEN}) / public_key: ANOTHER PASSKEY, {before} -> {after}" in lines
    assert f"          passkey {after}" in list(describe(new))
    assert any(line.startswith(f"officer Dot ({DOT}): removed, was {{") for line in lines)


def spoken(public_key: bytes) -> str:
    """The fingerprint in groups of four, as people read it out."""
    whole = registration.fingerprint(public_key)
    assert len(whole) == 32
    return " ".join(whole[at : at + 4] for at in range(0, 32, 4))


def ordered(registry: Registry, **how: Any) -> Message:
    return messages.order(
        "signer.registry",
        **{
            "version": registry.version,
            "digest": registry.digest.hex(),
            "keys": list(registry.keys),
            **how,
        },
    )


def test_is_verified_as_a_chain_of_versions_with_their_orders(tmp_path: Path) -> None:
    versions = [rich_registry(version=n, limits={"fee_sats_max": str(n)}) for n in (1, 2, 3)]
    files = [str(tmp_path / f"v{one.version}.json") for one in versions]
    for file, one in zip(files, versions, strict=True):
        Path(file).write_bytes(one.encoded + b"\n")
    first = write(tmp_path, "first.json", ordered(versions[0], maker=LEADER, officers=OFFICERS))
    orders = [write(tmp_path, f"order-{one.version}.json", ordered(one)) for one in versions[1:]]

    def verify(*arguments: str) -> tuple[int, list[str]]:
        done = vaults.run(tmp_path, "custody.signer.registry", "verify", *arguments, typed="")
        return done.returncode, (done.stdout + done.stderr).splitlines()

    chain = [files[0], orders[0], files[1], orders[1], files[2]]
    code, said = verify("--genesis", first, *chain)
    assert (code, len(said)) == (0, 3)
    assert said[0].endswith("ordered by every officer in it")
    # Versions or orders swapped, left out, or signed by too few.
    few = write(tmp_path, "few.json", ordered(versions[2], officers=[BEN]))
    for wrong in (
        [files[0], orders[1], files[1]],
        [files[1], orders[0], files[0]],
        [files[0], orders[0], files[1], few, files[2]],
        [files[0], encodings.base64url(b"no such file"), files[1]],
    ):
        code, said = verify(*wrong)
        assert code == 1
        assert said[-1].startswith("DOES NOT HOLD")
