"""What the console says of the signers …"""

from __future__ import annotations

import re

from core import clock
from custody.actions import (
    draft_freeze,
    draft_veto,
    expire_order,
    report_answer,
    report_health,
    report_journal,
    sign_order,
)
from custody.domain.journals import Read
from custody.models import Reconciliation
from custody.probes import read_reconciliation
from tests.doors import at_console
from tests.exchange import Exchange
from tests.treasury import ROBOT


def test_names_what_a_signer_has_forgotten_with_lost_lines_until_it_is_let_go(exchange: Exchange) -> None:
    ana, now = exchange.staff.ana, clock.now()
    for wallet in ("hot", f"officer:{exchange.staff.ben.identity.pk}"):
        row = draft_freeze(wallet=wallet, reason="a laptop was stolen", actor=ana.actor, now=now)
        sign_order(order_id=row.pk, signed=ana.order(row), actor=ana.actor, now=now)
        report_answer(order_id=row.pk, token="hot-1", obeyed=True, code="", detail="", actor=ROBOT, now=now)

    def said(**frozen: str) -> str:
        report_health(token="hot-1", said={"state": "ready", "frozen": frozen}, now=now)
        return at_console(ana.identity).get("/treasury/signers/").content.decode()

    lost = {"*": "lines were lost: a new disk"}
    assert said(**lost).count("forgotten: freeze it again") == 2
    assert "<strong>Ben Brandt (suspended)</strong>: a laptop was stolen <span" in said(**lost)
    assert said(**lost, hot="again").count("forgotten: freeze it again") == 1
    assert "forgotten: freeze it again" not in said()


def test_names_the_signers_that_have_not_heard_a_veto(exchange: Exchange) -> None:
    ana, now, digest = exchange.staff.ana, clock.now(), "ab" * 32
    told = {"maker": str(exchange.staff.ben.identity.pk), "reason": "new people", "at": now.isoformat()}
    announced = {digest: {"version": 9, "from": now.isoformat(), "is_recovery": False, **told}}

    def page(*heard: str, unaware: tuple[str, ...] = ()) -> str:
        for token in ("hot-1", "hot-2", "hot-3"):
            report_health(token=token, said={"state": "ready"}, now=now)
            vetoed = {digest: told} if token in heard else {}
            read = Read(3, "cd" * 32, {} if token in unaware else announced, vetoed)
            report_journal(token=token, read=read)
        return at_console(ana.identity).get("/treasury/signers/").content.decode()

    assert "Have not heard it" not in page()
    row = draft_veto(registry_digest=digest, reason="by whom?", actor=ana.actor, now=now)
    assert "Have not heard it" not in page("hot-1")
    sign_order(order_id=row.pk, signed=ana.order(row), actor=ana.actor, now=now)
    said = page("hot-1")
    assert '<dt>Have not heard it</dt><dd><span class="state" data-tone="bad">hot-2, hot-3</span>' in said
    assert "The veto is brought to them until" in said
    expire_order(order_id=row.pk, actor=ROBOT, now=row.expires_at)
    # The others may hear of it later, and then of no veto.
    said = page("hot-1", unaware=("hot-2", "hot-3"))
    assert "No veto is on its way any more: draft another." in said
    assert f'<option value="{digest}">' in said
    assert "Have not heard it" not in page("hot-1", "hot-2", "hot-3")


def test_stands_beside_the_lane_its_worst_loss_and_what_each_signer_has_counted(exchange: Exchange) -> None:
    client = at_console(exchange.staff.ana.identity)
    for path in ("/treasury/signers/", "/treasury/"):
        page = " ".join(re.sub(r"<[^>]+>", " ", client.get(path).content.decode()).split())
        assert "Lane of the hot wallet" in page
        assert "Worst loss 0.06 BTC" in page
        assert "0.01502 BTC of 0.06 BTC used in 1 d 0 h" in page
        assert "hot-1 0.01502 BTC 0.04 BTC 0.005 BTC in 1, the oldest 2 h 0 min old" in page
        assert "hot-3 frozen" in page
    assert "forgets what its lane holds outstanding" in client.get("/treasury/signers/").content.decode()
    Reconciliation.objects.update(breaks=["Could not look at hot for 1834 s: 9 bookings were looked for."])
    page = client.get("/treasury/signers/").content.decode()
    assert "9 bookings were looked for.</strong> Nothing is known to be wrong." in page
    assert "Find the break" not in page
    assert "were not looked at for too long" in read_reconciliation(clock.now()).sentence
    Reconciliation.objects.update(on_chain_units=1)
    page = client.get("/treasury/signers/").content.decode()
    assert "Find the break first" in page
