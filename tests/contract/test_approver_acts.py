"""The approver page's own reading of payloads …"""

from __future__ import annotations

import json
import subprocess
from datetime import datetime
from pathlib import Path
from typing import Any, Final
from uuid import UUID

import pytest
from playwright._impl._driver import compute_driver_executable

from backoffice.console import payloads
from core import clock
from core.approvals import kinds
from core.approvals.actions import policies
from core.approvals.models import ApprovalRequest
from core.factors.domain.enrolments import Code, Enrolment, Passkey, SealedKey, payload
from core.freezes.actions import ask_release
from core.staff.domain import changes
from custody import actions
from custody.actions import request_refill, request_sweep
from custody.domain.orders import UNASKED
from custody.models import SignerOrder, Wallet
from engine_bridge.actions import ask_band, ask_fee_level, ask_market_release, stop_market
from engine_bridge.models import Instrument
from fixtures.authenticator import AAGUID, Authenticator
from kernel import canonical
from kernel.intent import time_text
from kernel.money import ASSETS
from kernel.pinned import INTENT_LIFE_S
from kyc.actions import propose_tier, request_erasure
from kyc.domain.erasures import Basis
from tests.exchange import stock
from tests.messages import in_hours, withdrawal
from tests.recoveries import draft_recovery
from tests.softtoken import hot_registry
from tests.treasury import BTC, trader

PAGE: Final = Path(__file__).resolve().parents[2] / "custody/approver/page"
# Playwright brings a Node of its own, so nobody has to install one.
NODE: Final = compute_driver_executable()[0]
PERSON: Final = UUID("01900000-0000-7000-8000-0000000000b2")

RULE: Final = (
    '{"name":"all","when":[["kind","in",["custody.withdrawal","custody.refill","custody.sweep"]]],'
    '"teams":{"treasury":2},"rejections":1},{"name":"night","when":[["hour","below","6"]],"deny":"wait"}'
)

READ: Final = """
import { readFileSync } from "node:fs";
const { ACTS, DECIMALS, checkTime, read, decimal } = await import(process.argv[1] + "/acts.js");
const { decodeObject } = await import(process.argv[1] + "/canonical.js");
const asked = JSON.parse(readFileSync(0, "utf-8"));
const found = asked.map(({ hex, kind }) => {
  try {
    const act = read(decodeObject(Buffer.from(hex, "hex")), { kind, deployment: "test" });
    checkTime(act, Date.now());
    return act;
  }
  catch (error) { return { failed: `${error.name}: ${error.message}` }; }
});
console.log(JSON.stringify({ kinds: [...ACTS.keys()], decimals: Object.fromEntries(DECIMALS), found }));
"""


def read(asked: list[tuple[str, bytes]]) -> dict[str, Any]:
    """What the page's scripts make of these payloads."""
    given = json.dumps([{"kind": kind, "hex": payload.hex()} for kind, payload in asked])
    command = [NODE, "--input-type=module", "-e", READ, str(PAGE)]
    done = subprocess.run(command, input=given, capture_output=True, text=True, check=True, timeout=240)
    answer: dict[str, Any] = json.loads(done.stdout)
    return answer


def staff_changes() -> list[tuple[str, bytes]]:
    """One payload of each change to the staff."""
    key = Authenticator()
    made: list[changes.Change] = [
        changes.Join(PERSON, "Zoë O’Neill", "zoe@countersign.example", "5f1c", ("support", "sre")),
        changes.GrantRole(PERSON, "senior_officer", 8),
        changes.EndRole(PERSON, "sre"),
        changes.Leave(PERSON),
        changes.Restore(PERSON),
        changes.Rebind(PERSON, "5f1d"),
        changes.AddPasskey(PERSON, key.credential_id, key.public_key_hex, "blue key", str(AAGUID), "packed"),
        changes.RevokePasskey(PERSON, key.credential_id),
    ]
    return [
        (
            change.kind,
            canonical.encode(
                changes.payload(
                    change, deployment="test", maker=PERSON, name="Ben Brandt", reason="two\nlines"
                )
            ),
        )
        for change in made
    ]


