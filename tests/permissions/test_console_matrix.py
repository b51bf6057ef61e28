"""Every URL of the console …"""

from __future__ import annotations

import functools
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from typing import Final
from uuid import UUID

import pytest
from django.db import connection, transaction
from django.http import HttpResponse
from django.test.utils import CaptureQueriesContext
from django.urls import URLPattern, reverse

from backoffice.console.ceremony import SENTENCES, needs_of
from backoffice.console.urls import urlpatterns
from core import access, clock
from core.access.models import Identity, OfficerSession
from core.access.requirement import permission_of
from core.audit.models import AuditEvent
from tests import doors
from tests.doors import at_console
from tests.exchange import Exchange

pytestmark = pytest.mark.slow

CONSOLE: Final = "backoffice.console.urls"
NOBODY: Final = UUID("01900000-dead-7000-8000-00000000dead")

# One row per URL: its permission, written a second time by hand, and whether it is read or posted to.
ROWS: Final = {
    "enter": ("factors:own:manage", "POST"),
    "leave": ("factors:own:manage", "POST"),
    "session": ("factors:own:manage", "GET"),
    "end_all_sessions": ("factors:own:manage", "POST"),
    "end_their_sessions": ("access:staff:suspend", "POST"),
    "home": ("console:home:read", "GET"),
    "pulse": ("console:home:read", "GET"),
    "live": ("console:home:read", "GET"),
    "approvals": ("approvals:request:read", "GET"),
    "approval": ("approvals:request:read", "GET"),
    "approval_json": ("approvals:request:read", "GET"),
    "sign": ("approvals:request:read", "POST"),
    "take_back": ("approvals:request:withdraw", "POST"),
    "policy": ("approvals:policy:read", "GET"),
    "draft_policy": ("approvals:policy:propose", "POST"),
    "policy_draft": ("approvals:policy:read", "GET"),
    "change_policy": ("approvals:policy:propose", "POST"),
    "test_policy": ("approvals:policy:propose", "POST"),
    "publish_policy": ("approvals:policy:propose", "POST"),
    "drop_policy": ("approvals:policy:propose", "POST"),
    "withdrawals": ("custody:withdrawal:read", "GET"),
    "withdrawal": ("custody:withdrawal:read", "GET"),
    "withdrawal_json": ("custody:withdrawal:read", "GET"),
    "release": ("custody:withdrawal:release", "POST"),
    "reject": ("custody:withdrawal:reject", "POST"),
    "fail": ("custody:withdrawal:reject", "POST"),
    "ask_again": ("custody:withdrawal:release", "POST"),
    "raise_fee": ("custody:payment:raise", "POST"),
    "treasury": ("custody:treasury:read", "GET"),
    "refills_json": ("custody:treasury:read", "GET"),
    "refill": ("custody:treasury:read", "GET"),
    "refill_json": ("custody:treasury:read", "GET"),
    "adopt_refill": ("custody:refill:propose", "POST"),
    "dismiss_refill": ("custody:refill:dismiss", "POST"),
    "sweep": ("custody:treasury:read", "GET"),
    "sweep_json": ("custody:treasury:read", "GET"),
    "adopt_sweep": ("custody:sweep:propose", "POST"),
    "dismiss_sweep": ("custody:sweep:dismiss", "POST"),
    "ask_sweep_again": ("custody:sweep:propose", "POST"),
    "raise_sweep_fee": ("custody:payment:raise", "POST"),
    "export_bundle": ("custody:bundle:transfer", "POST"),
    "import_partial": ("custody:bundle:transfer", "POST"),
    "signers": ("custody:signer:read", "GET"),
    "freeze_signers": ("custody:signer:stop", "POST"),
    "veto_registry": ("custody:signer:stop", "POST"),
    "release_signers": ("custody:signer:order", "POST"),
    "reopen_signer": ("custody:signer:order", "POST"),
    "announce_registry": ("custody:signer:order", "POST"),
    "signer_order": ("custody:signer:read", "GET"),
    "signer_order_file": ("custody:signer:read", "GET"),
    "sign_order": ("custody:signer:stop", "POST"),
    "draft_recovery": ("custody:signer:order", "POST"),
    "sign_recovery": ("custody:signer:order", "POST"),
    "adjustments": ("custody:treasury:read", "GET"),
    "propose_adjustment": ("custody:adjustment:propose", "POST"),
    "cases": ("kyc:case:read", "GET"),
    "case": ("kyc:case:read", "GET"),
    "evidence": ("kyc:evidence:read", "POST"),
    "take_case": ("kyc:case:decide", "POST"),
    "close_case": ("kyc:case:decide", "POST"),
    "propose_tier": ("kyc:case:decide", "POST"),
    "customer": ("kyc:case:read", "GET"),
    "erase_customer": ("kyc:erasure:request", "POST"),
    "markets": ("engine:market:read", "GET"),
    "market": ("engine:market:read", "GET"),
    "stop_market": ("engine:market:halt", "POST"),
    "ask_market_release": ("engine:market:halt", "POST"),
    "narrow_band": ("engine:market:halt", "POST"),
    "ask_band": ("engine:market:halt", "POST"),
    "fees": ("engine:market:read", "GET"),
    "ask_fee_level": ("engine:fees:propose", "POST"),
    "engine": ("engine:market:read", "GET"),
    "rebuild_mirrors": ("engine:mirrors:rebuild", "POST"),
    "verify_journal": ("engine:journal:verify", "POST"),
    "staff": ("access:staff:read", "GET"),
    "join": ("access:staff:propose", "POST"),
    "person": ("access:staff:read", "GET"),
    "suspend": ("access:staff:suspend", "POST"),
    "declare_account": ("access:staff:read", "POST"),
    "propose_change": ("access:staff:propose", "POST"),
    "audit": ("audit:event:read", "GET"),
    "event": ("audit:event:read", "GET"),
    "reads": ("audit:event:read", "GET"),
    "seals": ("audit:event:read", "GET"),
    "export_log": ("audit:event:export", "POST"),
    "freezes": ("freezes:freeze:read", "GET"),
    "pull_freeze": ("freezes:freeze:pull", "POST"),
    "ask_release": ("freezes:freeze:release", "POST"),
    "elevations": ("access:staff:read", "GET"),
    "ask_elevation": ("access:elevation:ask", "POST"),
    "elevation": ("access:staff:read", "GET"),
    "end_elevation": ("factors:own:manage", "POST"),
    "take_factor": ("access:staff:suspend", "POST"),
    "take_passkey": ("access:staff:suspend", "POST"),
    "begin_signing": ("factors:own:manage", "POST"),
    "signing": ("factors:own:manage", "GET"),
    "propose_signing": ("factors:own:manage", "POST"),
    "end_signing": ("factors:own:manage", "POST"),
    "emergencies": ("factors:own:manage", "GET"),
    "ask_glass": ("factors:own:manage", "POST"),
    "second_glass": ("factors:own:manage", "POST"),
    "end_glass": ("factors:own:manage", "POST"),
    "begin_sealed": ("access:staff:propose", "POST"),
    "propose_sealed": ("access:staff:propose", "POST"),
    "take_sealed": ("access:staff:suspend", "POST"),
    "authenticators": ("factors:own:manage", "GET"),
    "begin_code": ("factors:own:manage", "POST"),
    "propose_code": ("factors:own:manage", "POST"),
    "begin_passkey": ("factors:own:manage", "POST"),
    "propose_passkey": ("factors:own:manage", "POST"),
    "end_factor": ("factors:own:manage", "POST"),
    "health": ("health:probe:read", "GET"),
}
# What is confirmed by a ceremony, and which: `money` by a passkey alone. Each change here is a decision.
CONFIRMED: Final = {
    "enter": "enter",
    "publish_policy": "act",
    "release": "money",
    "reject": "act",
    "fail": "money",
    "ask_again": "money",
    "raise_fee": "money",
    "adopt_refill": "money",
    "adopt_sweep": "money",
    "ask_sweep_again": "money",
    "raise_sweep_fee": "money",
    "export_bundle": "money",
    "import_partial": "money",
    "announce_registry": "money",
    "propose_adjustment": "money",
    "evidence": "act",
    "export_log": "act",
    "propose_tier": "act",
    "erase_customer": "act",
    "ask_market_release": "money",
    "ask_band": "money",
    "ask_fee_level": "money",
    "rebuild_mirrors": "act",
    "ask_release": "money",
    "release_signers": "money",
    "draft_recovery": "money",
    "reopen_signer": "money",
    "join": "act",
    "suspend": "act",
    "end_their_sessions": "act",
    "propose_change": "act",
    "ask_elevation": "act",
    "ask_glass": "sealed",
    "second_glass": "sealed",
    "begin_sealed": "act",
    "take_sealed": "act",
    "take_factor": "act",
    "take_passkey": "act",
    "begin_signing": "enrol",
    "begin_code": "enrol",
    "begin_passkey": "enrol",
}
FOR_EVERY_ROLE: Final = {
    "console:home:read",
    "custody:withdrawal:read",
    "factors:own:manage",
    "engine:market:read",
    "freezes:freeze:read",
    "health:probe:read",
}
"""Permissions that nobody with a role lacks."""

