"""The health screen's lines about coins: the watcher, payments that need a person, prices, the hot wallet."""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Final

from django.conf import settings
from django.db import connection

from core.daemon import lock_key
from core.health import Reading, Status
from custody import queries
from custody.domain import chain, limits, wallets

UNHEARD: Final = " An officer vetoed it, which they have not heard: start none of them with its file before."


def read_watcher(now: datetime) -> Reading:
    """Whether somebody follows the chain, and how far."""
    tip = queries.tip()
    facts = {"height": tip.height if tip else None, "hash": tip.hash if tip else None}
    if not _is_led("block-watcher"):
        return Reading(Status.DOWN, "Nobody follows the chain: deposits wait, payments do not settle.", facts)
    if tip is None:
        return Reading(Status.DEGRADED, "No block has been read yet.", facts)
    quiet = now - tip.read_at
    if chain.is_too_quiet(quiet, settings.NETWORK):
        text = f"No block was read for {quiet // timedelta(minutes=1)} minutes: ask the node how far it is."
        return Reading(Status.DEGRADED, text, facts)
    return Reading(Status.UP, f"The chain is followed; block {tip.height} was the last.", facts)


def read_payments(now: datetime) -> Reading:
    """Whether something waits that no machine moves on."""
    stuck = queries.count_stuck(now=now)
    facts: dict[str, str | int | None] = dict(stuck)
    named = ", ".join(f"{count} {what}" for what, count in stuck.items() if count)
    if named:
        return Reading(Status.DEGRADED, f"An officer must look: {named}.", facts)
    return Reading(Status.UP, "Every payment and deposit is on its way.", facts)


def read_prices(now: datetime) -> Reading:
    """Whether withdrawals can be valued."""
    price = queries.latest_price("BTC", now=now)
    if price is None:
        return Reading(Status.DOWN, "There is no price: withdrawals are refused.")
    age_s = int((now - price.quoted_at).total_seconds())
    facts: dict[str, str | int | None] = {"age_s": age_s, "source": price.source}
    if age_s > limits.PRICE_AGE_MAX.total_seconds():
        return Reading(Status.DOWN, f"The price is {age_s} s old: withdrawals are refused.", facts)
    return Reading(Status.UP, f"The price is {age_s} s old.", facts)


def read_hot_wallet(now: datetime) -> Reading:
    """Whether the hot wallets hold enough to pay, and no more of all coins than the band."""
    found = queries.all_standings()
    low = [standing for standing in found if standing.is_low]
    facts: dict[str, str | int | None] = {each.wallet.name: str(each.total) for each in low}
    if low:
        names = ", ".join(f"{each.wallet.name} ({each.total} {each.total.asset})" for each in low)
        return Reading(Status.DEGRADED, f"Below its threshold: {names}.", facts)
    hot_bps = sum(each.share_bps for each in found if each.wallet.tier == "hot")
    if hot_bps > wallets.HOT_BPS_MAX:
        text = f"{hot_bps / 100:.2f} % of all coins are hot, {wallets.HOT_BPS_MAX / 100:.2f} % may be."
        return Reading(Status.DEGRADED, text, {"hot_bps": hot_bps})
    return Reading(Status.UP, "Every hot wallet is within what it should hold.", facts)


def read_reconciliation(now: datetime) -> Reading:
    """Whether chain and books agree, as the signers' lane wants to hear it."""
    found = queries.reconciliations()
    facts: dict[str, str | int | None] = {}
    if not found:
        return Reading(Status.UP, "No wallet pays without officers.", facts)
    for lane, row in found:
        name = lane.wallet.name
        if row is None:
            return Reading(Status.DEGRADED, f"Nobody has compared {name} with the books yet.", facts)
        facts |= {f"{name} on chain": str(row.on_chain), f"{name} in books": str(row.in_books)}
        if not row.holds_what_books_say:
            text = f"{name} holds {row.on_chain} BTC, the books say {row.in_books}: the lane is shut."
            return Reading(Status.DOWN, " ".join([text, *row.breaks]), facts)
        if row.breaks:
            what = "were not looked at for too long" if row.is_blind else "are not sound"
            text = f"The books {what}, so the lane is shut. {' '.join(row.breaks)}"
            return Reading(Status.DOWN, text, facts)
        if queries.is_stale(lane, row, now=now):
            age_s = int((now - row.looked_at).total_seconds())
            text = f"Nobody has compared {name} with the books for {age_s} s: the lane is shut."
            return Reading(Status.DOWN, text, facts)
        deaf = [f"{token} ({code})" for token, code in row.told.items() if code]
        if deaf:
            text = f"These signers did not take the attestation: {', '.join(deaf)}."
            return Reading(Status.DEGRADED, text, facts)
    late = queries.late_outstanding(now=now)
    if late:
        facts |= {txid: ", ".join(tokens) for txid, tokens in late.items()}
        text = (
            f"{len(late)} payments that the lane signed are not final after a day, and count until they are:"
            " somebody keeps them back, or they are stuck."
        )
        return Reading(Status.DEGRADED, text, facts)
    return Reading(Status.UP, "Chain and books agree.", facts)


def read_signers(now: datetime) -> Reading:
    """Whether each signer with a socket answers and signs."""
    found = queries.signer_states()
    facts: dict[str, str | int | None] = dict(found)
    if not found:
        return Reading(Status.DEGRADED, "No signer has been asked yet.", facts)
    idle = [f"{token} ({state})" for token, state in found.items() if state != "ready"]
    sentences = [f"These signers do not sign: {', '.join(idle)}."] if idle else []
    held = queries.signer_freezes()
    names = queries.described(held.keys())
    sentences += [f"{names[name]} is frozen in {', '.join(tokens)}." for name, tokens in held.items()]
    if sentences:
        return Reading(Status.DEGRADED, " ".join(sentences), facts)
    return Reading(Status.UP, f"All {len(found)} signers with a socket answer and sign.", facts)


def read_registries(now: datetime) -> Reading:
    """Whether another registry is on its way to the signers: until it takes effect, one officer stops it."""
    found = queries.registries_ahead()
    facts: dict[str, str | int | None] = {
        f"version {one.version}": one.effect.isoformat(timespec="minutes") for one in found
    }
    if not found:
        return Reading(Status.UP, "No other registry is on its way to the signers.", facts)
    sentences = [
        f"{'Version' if one.is_ours else 'Past this console, version'} {one.version} of the registry"
        f"{', by a recovery,' if one.is_recovery else ''} was announced "
        f"to {', '.join(one.tokens)}: {one.digest}. "
        f"It can take effect from {one.effect:%Y-%m-%d %H:%M} UTC on.{UNHEARD if one.is_vetoed else ''}"
        for one in found
    ]
    how = "Can nobody explain it? One officer stops it with a veto: Treasury, Signers."
    return Reading(Status.DEGRADED, " ".join([*sentences, how]), facts)


def _is_led(daemon: str) -> bool:
    """Whether some process holds the daemon's advisory lock."""
    key = lock_key(daemon)
    with connection.cursor() as cursor:
        cursor.execute(
            "SELECT EXISTS (SELECT FROM pg_locks WHERE locktype = 'advisory' AND granted AND objsubid = 1"
            " AND classid::bigint = %s AND objid::bigint = %s"
            " AND database = (SELECT oid FROM pg_database WHERE datname = current_database()))",
            [key >> 32, key & 0xFFFFFFFF],
        )
        return bool(cursor.fetchone()[0])
