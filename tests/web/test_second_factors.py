"""A trader's second factor …"""

from __future__ import annotations

import json
import re
from datetime import datetime, timedelta
from secrets import token_hex
from typing import Any

import pytest
from django.db import DatabaseError, transaction

from core import freezes
from core.audit.models import AuditEvent
from core.factors import vault
from core.freezes.actions import pull_freeze
from core.outbox.models import OutboxMessage
from customers import actions, queries
from customers.actions import create_api_key, passwords
from customers.domain import authenticators, links
from customers.domain.authenticators import NEXT, State
from customers.models import ApiKey, Authenticator, RecoveryCode
from tests.actions.test_factors_alerts import MailServer, deliver
from tests.officers import Staff
from tests.roles import as_role
from tests.traders import Api, SecondFactor, enrol, second_factor
from tests.treasury import ROBOT
from tests.web.person import STEP, Person

pytestmark = pytest.mark.django_db


def log() -> str:
    return "".join(
        [*AuditEvent.texts.values_list("canon", flat=True), str([*OutboxMessage.objects.values()])]
    )


def test_counts_from_its_first_code_on_and_is_asked_for_with_the_password(moment: list[datetime]) -> None:
    tom = Person(moment)
    key = {"scopes": ["trade"], "passphrase": "correct horse"}
    refused = tom.post("api-keys", **key)
    assert (refused["code"], "needs a second factor" in refused["msg"]) == ("50030", True)
    app = tom.new_app()
    assert tom.code("api-keys/list") == "0", "a secret that nobody has shown to work counts nothing"
    assert tom.code("second-factor/confirm", code="000000") == "50114"
    papers = tom.confirm(app)
    kept = Authenticator.objects.get()
    assert vault.unseal(kept.sealed_secret, row=kept.pk, place=Authenticator.place()) == app.secret
    assert app.secret not in bytes(kept.sealed_secret)
    assert len({*papers}) == authenticators.RECOVERY_CODES
    acts = ("api-keys/list", "api-keys/revoke", "api-keys", "second-factor", "second-factor/remove")
    for path in acts:
        assert tom.code(path, **key, apiKey="x") == "50014", path
    assert tom.code("api-keys", **key, code=tom.digits(app)) == "50114", "it was used to confirm"
    assert tom.code("api-keys", **key, code="") == "50014"
    moment[0] += STEP
    assert tom.code("api-keys", **key, code=tom.digits(app)) == "0"
    assert tom.held_until is None
    everything = log()
    for secret in (*papers, authenticators.base32(app.secret), tom.digits(app)):
        assert secret not in everything


def test_is_taken_once_and_after_wrong_ones_not_at_once(moment: list[datetime]) -> None:
    tom = Person(moment)
    app = tom.new_app()
    tom.confirm(app)
    moment[0] += STEP
    assert tom.code("api-keys/list", code=tom.digits(app)) == "0"
    assert tom.code("api-keys/list", code=tom.digits(app)) == "50114"
    # A code of a step before the one that was used is not fresh either.
    assert tom.code("api-keys/list", code=tom.digits(app, -1)) == "50114"
    said = tom.post("api-keys/list", code=tom.digits(app, +1))
    assert (said["code"], "Too many wrong codes" in said["msg"]) == ("50114", True)
    events = AuditEvent.objects.count()
    tom.post("api-keys/list", code="123456")
    assert AuditEvent.objects.count() == events, "the log does not grow at a guesser's pleasure"
    waits = list[timedelta]()
    app_row = Authenticator.objects.get()
    actor, now = ROBOT, moment[0]
    for _ in range(16):
        while (
            actions.check_code(
                customer_id=tom.customer.pk, code="000000", act="x", actor=actor, now=now
            ).fault
            == "factors.wait"
        ):
            now += timedelta(seconds=2 ** len(waits) if len(waits) < 12 else 600)
        waits.append(now - moment[0])
    assert waits[-1] - waits[-2] >= timedelta(hours=1), "an hour for one guess"
    app_row.refresh_from_db()
    assert app_row.throttling_failure_count > 12


def test_can_be_replaced_by_a_recovery_code_once(moment: list[datetime], mail: MailServer) -> None:
    tom = Person(moment)
    app = tom.new_app()
    first, second, *_ = tom.confirm(app)
    deliver("customers.mail")
    for _ in range(2):
        tom.code("api-keys/list", code="000000")  # while the app has to wait, paper does not
    assert tom.code("api-keys/list", code=first.lower().replace("-", " ")) == "0"
    assert deliver("customers.mail") == [True]
    assert "recovery code" in mail.taken[-1][1]["subject"]
    assert tom.code("api-keys/list", code=first) == "50114"
    assert tom.code("api-keys/list", code="AAAA-BBBB-CCCC-DDDD") == "50114"
    other = Person(moment)
    other.confirm(other.new_app())
    assert other.code("api-keys/list", code=second) == "50114"
    assert tom.code("api-keys/list", code=second) == "0"
    assert RecoveryCode.objects.exclude(used_at=None).count() == 2


