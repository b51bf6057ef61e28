"""docs/payloads.md and its vectors, one payload of every kind that is signed, …"""

from __future__ import annotations

import json
import re
import subprocess
from pathlib import Path
from typing import Any, Final

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.serialization import BestAvailableEncryption, Encoding, PrivateFormat

from core.approvals import kinds
from custody.domain.orders import UNASKED
from kernel import canonical, confirmation, encodings, lane, registration
from kernel.approval import DOMAIN_TAG, Statement, Verb
from kernel.evm import ZERO_ADDRESS
from kernel.intent import Intent
from kernel.safe import SafeTransaction
from tests.contract.test_approver_acts import NODE, PAGE
from tests.contract.test_decoder import run
from tests.vectors import load

DOCS: Final = Path(__file__).resolve().parents[2] / "docs/payloads.md"
VECTORS: Final = load("payloads")
DEPLOYMENT: Final = VECTORS["deployment"]
PAYLOADS: Final[list[dict[str, Any]]] = VECTORS["payloads"]
EVM: Final[list[dict[str, Any]]] = VECTORS["evm"]
"""Withdrawals from a Safe, each with its amount and its network as people must read them."""
PAYMENTS: Final = [case for case in [*PAYLOADS, *EVM] if "confirmation" in case]
SEED: Final = bytes.fromhex("9d61b19deffd5a60ba844af492ec2cc44449c5697b326919703bac031cae7f60")
"""RFC 8032, 7.1, test 1: what the vectors' confirmations are signed with."""

READ: Final = """
import { readFileSync } from "node:fs";
const { read } = await import(process.argv[1] + "/acts.js");
const { decodeObject } = await import(process.argv[1] + "/canonical.js");
const { challengeOf, digestOf, fingerprintOf, fromHex, hex, registrationOf } =
  await import(process.argv[1] + "/statement.js");
const { deployment, payloads, registration } = JSON.parse(readFileSync(0, "utf-8"));
const found = [];
for (const { hex: payload, kind, nonce } of payloads) {
  const bytes = Buffer.from(payload, "hex");
  const digest = await digestOf(bytes);
  const { answers, asks, headline, lines } = read(decodeObject(bytes), { kind, deployment });
  const challenges = {};
  for (const verb of asks ? [...answers, "ask"] : answers) {
    challenges[verb] = hex(await challengeOf({ verb, kind, deployment, nonce, digest }));
  }
  const said = Object.fromEntries(lines.map(({ label, value }) => [label, value]));
  found.push({ digest: hex(digest), challenges, headline, to: said.To, source: said["Out of"] });
}
const { officer, nonce, public_key: point } = registration;
console.log(JSON.stringify({
  found,
  challenge: hex(await registrationOf({ deployment, officer, nonce })),
  fingerprint: await fingerprintOf(fromHex(point)),
}));
"""


def of_kind(case: dict[str, Any]) -> str:
    return str(case["kind"])


def test_have_one_of_every_kind() -> None:
    assert [case["kind"] for case in PAYLOADS] == list({case["kind"]: None for case in PAYLOADS})
    assert {case["kind"] for case in PAYLOADS} == {*kinds.registered(), *UNASKED}


@pytest.mark.parametrize("case", [*PAYLOADS, *EVM], ids=of_kind)
def test_lead_to_the_same_challenges_in_the_kernel(case: dict[str, Any]) -> None:
    payload = bytes.fromhex(case["hex"])
    assert canonical.encode(case["members"]) == payload
    assert canonical.decode(payload) == case["members"]
    for verb, challenge in case["challenges"].items():
        said = Statement.about(
            payload,
            verb=Verb(verb),
            kind=case["kind"],
            deployment=DEPLOYMENT,
            nonce=bytes.fromhex(case["nonce"]),
        )
        assert (said.digest.hex(), said.challenge().hex()) == (case["digest"], challenge)


def test_lead_to_the_same_challenges_on_the_approver_page() -> None:
    """By its own scripts, which also say that these members and these verbs are all that a kind has."""
    done = subprocess.run(
        [NODE, "--input-type=module", "-e", READ, str(PAGE)],
        input=json.dumps({**VECTORS, "payloads": [*PAYLOADS, *EVM]}),
        capture_output=True,
        text=True,
        check=True,
        timeout=240,
    )
    answer, made = json.loads(done.stdout), VECTORS["registration"]
    assert (answer["challenge"], answer["fingerprint"]) == (made["challenge"], made["fingerprint"])
    for case, found in zip([*PAYLOADS, *EVM], answer["found"], strict=True):
        assert (found["digest"], found["challenges"]) == (case["digest"], case["challenges"])
    for case, found in zip(EVM, answer["found"][-len(EVM) :], strict=True):
        assert found["headline"].replace("\u202f", "") == f"Pay {case['amount']}"
        assert found["source"] == f"vault wallet on {case['network']}"
        assert found["to"] == case["members"]["destination"]


