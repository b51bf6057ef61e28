"""What a signer does at officers' orders: freeze, release, reopen, announce a registry, and stop one."""

from __future__ import annotations

from custody.signer import checks, requests
from custody.signer.counters import Memory
from custody.signer.holds import CLOCKS_APART, EVERYTHING, LANE, OFFICER
from custody.signer.refusals import Refused
from custody.signer.requests import Message, Order
from custody.signer.standing import FREEZE_FILE, Standing
from kernel.pinned import RELEASE_LIFE


def obey(signer: Standing, order: Order) -> None:
    """Do what the order says, once; Refused where it does not hold."""
    if not (stops := order.kind in (requests.FREEZE, requests.VETO)):
        signer.check_pinned()
    signer.memory.check_order(order.signed.name)
    is_release = order.kind == requests.RELEASE
    signer.memory.holds.check_heard(order.signed, but=order.subject if is_release else "")
    if not {one.officer for one in order.signed.approvals}.isdisjoint(order.suspended):
        raise Refused("SIGNER_OFFICER_SUSPENDED", "an officer signed it whom it keeps suspended")
    concerned = signer.memory.holds.concerned(order.subject) if is_release else ()
    token, registry, now = signer.token.name, signer.believed, signer.now()
    sightings = checks.judge_order(order, token=token, registry=registry, now=now, concerned=concerned)
    entry = signer.order_entry(order, sightings)
    if order.kind == requests.REOPEN:
        _reopen(signer, order, entry)
        return
    signer.check_store(stops=stops)
    if not stops:
        signer.memory.check_clock(signer.journal, now_ms=signer.now_ms())
        # No officer's page signs a release that is good for longer, so what ends later was signed since.
        life = RELEASE_LIFE + CLOCKS_APART if is_release else signer.believed.limits.order_life
        signer.memory.check_reopened(order.expires, life=life)
    if order.kind in (requests.FREEZE, requests.RELEASE):
        _freeze_or_release(signer, order, entry)
    elif order.kind == requests.VETO:
        signer.remember("vetoed", {"digest": order.subject, **entry})
    else:
        signer.announce(order, entry, registry=signer.registry)


def _reopen(signer: Standing, order: Order, entry: Message) -> None:
    """Trust the journal again, as it was found; where lines are lost, a new log begins."""
    journal, now_ms = signer.journal, signer.now_ms()
    if order.subject != signer.token.in_time(lambda: journal.standing):
        raise Refused("SIGNER_BAD_ORDER", "the order reopens another journal than the one found")
    lost = journal.fault is not None or signer.memory.forked
    branch: Message = {"new_log": lost, "branch": str(now_ms) if lost else journal.branch}
    whose = f"{signer.believed.officers[order.maker].name} asked to reopen it: {order.reason[:400]}"
    branch["suspended"] = dict.fromkeys(order.suspended, f"kept so when {whose}")
    if lost:  # what was held in the lost lines is known to nobody here: so all is, until officers let it go
        why = f"lines were lost, and {whose}"
        branch["frozen"] = {"wallet": EVERYTHING, "reason": why, "maker": order.maker}
    try:
        journal.reopen({**entry, **signer.registry_entry(), **branch}, at_ms=now_ms)
    finally:
        signer.memory = Memory.of(journal)
    signer.watch()


def _freeze_or_release(signer: Standing, order: Order, entry: Message) -> None:
    wallets, safes, holds = signer.believed.wallets, signer.believed.safes, signer.memory.holds
    known = {EVERYTHING, *wallets, *safes, *(name + LANE for name in wallets)}
    known |= {OFFICER + one for one in signer.believed.officers}
    if order.subject not in known | (holds.held.keys() if order.kind == requests.RELEASE else set()):
        raise Refused("SIGNER_UNKNOWN_WALLET", f"no wallet and no officer {order.subject[:60]!r}")
    if order.kind == requests.RELEASE:
        if signer.stopped_by_host():
            raise Refused("SIGNER_FROZEN", f"first remove the file {FREEZE_FILE} on the host")
        holds.check_release(order.subject, order.expires)
    event = "frozen" if order.kind == requests.FREEZE else "released"
    by = [approval.officer for approval in order.signed.approvals]
    if event == "frozen" and order.subject.startswith(OFFICER):
        holds.check_suspends(order.subject, by)
    signer.remember(event, {"wallet": order.subject, "by": [*by], **entry})