def test_is_replaced_by_its_own_code_only_which_holds_withdrawals(
    moment: list[datetime], mail: MailServer
) -> None:
    tom = Person(moment)
    app = tom.new_app()
    papers = tom.confirm(app)
    moment[0] += STEP
    new = tom.new_app(code=tom.digits(app))
    moment[0] += STEP
    assert tom.code("api-keys/list", code=tom.digits(new)) == "50114", "not before it was confirmed"
    assert tom.code("api-keys/list", code=papers[1]) == "0"
    tom.confirm(new)
    assert tom.held_until == moment[0] + authenticators.HELD_AFTER_CHANGE
    assert tom.code("api-keys/list", code=papers[0]) == "50114", "papers end with their app"
    moment[0] += 2 * STEP
    assert tom.code("second-factor/remove", code=tom.digits(new)) == "0"
    assert tom.held_until == moment[0] + authenticators.HELD_AFTER_CHANGE
    assert tom.code("api-keys/list") == "0"
    assert tom.code("second-factor/remove") == "50030"
    assert [row.state for row in Authenticator.objects.order_by("begun_at")] == ["ended", "ended"]
    deliver("customers.mail")
    assert "has no second factor" in mail.taken[-1][1]["subject"]


def test_is_not_confirmed_late_nor_changed_at_a_frozen_account(moment: list[datetime], staff: Staff) -> None:
    tom = Person(moment)
    app = tom.new_app()
    moment[0] += authenticators.DRAFT_FOR
    assert tom.code("second-factor/confirm", code=tom.digits(app)) == "50030"
    stale, fresh = tom.new_app(), tom.new_app()
    assert tom.code("second-factor/confirm", code=tom.digits(stale)) == "50114"
    papers = tom.confirm(fresh)
    scope = f"customer:{tom.customer.pk}"
    pull_freeze(scope=scope, reason="look", actor=staff.sam.actor, now=moment[0])
    for number, path in enumerate(("second-factor", "second-factor/remove")):
        assert tom.code(path, code=papers[number]) == "50007"


def test_is_asked_for_by_a_new_password_by_mail(moment: list[datetime], settings: Any) -> None:
    tom = Person(moment)
    app = tom.new_app()
    papers = tom.confirm(app)
    link = tom.link(settings)
    wanted = {"link": link, "password": "an even longer password"}
    assert tom.code("password/new", **wanted) == "50014"
    assert tom.code("password/new", **wanted, code="000000") == "50114"
    # Whoever goes around the door finds it there as well.
    with pytest.raises(queries.CodeNeeded):
        passwords.set_new_password(link=link, password=wanted["password"], actor=ROBOT, now=moment[0])
    assert tom.code("password/new", link="nobody's", password="x" * 12) == "50030"
    assert tom.code("password/new", **wanted, code=papers[0]) == "0"
    assert tom.held_until == moment[0] + links.HELD_FOR
    assert tom.code("api-keys/list", password=wanted["password"]) == "50014"


def test_and_the_mail_are_all_that_a_new_password_needs(moment: list[datetime], mail: MailServer) -> None:
    """Word by word as the mail says, and as docs/accounts.md does."""
    tom = Person(moment)
    papers = tom.confirm(tom.new_app())
    assert tom.post("password/forgotten")["data"] == [{"validFor": "1800"}]
    assert deliver("customers.mail")[-1]
    words = str(mail.taken[-1][1].get_content()).replace("\r", "")
    (where,) = re.findall(r"http://api\.localhost:8000(/\S+)", words)
    (link,) = re.findall(r"^\S{76}$", words, re.MULTILINE)
    assert all(each in words for each in ("`link`", "`password`", "`code`", "works once"))
    body = {"link": link, "password": "an even longer password", "code": papers[0]}
    answer = json.loads(Api().post(where, body).content)
    assert answer["code"] == "0", answer
    tom.shown["password"] = "an even longer password"
    assert tom.code("api-keys/list", code=papers[1]) == "0"