SHOWS_PEOPLE: Final = {"approval", "approval_json", "withdrawal", "case", "person", "event"}
"""Screens that leave an event about who read what of whom, and nothing else (docs/personal-data.md)."""

Url = Callable[[str], AbstractContextManager[str]]
Powers = dict[Identity, frozenset[str]]

PATTERNS: Final = {pattern.name: pattern for pattern in urlpatterns}
SCREENS: Final = [name for name, (_, method) in ROWS.items() if method == "GET"]
ACTS: Final = [name for name, (_, method) in ROWS.items() if method == "POST"]


def test_stands_in_the_matrix_with_the_permission_that_it_declares() -> None:
    assert all(isinstance(pattern, URLPattern) for pattern in urlpatterns), "an include() would hide URLs"
    declared = {name: permission_of(pattern.callback) for name, pattern in PATTERNS.items()}
    assert declared == {name: permission for name, (permission, _) in ROWS.items()}
    assert len(PATTERNS) == len(urlpatterns), "two URLs share a name"


def test_is_confirmed_by_a_ceremony_where_it_matters() -> None:
    marked = {name: needs_of(pattern.callback) for name, pattern in PATTERNS.items()}
    assert {name: needs for name, needs in marked.items() if needs} == CONFIRMED
    assert set(CONFIRMED) <= set(SENTENCES), "the person is told what they confirm"


