"""The kernel, the page's scripts and the offline decoder, each given the same bent payments, …"""

from __future__ import annotations

import json
import random
import subprocess
from typing import Any, Final

from custody.decoder.__main__ import describe
from custody.decoder.requests import Request, Unreadable
from kernel import canonical, encodings, networks
from kernel.intent import WITHDRAWAL, BadIntent, Intent, time_text
from tests.contract.test_approver_acts import NODE, PAGE

CASES: Final = 4_000
GOOD: Final[dict[str, Any]] = {
    "amount": "25000000",
    "asset": "BTC",
    "customer": "01900000-0000-7000-8000-0000000000d1",
    "deployment": "test",
    "destination": "bcrt1qw508d6qejxtdg4y5r3zarvary0c5xw7kygt080",
    "destination_label": "Tom",
    "expires": "2026-11-30T12:00:00Z",
    "fee_cap": "50000",
    "kind": "custody.withdrawal",
    "maker": "01900000-0000-7000-8000-0000000000a1",
    "network": "regtest",
    "policy": 7,
    "source": "hot",
    "v": 1,
    "withdrawal": "01900000-0000-7000-8000-0000000000c1",
}
ODD: Final[list[Any]] = [
    *("", "0", "-1", "00", "1e3", " 1", "1 ", "\uff11", "\u0663", "9" * 30, "9" * 31, "null", "\x7f", "\x85"),
    *(
        "\u202e",
        "\x00",
        "\n",
        "a\nb",
        "\u2028",
        "\ufeff",
        "\u3164",
        "\u034f",
        "e\u0301",
        "\U0001f3e0",
        "\u0378",
    ),
    *("\xa0", "x" * 120, "x" * 121, "eip155:1", "eip155:01", "eip155:9007199254740993", "ETH", "USDT", "btc"),
    *("2026-02-30T00:00:00Z", "0999-01-01T00:00:00Z", "10000-01-01T00:00:00Z", "2026-11-30T24:00:00Z"),
    *("2026-11-30T23:59:60Z", "2026-11-30T12:00:00z", "2026-11-30 12:00:00Z", "2026-11-30T12:00:00+00:00"),
    *("01900000-0000-7000-8000-0000000000D1", "{01900000-0000-7000-8000-0000000000d1}", "hot wallet"),
    *("019000000000700080000000000000d1", "custody.refill", 1, 0, -1, True, False, None, 2**53 - 1, [], {}),
]
BYTES: Final = b'{}[]",:\\u0019ae-. \t\n\x00\x7f\xff\xc0\xed\xef\xbb\xbf'
READ: Final = """
import { readFileSync } from "node:fs";
const { read } = await import(process.argv[1] + "/acts.js");
const { NotCanonical, decodeObject } = await import(process.argv[1] + "/canonical.js");
const found = JSON.parse(readFileSync(0, "utf-8")).map((hex) => {
  let members;
  try { members = decodeObject(Buffer.from(hex, "hex")); }
  catch (error) { return { canonical: error instanceof NotCanonical ? false : String(error) }; }
  try {
    const { headline, lines } = read(members, { kind: members.get("kind"), deployment: "test" });
    return { canonical: true, said: [headline, ...lines.map(({ value }) => value)] };
  } catch (error) { return { canonical: true, refused: `${error.name}: ${error.message}` }; }
});
console.log(JSON.stringify(found));
"""


def bent(chance: random.Random) -> bytes:
    """A payment with one or two members that are odd, missing or too many, and now and then odd bytes."""
    members = dict(GOOD)
    for _ in range(chance.randint(1, 2)):
        name = chance.choice([*GOOD, "refill", "extra", "__proto__", "constructor"])
        if chance.random() < 0.15:
            members.pop(name, None)
        else:
            members[name] = chance.choice(ODD)
    if chance.random() < 0.2:
        members = {**members, "kind": "custody.refill", "refill": GOOD["withdrawal"]}
        members = {name: value for name, value in members.items() if name not in ("customer", "withdrawal")}
    data = bytearray(canonical.encode(members))
    for _ in range(chance.choice((0, 0, 0, 1, 2))):
        at, byte = chance.randrange(len(data)), chance.choice(BYTES)
        data[at : at + chance.randint(0, 1)] = chance.choice((b"", bytes([byte])))
    return bytes(data)


def test_take_and_refuse_the_very_same_and_say_the_same_of_it() -> None:
    chance = random.Random("three decoders")
    payloads = [canonical.encode(GOOD), *(bent(chance) for _ in range(CASES))]
    command = [NODE, "--input-type=module", "-e", READ, str(PAGE)]
    given = json.dumps([payload.hex() for payload in payloads])
    done = subprocess.run(command, input=given, capture_output=True, text=True, check=True, timeout=240)
    taken = 0
    for payload, page in zip(payloads, json.loads(done.stdout), strict=True):
        assert page["canonical"] is is_canonical(payload), payload
        intent = parsed(payload)
        if intent is None or intent.deployment != "test":
            assert "said" not in page, (payload, page)
            assert confirmed(payload) is None, payload
            continue
        taken += 1
        assert "said" in page, (payload, page)
        shown = confirmed(payload)
        assert shown is not None, payload
        amount = f"{intent.amount} {intent.amount.asset}"
        assert [each.replace("\u202f", "") for each in (*page["said"][:2], *page["said"][3:])] == [
            f"Pay {amount}" if intent.kind == WITHDRAWAL else f"Move {amount} from cold to hot",
            intent.destination,
            f"{intent.source} wallet on {networks.spoken(intent.network)}",
            f"at most {intent.fee_cap} {intent.fee_cap.asset}",
            time_text(intent.expires),
        ]
        assert f"pays      {amount}" in shown
        assert intent.destination in shown.replace(" ", "")
    assert taken > CASES / 50


def is_canonical(payload: bytes) -> bool:
    try:
        canonical.decode_object(payload)
    except canonical.NotCanonical:
        return False
    return True


def parsed(payload: bytes) -> Intent | None:
    try:
        return Intent.parse(payload)
    except (canonical.NotCanonical, BadIntent):
        return None


def confirmed(payload: bytes) -> str | None:
    """What the decoder shows of it in a request of its own kind; None where it confirms nothing."""
    try:
        kind = canonical.decode_object(payload).get("kind")
    except canonical.NotCanonical:
        kind = None
    asked: dict[str, canonical.Value] = {
        "deployment": "test",
        "kind": kind if isinstance(kind, str) and kind else "custody.withdrawal",
        "nonce": "07" * 32,
        "payload": encodings.base64url(payload),
    }
    try:
        return "\n".join(describe(Request.parse(canonical.encode(asked).decode())))
    except Unreadable:
        return None