def test_that_is_lost_with_its_papers_freezes_the_account_until_people_looked(
    moment: list[datetime], settings: Any, mail: MailServer
) -> None:
    tom = Person(moment)
    app = tom.new_app()
    papers = tom.confirm(app)
    deliver("customers.mail")
    link = tom.link(settings)
    assert tom.code("second-factor/lost", link=link[:-1]) == "50030"
    assert tom.code("second-factor/lost", link=link) == "0"
    week = moment[0] + authenticators.HELD_AFTER_LOSS
    assert tom.held_until == week
    assert tom.code("second-factor/lost", link=link) == "50030"
    # Until the worker has frozen the account nothing of it has changed.
    assert tom.code("api-keys/list") == "50014"
    assert deliver("customers.freeze") == [True]
    scope = f"customer:{tom.customer.pk}"
    with pytest.raises(freezes.Frozen):
        freezes.check(scope)
    assert not ApiKey.objects.filter(customer=tom.customer, revoked_at=None).exists()
    assert tom.code("api-keys/list", code=papers[0]) == "0", "it has no second factor: no code is looked at"
    assert deliver("customers.mail")[-1]
    assert "frozen" in mail.taken[-1][1]["subject"]
    # By mail the password changes, nothing comes of it, and the hold does not become shorter.
    said = tom.post("password/new", link=tom.link(settings), password="an even longer password")
    assert (said["code"], tom.held_until) == ("0", week)
    tom.shown["password"] = "an even longer password"
    for path in ("second-factor", "api-keys"):
        assert tom.code(path, scopes=["read"], passphrase="correct horse") == "50007"


def test_that_is_the_first_after_a_password_by_mail_holds_withdrawals_for_a_week(
    moment: list[datetime], settings: Any
) -> None:
    tom = Person(moment)
    assert tom.code("password/new", link=tom.link(settings), password="an even longer password") == "0"
    tom.shown["password"] = "an even longer password"
    moment[0] += timedelta(days=300)
    tom.confirm(tom.new_app())
    assert tom.held_until == moment[0] + authenticators.HELD_AFTER_LOSS


def test_is_asked_for_inside_the_act_as_well(now: datetime) -> None:
    customer = enrol("Tom", now=now, scopes=("read",)).customer
    asked: dict[str, Any] = {"customer_id": customer.pk, "passphrase": "correct horse"}
    wanted = {**asked, "scopes": ["withdraw"], "actor": ROBOT, "now": now}
    with pytest.raises(queries.NoSecondFactor):
        create_api_key(**wanted)
    before = second_factor(customer.pk, now=now)
    with pytest.raises(queries.CodeNeeded):
        create_api_key(**wanted)
    create_api_key(**wanted, confirmed=before.row)
    actions.remove_authenticator(customer_id=customer.pk, confirmed=before.row, actor=ROBOT, now=now)
    second_factor(customer.pk, now=now)
    with pytest.raises(queries.CodeNeeded):
        create_api_key(**wanted, confirmed=before.row)


def test_keeps_to_its_table_whoever_writes(now: datetime) -> None:
    def app(state: State) -> SecondFactor:
        made = second_factor(enrol(f"Tom{token_hex(4)}", now=now, scopes=("read",)).customer.pk, now=now)
        if state == State.ENDED:
            Authenticator.objects.filter(pk=made.row).update(state=state, ended_at=now)
        if state == State.DRAFT:
            actor: dict[str, Any] = {"actor": ROBOT, "now": now}
            user = Authenticator.objects.get(pk=made.row).user_id
            return SecondFactor(
                actions.begin_authenticator(customer_id=user, confirmed=made.row, **actor).row.pk
            )
        return made

    with as_role("cs_trader"):
        for state in State:
            for after in State:
                row = Authenticator.objects.filter(pk=app(state).row)
                ended = now if after == State.ENDED else None
                change: dict[str, Any] = {"state": after, "ended_at": ended, "last_step": 10**9}
                if state == State.DRAFT and after == State.ACTIVE:
                    Authenticator.objects.filter(user=row.get().user, state=State.ACTIVE).update(
                        state=State.ENDED, ended_at=now
                    )
                try:
                    with transaction.atomic():
                        row.update(**change)
                    moved = True
                except DatabaseError:
                    moved = False
                assert moved == (after in NEXT[state] or after == state != State.ENDED), (state, after)
        made = app(State.ACTIVE)
        for change in ({"last_step": 1}, {"sealed_secret": b"x"}, {"user": None}):
            with pytest.raises(DatabaseError), transaction.atomic():
                Authenticator.objects.filter(pk=made.row).update(**change)
        with pytest.raises(DatabaseError), transaction.atomic():
            Authenticator.objects.filter(pk=made.row).delete()
        mine = RecoveryCode.objects.filter(authenticator=made.row)
        assert mine.update(used_at=now) == authenticators.RECOVERY_CODES
        with pytest.raises(DatabaseError), transaction.atomic():
            mine.update(used_at=None)
