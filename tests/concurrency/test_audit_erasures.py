"""An erasure of a person …"""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from datetime import datetime
from enum import StrEnum
from functools import partial

import pytest

from core import audit
from core.action import action
from core.actor import Actor
from core.audit.models import AuditSubject
from tests.concurrency.test_freezes_races import Pause
from tests.erasing import forget
from tests.racing import closing, until_waiting
from tests.treasury import ROBOT

TOM = "customers.customer/tom"


class Event(StrEnum):
    MET = "test.met"


@action(Event.MET)
def meet(*, pause: Pause, actor: Actor, now: datetime) -> None:
    sealed = audit.personal(TOM, "tom@example.com")
    audit.record(Event.MET, TOM, actor=actor, now=now, after={"email": sealed})
    pause.here()


@pytest.mark.usefixtures("real_database")
def test_leaves_no_key_that_was_being_made_at_that_moment(now: datetime) -> None:
    """Whoever writes of the person for the first time has made their key, and not kept it yet."""
    pause = Pause()
    with ThreadPoolExecutor(2) as beside:
        try:
            met = beside.submit(closing(partial(meet, pause=pause, actor=ROBOT, now=now)))
            pause.until_there(met)
            erased = beside.submit(closing(partial(forget, subject=TOM, actor=ROBOT, now=now)))
            until_waiting([erased])
        finally:
            pause.end()
        met.result()
        assert erased.result()
    assert bytes(AuditSubject.objects.get(pk=TOM).wrapped) == b""