def enrolments() -> list[tuple[str, bytes]]:
    """One payload of each new authenticator."""
    key, factor = Authenticator(), UUID(int=7)
    made: list[Enrolment] = [
        Passkey(factor, PERSON, "blue key", key.credential_id, key.public_key_hex, str(factor), "packed"),
        SealedKey(factor, PERSON, "safe 1", key.credential_id, key.public_key_hex, str(factor), "packed"),
        Code(factor, PERSON, "telephone", "ab" * 32),
    ]
    return [
        (each.kind, canonical.encode(payload(each, deployment="test", name="Ben Brandt", reason="a loss")))
        for each in made
    ]


@pytest.mark.django_db
def test_knows_every_kind_that_can_be_approved_and_each_of_its_members(now: datetime) -> None:
    now = clock.now()
    exchange = stock(now)
    ana = exchange.staff.ana
    sweep, hot = exchange.proposed_sweep(), Wallet.objects.filter(name="hot")
    hot.update(refill_below=0, target=BTC // 8)
    request_sweep(sweep_id=sweep, reason="hot is full", actor=ana.actor, now=now)
    hot.update(refill_below=BTC, target=2 * BTC)
    request_refill(refill_id=exchange.refill.pk, reason="hot is low", actor=ana.actor, now=now)
    ask_release(freeze_id=exchange.freeze.pk, reason="prices agree again", actor=ana.actor, now=now)
    Instrument.objects.update(symbol="ETH-USDT", band_ppm=50_000)  # which is not frozen
    stop_market(symbol="ETH-USDT", state="halted", reason="one price", actor=ana.actor, now=now)
    ask_market_release(symbol="ETH-USDT", reason="two prices", actor=ana.actor, now=now)
    asked = {"reason": "a good customer", "actor": ana.actor, "now": now}
    ask_fee_level(customer_id=exchange.treasury.tom.pk, level="VIP1", **asked)
    ask_band(symbol="ETH-USDT", percent="7.5", **asked)
    draft = policies.save_draft(draft_id=None, text='{"rules":[' + RULE + "]}", actor=ana.actor, now=now)
    policies.run_backtest(draft_id=draft.pk, count=10, actor=ana.actor, now=now)
    policies.ask_publication(draft_id=draft.pk, reason="a test", actor=ana.actor, now=now)
    actions.ask_release_of_signers(wallet="*", reason="all is well", actor=ana.actor, now=now)
    officer = f"officer:{exchange.staff.ben.identity.pk}"
    actions.draft_freeze(wallet=officer, reason="a laptop", actor=ana.actor, now=now)
    actions.ask_release_of_signers(wallet=officer, reason="it was found", actor=ana.actor, now=now)
    new = hot_registry(version=2, deployment="test")
    actions.ask_registry(new=new, reason="Dot", actor=ana.actor, now=now)
    actions.draft_veto(registry_digest=new.digest.hex(), reason="not Dot", actor=ana.actor, now=now)
    draft_recovery(ana, now)
    actions.report_health(token="hot-1", said={"journal": {"standing": "cd" * 32}}, now=now)
    actions.ask_reopening(token="hot-1", reason="its disk died", actor=ana.actor, now=now)
    propose_tier(
        case_id=exchange.case.pk,
        tier=3,
        reason="papers in order",
        officer=ana.identity,
        actor=ana.actor,
        now=now,
    )
    request_erasure(
        customer_id=trader("Ora", tier=0).pk,
        basis=Basis.ASKED,
        reason="a letter",
        officer=ana.identity,
        actor=ana.actor,
        now=now,
    )
    opened = [(row.kind, bytes(row.payload)) for row in ApprovalRequest.objects.order_by("kind")]
    stops = [(row.kind, bytes(row.payload)) for row in SignerOrder.objects.filter(request=None)]
    approved = [*opened, *staff_changes(), *enrolments()]
    answer = read([*approved, *stops])
    assert set(answer["kinds"]) == {*kinds.registered(), *UNASKED}
    assert {kind for kind, _ in stops} == UNASKED
    assert {kind for kind, _ in approved} == set(kinds.registered())
    assert [found["failed"] for found in answer["found"] if "failed" in found] == []
    headlines = {found["headline"] for found in answer["found"]}
    assert {"Pay 0.06 BTC", "Credit 25 USDT", "Release the freeze of market:BTC-USDT"} <= headlines
    assert {"Freeze the signers of the hot wallet", "Let every signer sign again"} <= headlines
    assert {"Suspend an officer at every signer", "Let an officer count again at every signer"} <= headlines
    answers = {found["verb"]: found["answers"] for found in answer["found"]}
    assert answers == {"approve": ["approve"], "release": ["release", "reject"]}
    assert {"Let Zoë O’Neill join", "Make Ben Brandt senior officer"} <= headlines


@pytest.mark.parametrize(("before", "after", "word"), [(1, 3, "Raise"), (3, 1, "Lower"), (2, 2, "Lower")])
def test_calls_no_lowered_tier_a_raise_nor_does_the_console(before: int, after: int, word: str) -> None:
    some = "01900000-0000-7000-8000-0000000000a1"
    members: dict[str, canonical.Value] = {
        "v": 1,
        "kind": "kyc.tier",
        "deployment": "test",
        "maker": some,
        "case": some,
        "customer": some,
        "tier": after,
        "tier_before": before,
        "reason": "papers",
        "expires": time_text(in_hours(2)),
    }
    payload = canonical.encode(members)
    (found,) = read([("kyc.tier", payload)])["found"]
    assert found["headline"] == f"{word} a customer from tier {before} to tier {after}"
    assert payloads.headline(payload) == found["headline"]


def test_counts_each_assets_decimals_as_the_kernel_does() -> None:
    assert read([])["decimals"] == {code: asset.decimals for code, asset in ASSETS.items()}


def test_refuses_a_member_too_many_too_few_or_of_another_shape() -> None:
    kind, payload = staff_changes()[1]
    members = canonical.decode_object(payload)
    wrong: list[dict[str, Any]] = [
        {**members, "hours": "8"},
        {**members, "more": 1},
        {name: value for name, value in members.items() if name != "reason"},
        {**members, "v": 2},
        {**members, "person": "BEN"},
        {**members, "deployment": "production"},
        {**members, "__proto__": "x"},
    ]
    found = read([(kind, canonical.encode(each)) for each in wrong])["found"]
    assert [each["failed"].partition(":")[0] for each in found] == ["Unreadable"] * len(wrong)


def test_signs_nothing_that_could_be_kept_until_signers_take_it_long_after() -> None:
    """Whoever owns the console dates a payment a year ahead, has it approved, and calls it off there."""

    def payment(hours: float) -> tuple[str, bytes]:
        made = withdrawal(deployment="test", expires=in_hours(hours))
        return made.kind, made.encoded()

    week, later = read([payment(7 * 24), payment(7 * 24 + 1)])["found"]
    assert week["headline"].startswith("Pay ")
    assert later["failed"] == "Unreadable: This withdrawal would be good for longer than 168 hours."
    assert INTENT_LIFE_S == 168 * 3600


def about(kind: str, hours: float, wallet: str = "hot") -> tuple[str, bytes]:
    """An order about what signers hold."""
    made: dict[str, Any] = {
        "v": 1,
        "kind": kind,
        "deployment": "test",
        "maker": str(PERSON),
        "reason": "all is well",
        "expires": time_text(in_hours(hours)),
        "wallet": wallet,
    }
    return kind, canonical.encode(made)


def test_signs_no_release_of_signers_that_is_good_for_longer_than_a_day() -> None:
    """It would be kept, and end a freeze that nobody has pulled yet: signers go by when a release ends."""
    asked = [about("signer.release", 24), about("signer.release", 24.1), about("signer.freeze", 99)]
    short, long, freeze = read(asked)["found"]
    assert (short["headline"], freeze["verb"]) == ("Let the signers of the hot wallet sign again", "approve")
    assert long["failed"] == "Unreadable: This order to the signers would be good for longer than 24 hours."


def test_says_of_a_reopening_whom_the_signer_does_not_hear_and_that_it_is_nobody() -> None:
    def reopening(suspended: object) -> tuple[str, bytes]:
        made = {"v": 2, "kind": "signer.reopen", "deployment": "test", "maker": str(PERSON)}
        made |= {"reason": "its disk died", "expires": time_text(in_hours(1)), "token": "hot-1"}
        return "signer.reopen", canonical.encode({**made, "standing": "ab" * 32, "suspended": suspended})

    two, none, odd, text = read([reopening(one) for one in ([str(PERSON)] * 2, [], ["Ben"], "Ben")])["found"]
    said = [(line["value"], line["form"]) for line in two["lines"]]
    assert said[1:4] == [("2 suspended, who are named below", "text"), *[(str(PERSON), "officer")] * 2]
    assert none["lines"][1]["value"] == "nobody: who was suspended may count again"
    assert odd["failed"] == "Unreadable: The member suspended is not an id."
    assert text["failed"] == "Unreadable: The member suspended is not a list."


NAMED: Final = """
import { readFileSync } from "node:fs";
const { read } = await import(process.argv[1] + "/acts.js");
const { decodeObject } = await import(process.argv[1] + "/canonical.js");
const { named, rejectedBefore } = await import(process.argv[1] + "/host.js");
const { payload, kind, said } = JSON.parse(readFileSync(0, "utf-8"));
const act = read(decodeObject(Buffer.from(payload, "hex")), { kind, deployment: "test" });
const asked = [];
const found = await Promise.all(said.map((one) => named(act.lines, async (path) => {
  asked.push(path);
  if (one === null) throw new TypeError("Failed to fetch");
  return { ok: one.status === 200, status: one.status, json: async () => one.body };
})));
const by = [{ name: "Ben Brandt", at_ms: "0" }, { name: "Cy\\u202e", at_ms: "60000" }];
const about = { nonce: "aa", digest: "bb" };
const rejected = (one) => rejectedBefore(about, async (path) => (
  { ok: one !== null && path === "/rejected/aa/bb", json: async () => one }
));
const before = await Promise.all([{ by }, { by: [] }, null].map(rejected));
console.log(JSON.stringify({ asked, before, found: found.map((lines) => lines.slice(0, 2)) }));
"""


def test_shows_a_label_as_one_line_and_every_character_of_it() -> None:
    """A customer names their own address: no part of that looks like a row of the page, or like nothing."""
    labels = {
        "Tom\nNetwork fee\nat most 0 BTC": "Tom⟨U+000A⟩Network fee⟨U+000A⟩at most 0 BTC",
        "\u3164\u2800\u034f": "⟨U+3164⟩⟨U+2800⟩⟨U+034F⟩",
        "a\u00a0\u3000b": "a⟨U+00A0⟩⟨U+3000⟩b",
        "a\ufff9b\ufffac\u0600": "a⟨U+FFF9⟩b⟨U+FFFA⟩c⟨U+0600⟩",
        "o\u0300\u0301\u0302\u0303\u0304": "o\u0300\u0301\u0302⟨U+0303⟩⟨U+0304⟩",
        "Tom’s “home” 🏠, Größe": "Tom’s “home” 🏠, Größe",
    }
    made = [withdrawal(deployment="test", destination_label=label).encoded() for label in labels]
    found = read([("custody.withdrawal", payload) for payload in made])["found"]
    said = [line["value"] for act in found for line in act["lines"] if line["label"] == "Known as"]
    assert said == list(labels.values())
    reasons = read([case for case in staff_changes() if case[0] == "staff.leave"])["found"][0]["lines"]
    assert reasons[-1]["value"] == "two\nlines", "a reason has as many as it was written in"


def test_names_a_suspended_officer_by_the_registry_on_its_own_host_and_never_by_the_consoles_word() -> None:
    kind, payload = about("signer.freeze", 1, f"officer:{PERSON}")
    said = [
        {"status": 200, "body": {"name": "Ben\u202eBrandt", "registry": "3"}},
        {"status": 404, "body": {}},
        {"status": 503, "body": {}},
        None,
    ]
    given = json.dumps({"payload": payload.hex(), "kind": kind, "said": said})
    command = [NODE, "--input-type=module", "-e", NAMED, str(PAGE)]
    done = subprocess.run(command, input=given, capture_output=True, text=True, check=True, timeout=240)
    answer = json.loads(done.stdout)
    assert set(answer["asked"]) == {f"/officer/{PERSON}"}
    names = [lines[0] for lines in answer["found"]]
    assert (names[0]["label"], names[0]["value"]) == ("Officer", "Ben⟨U+202E⟩Brandt")
    assert names[0]["note"] == "As registry 3, on this page’s own host, calls them."
    assert names[1]["value"] == "nobody in the registry on this page’s own host"
    assert [one["value"] for one in names[2:]] == ["not known"] * 2
    ids = {(lines[1]["label"], lines[1]["value"]) for lines in answer["found"]}
    assert ids == {("Officer’s id", str(PERSON))}, "it stands there in any case"
    told, nobody, unknown = answer["before"]
    assert told.startswith(
        "Rejected before, on this page: by Ben Brandt (1970-01-01 00:00 UTC), Cy⟨U+202E⟩ ("
    )
    assert (nobody, unknown.startswith("Whether somebody rejected this before is not known")) == ("", True)


def test_names_whom_a_staff_change_is_about_by_its_own_hosts_registry_as_well() -> None:
    """A console that calls Ben by another name would have others take his rights, or his passkey, unseen."""
    said = [
        {"status": 200, "body": {"name": "Ben Brandt", "registry": "3"}},
        {"status": 404, "body": {}},
        None,
    ]
    for kind, encoded in [*staff_changes(), *enrolments()]:
        given = json.dumps({"payload": encoded.hex(), "kind": kind, "said": said})
        command = [NODE, "--input-type=module", "-e", NAMED, str(PAGE)]
        done = subprocess.run(command, input=given, capture_output=True, text=True, check=True, timeout=240)
        answer = json.loads(done.stdout)
        assert answer["asked"] == [f"/officer/{PERSON}"] * 3
        first = answer["found"][0]
        assert [line["label"] for line in first] == ["Person", "Known here as"]
        assert first[1]["value"] == "Ben Brandt", "whatever the line before says"
        assert [lines[1]["value"] for lines in answer["found"][1:]] == [
            "nobody in the registry on this page’s own host",
            "not known",
        ]


LEFT_OUT: Final = """
import { readFileSync } from "node:fs";
const { leftOut } = await import(process.argv[1] + "/host.js");
const { named, known } = JSON.parse(readFileSync(0, "utf-8"));
const ask = async (path) => (
  { ok: known !== null && path === "/suspended/m", json: async () => ({ suspended: known }) }
);
const said = named.map((suspended) => leftOut({ maker: "m", suspended }, ask));
console.log(JSON.stringify(await Promise.all(said)));
"""


def test_says_of_a_reopening_whom_it_leaves_out_by_its_own_hosts_log() -> None:
    """A console in other hands leaves out the officer whose stolen key it has."""

    def said(named: list[Any], known: Any) -> list[str]:
        given = json.dumps({"named": named, "known": known})
        command = [NODE, "--input-type=module", "-e", LEFT_OUT, str(PAGE)]
        done = subprocess.run(command, input=given, capture_output=True, text=True, check=True, timeout=240)
        found: list[str] = json.loads(done.stdout)
        return found

    ben = {"name": "Ben", "at_ms": "0"}
    eve: dict[str, Any] = {"id": "e", "name": "Eve\u202e", "by": [ben], "released_by": []}
    out, named, another_act = said([["c"], ["c", "e"], None], [eve])
    assert out.startswith(
        "Suspended on this page, and not named above: Eve⟨U+202E⟩, suspended by Ben (1970-01-01 00:00 UTC), "
        "and nobody signed here that they may count again."
    )
    assert (named, another_act) == ("", "")
    (since,) = said([[]], [{**eve, "released_by": [{"name": "Cy", "at_ms": "60000"}]}])
    assert "; since then Cy (1970-01-01 00:01 UTC) signed that they may count again." in since
    (unknown,) = said([[]], None)
    assert unknown.startswith("Whether this leaves out somebody who was suspended")