def test_opens_for_staff_with_its_permission_and_for_nobody_else(
    url: Url, exchange: Exchange, powers: Powers
) -> None:
    for name in ROWS:
        with url(name) as address:
            permission, method = ROWS[name]

            def answer(
                identity: Identity | None, method: str = method, address: str = address
            ) -> HttpResponse:
                return at_console(identity).generic(method, address)  # type: ignore[return-value]

            before = AuditEvent.objects.count()
            assert answer(None).status_code == 403
            assert AuditEvent.objects.count() == before, "strangers must not be able to fill the log"
            refused = answer(exchange.staff.eve.identity)
            assert refused.status_code == 403
            assert b"Your role does not open this page" in refused.content
            assert AuditEvent.objects.count() == before + 1

            without = next((one for one, held in powers.items() if permission not in held), None)
            assert (without is None) == (permission in FOR_EVERY_ROLE)
            if without is not None:
                assert answer(without).status_code == 403

            admitted = answer(holder(powers, permission))
            assert admitted.status_code == 200 if method == "GET" else admitted.status_code != 403


def test_answers_404_for_a_row_that_does_not_exist(url: Url, powers: Powers) -> None:
    about_rows = [name for name, pattern in PATTERNS.items() if pattern.pattern.converters]
    for name in about_rows:
        with url(name):
            nothing = {
                parameter: {"symbol": "DOGE-USDT", "event_id": 999_999_999}.get(parameter, NOBODY)
                for parameter in PATTERNS[name].pattern.converters
            }
            address = reverse(name, urlconf=CONSOLE, kwargs=nothing)
            permission, method = ROWS[name]
            assert at_console(holder(powers, permission)).generic(method, address).status_code == 404


def test_that_is_read_writes_nothing_and_takes_no_post(url: Url, powers: Powers) -> None:
    for name in SCREENS:
        with url(name) as address:
            client = at_console(holder(powers, ROWS[name][0]))
            with CaptureQueriesContext(connection) as captured:
                assert client.get(address).status_code == 200
            reads = ("SELECT", "SAVEPOINT", "RELEASE", 'INSERT INTO "audit_event"')  # who read is on record
            allowed = reads if name in SHOWS_PEOPLE else reads[:1]
            assert [query["sql"] for query in captured if not query["sql"].lstrip().startswith(allowed)] == []
            for verb in ("POST", "PUT", "PATCH", "DELETE"):
                assert client.generic(verb, address).status_code == 405


def test_that_is_posted_to_needs_a_form_of_ours_and_cannot_be_followed(url: Url, powers: Powers) -> None:
    for name in ACTS:
        with url(name) as address:
            person = holder(powers, ROWS[name][0])
            before = AuditEvent.objects.count()
            forged = at_console(person, checks_csrf=True).post(address, {"reason": "because"})
            assert forged.status_code == 403
            assert b"Nothing was changed" in forged.content
            for site in ("cross-site", "same-site", "none"):
                sent = at_console(person).post(address, headers={"Sec-Fetch-Site": site})
                assert sent.status_code == 403
            assert at_console(person).get(address).status_code == 405
            assert AuditEvent.objects.count() == before


@pytest.fixture
def powers(exchange: Exchange) -> Powers:
    """What each of the cast may do, Ana first: asked once, since whatever a row changes of it is undone."""
    return {one: access.powers(one, exchange.treasury.now) for one in exchange.cast()}


def holder(powers: Powers, permission: str) -> Identity:
    """The first who holds it."""
    return next(one for one, held in powers.items() if permission in held)


@pytest.fixture
def url(exchange: Exchange, subtests: pytest.Subtests, monkeypatch: pytest.MonkeyPatch) -> Url:
    """A URL's address, as a subtest of its own on the same exchange: what it changes is undone.

    Everybody with a role has entered before; a row that ends somebody's session ends it for itself alone.
    Each person comes with one token of the edge, which signs slowly, and is asked about each anew.
    """
    monkeypatch.setattr(doors, "token", functools.cache(doors.token))
    for person in exchange.cast():
        at_console(person).enter()

    @contextmanager
    def opened(name: str) -> Iterator[str]:
        kwargs = {parameter: exchange.row(parameter) for parameter in PATTERNS[name].pattern.converters}
        with subtests.test(name):
            # No atomic(): actions are durable, and so refuse to run inside one.
            point = transaction.savepoint()
            # As if everybody had asked for something just now, however long the rows before have taken.
            OfficerSession.objects.filter(ended_at=None).update(seen_at=clock.now())
            try:
                yield reverse(name, urlconf=CONSOLE, kwargs=kwargs)
            finally:
                transaction.savepoint_rollback(point)

    return opened
