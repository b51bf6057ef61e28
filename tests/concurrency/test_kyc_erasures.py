"""Workers who carry out one erasure at the same moment, and one that is stopped in the middle, …"""

from __future__ import annotations

from functools import partial
from typing import Any

import pytest

from core.approvals.actions import submit_signature
from core.audit import subjects
from core.audit.models import AuditEvent
from kyc import actions
from kyc.domain.erasures import Basis
from kyc.models import Erasure
from tests.cast import NOW
from tests.officers import enrol
from tests.providers import ROBOT, trader
from tests.racing import at_once


@pytest.mark.usefixtures("real_database")
def test_destroy_everything_once_or_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    staff, tom = enrol(now=NOW), trader()
    row = actions.request_erasure(
        customer_id=tom.pk,
        basis=Basis.ASKED,
        reason="a letter",
        officer=staff.ana.identity,
        actor=staff.ana.actor,
        now=NOW,
    )
    for one in (staff.ben, staff.cy):
        signed = one.answer(row.request)
        submit_signature(request_id=row.request_id, signed=signed, actor=one.actor, now=NOW)
    deed = partial(actions.carry_out_erasure, erasure_id=row.pk, actor=ROBOT, now=NOW)

    def stop(*_: Any, **__: Any) -> bool:
        raise KeyboardInterrupt

    with monkeypatch.context() as stopped:
        stopped.setattr(subjects, "destroy", stop)
        with pytest.raises(KeyboardInterrupt):
            deed()
    tom.identity.refresh_from_db()
    assert (tom.identity.email, tom.identity.is_active) == ("tom@example.com", True)
    assert Erasure.objects.get(pk=row.pk).state == "approved"
    assert sorted(map(bool, at_once(deed, deed, deed))) == [False, False, True]
    tom.identity.refresh_from_db()
    assert (tom.identity.display_name, tom.identity.is_active) == ("erased", False)
    assert AuditEvent.objects.filter(doc__action="kyc.erasure.carried_out").count() == 1