def test_lead_to_the_same_registration_in_the_kernel() -> None:
    made = VECTORS["registration"]
    point = bytes.fromhex(made["public_key"])
    nonce = bytes.fromhex(made["nonce"])
    challenge = registration.challenge(deployment=DEPLOYMENT, officer=made["officer"], nonce=nonce)
    assert challenge.hex() == made["challenge"]
    assert registration.fingerprint(point) == made["fingerprint"]
    page = DOCS.read_text()
    assert {made["challenge"], made["fingerprint"]} <= set(page.split())
    for tag in (registration.DOMAIN_TAG, registration.FINGERPRINT_TAG):
        assert f"`{tag.decode()}`" in page


@pytest.mark.parametrize("case", PAYMENTS, ids=of_kind)
def test_lead_to_the_same_confirmation_offline(case: dict[str, Any], tmp_path: Path) -> None:
    """By the decoder's program, with the key of the vectors: Ed25519 gives one signature for one message."""
    key = tmp_path / "decoder.pem"
    secret = Ed25519PrivateKey.from_private_bytes(SEED)
    key.write_bytes(
        secret.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, BestAvailableEncryption(b"correct horse"))
    )
    payload = bytes.fromhex(case["hex"])
    asked = canonical.encode(
        {
            "deployment": DEPLOYMENT,
            "kind": case["kind"],
            "nonce": case["nonce"],
            "payload": encodings.base64url(payload),
        }
    ).decode()
    typed = f"{asked}\n{case['digest'][:8]}\ncorrect horse\n"
    done = run("confirm", "--key", str(key), typed=typed)
    signature = bytes.fromhex(case["confirmation"])
    assert done.stdout.splitlines()[-1] == f"CONFIRMED {encodings.base64url(signature)}", done.stderr
    said = Statement(
        Verb.APPROVE,
        case["kind"],
        DEPLOYMENT,
        bytes.fromhex(case["nonce"]),
        canonical.digest(payload),
    )
    confirmation.verify(signature, statement=said, key=bytes.fromhex(VECTORS["decoder_key"]))
    assert Intent.parse(payload).encoded() == payload
    if case in EVM:
        assert f", on {case['network']}\n  pays      {case['amount']}\n" in done.stdout
        assert case["members"]["destination"] in done.stdout.replace(" ", "")


def test_are_what_the_page_says() -> None:
    page = DOCS.read_text()
    rows = re.findall(r"^\| `([a-z_]+\.[a-z_]+)` \| ([^|]+) \| ([^|]+) \|$", page, re.MULTILINE)
    common = re.search(r"^Every payload has the members (.+)\.$", page, re.MULTILINE)
    assert common is not None
    shared = set(re.findall(r"`(\w+)`", common[1]))
    said = {
        kind: (re.findall(r"`(\w+)`", verbs), {*shared, *re.findall(r"`(\w+)`", members)})
        for kind, verbs, members in rows
    }
    assert said == {case["kind"]: (list(case["challenges"]), set(case["members"])) for case in PAYLOADS}
    assert f"`{DOMAIN_TAG.decode()}`" in page
    assert f"`{confirmation.DOMAIN_TAG.decode()}`" in page
    example = PAYLOADS[0]
    assert bytes.fromhex(example["hex"]).decode() in page
    assert {example["digest"], example["nonce"], *example["challenges"].values()} <= set(page.split())
    assert bytes.fromhex(EVM[0]["hex"]).decode() in page
    plain = SafeTransaction(1, ZERO_ADDRESS, ZERO_ADDRESS, 0, b"", 0)
    assert all(f"`{name}`" in page for name in plain.as_json())


def test_have_an_attestation_that_signers_read_and_that_the_page_shows() -> None:
    vector, page = load("attestation"), DOCS.read_text()
    payload, signature = bytes.fromhex(vector["hex"]), bytes.fromhex(vector["signature"])
    assert canonical.encode(vector["members"]) == payload
    assert dict(lane.Attestation.parse(payload).spent) == vector["members"]["spent"]
    assert lane.check_attestation(payload, signature, by={"books": bytes.fromhex(vector["key"])}) == "books"
    assert payload.decode() in page
    assert vector["signature"] in page
    assert f"`{lane.DOMAIN_TAG[:-1].decode()}`" in page
    assert f"at most {lane.SPENT_MAX} coins" in page
