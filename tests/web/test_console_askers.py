"""Somebody whose ask the signers will not take …"""

from __future__ import annotations

import html
import json
from typing import Any

from core import clock
from core.access.models import Identity
from core.approvals.models import ApprovalRequest
from core.audit.models import AuditEvent
from custody import actions
from custody.domain.wallets import Targets
from kernel import canonical
from kernel.money import Amount
from kernel.registry import Registry
from tests.doors import at_console
from tests.exchange import Exchange
from tests.officers import Officer
from tests.signers import lane_registry
from tests.treasury import ROBOT

NOT_YOU = "The signers will not take this from you: by registry 2, which is loaded here, only"
REFUSE = "The signers will refuse this, whatever is answered: by registry 2, which is loaded here, only"


def load(exchange: Exchange, version: int, *makers: Officer) -> None:
    """The registry with these in its team of makers."""
    document: dict[str, Any] = json.loads(lane_registry(exchange.staff).encoded)
    for one in makers:
        document["officers"][str(one.identity.pk)]["teams"] = ["makers", "treasury"]
    new = Registry.parse(canonical.encode({**document, "version": version}))
    nothing = Amount(0, "BTC")
    actions.load_registry(registry=new, targets=Targets(nothing, nothing), actor=ROBOT, now=clock.now())


def page(identity: Identity, path: str) -> str:
    return html.unescape(at_console(identity).get(path).content.decode())


def test_is_told_so_before_they_ask_and_who_can(exchange: Exchange) -> None:
    staff = exchange.staff
    ana, names = staff.ana.identity, sorted(one.identity.display_name for one in (staff.ben, staff.cy))
    asked = {"wallet": "hot", "reason": "found again"}
    load(exchange, 2, staff.ben, staff.cy)
    can = f"{names[0]} or {names[1]} may ask"
    for path in ("/treasury/signers/", f"/treasury/refills/{exchange.refill.pk}/"):
        shown = page(ana, path)
        assert (NOT_YOU in shown, can in shown) == (True, True), path
    sent: Any = at_console(ana).post("/treasury/signers/release", asked)
    where = sent["Location"]
    mine, theirs = page(ana, where), page(staff.ben.identity, where)
    assert f"{can}. Take the request back, and have them ask." in mine
    assert (NOT_YOU in mine, REFUSE in mine, 'id="to-approver"' in mine) == (True, False, True)
    assert f"{REFUSE} {can}, and not {ana.display_name}. Have them ask anew." in theirs
    assert NOT_YOU not in theirs

    # Who may ask is in the log, too, and who might before.
    load(exchange, 3, staff.ben)
    event = AuditEvent.objects.filter(doc__action="custody.registry.loaded").order_by("-pk")[0].doc
    pair, one = ({str(each.identity.pk) for each in them} for them in ((staff.ben, staff.cy), (staff.ben,)))
    assert (set(event["before"]["askers"]), set(event["after"]["askers"])) == (pair, one)
    load(exchange, 4, staff.ben, staff.cy)

    # It decides nothing: this console's registry may be older than the signers'.
    request = ApprovalRequest.objects.get(pk=where.split("/")[2])
    staff.ana.asks(request, clock.now())
    assert REFUSE.replace("registry 2", "registry 4") in page(ana, where)


def test_is_not_told_so_where_they_may_ask_or_nobody_is_asked_that(exchange: Exchange) -> None:
    staff = exchange.staff
    load(exchange, 2, staff.ben)
    assert NOT_YOU in page(staff.ana.identity, "/treasury/signers/")
    # Of a withdrawal no officer is the maker.
    assert REFUSE not in page(staff.cy.identity, f"/approvals/{exchange.request.pk}/")
    for version, makers in ((3, (staff.ana,)), (4, ())):
        load(exchange, version, *makers)
        shown = page(staff.ana.identity, "/treasury/signers/")
        assert ("Ask to let go" in shown, "will not take this" in shown) == (True, False)
