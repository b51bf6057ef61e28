"""The treasury: what is where, against what should be where."""

from __future__ import annotations

from typing import Final

from django.http import HttpResponse

from backoffice.console import frame
from core import clock
from custody import queries
from custody.domain import refills, sweeps
from custody.domain.wallets import HOT_BPS_MAX, WHOLE_BPS

COLD_TARGET_BPS: Final = WHOLE_BPS - HOT_BPS_MAX
"""The share that belongs in cold wallets; the rest is what hot ones may hold."""
SHOWN_MAX: Final = 15


def show(request: frame.StaffRequest) -> HttpResponse:
    """Wallets against their targets, refills, sweeps, deposits, and the chain as far as it was read."""
    now = clock.now()
    identity = request.identity
    standings = queries.standings(identity=identity, now=now)
    cold_bps = sum(row.share_bps for row in standings if row.wallet.tier == "cold")
    values = {
        "standings": standings,
        "cold_bps": cold_bps,
        "hot_bps": sum(row.share_bps for row in standings if row.wallet.tier == "hot"),
        "cold_target_bps": COLD_TARGET_BPS,
        "is_hot_heavy": bool(standings) and cold_bps < COLD_TARGET_BPS,
        "announcements": queries.announcements_for(identity=identity, now=now),
        "lanes": queries.lanes_for(identity=identity, now=now),
        "refills": queries.refills_for(identity=identity, now=now)[:SHOWN_MAX],
        "sweeps": queries.sweeps_for(identity=identity, now=now)[:SHOWN_MAX],
        "bereft": [(row, str(row._meta.model_name), lack) for row, lack in queries.bereft(now=now)],
        "leaving": [row for row in standings if row.leaving.units],
        "deposits": queries.deposits_for(identity=identity, now=now)[:SHOWN_MAX],
        "tip": queries.tip(),
        "price": queries.latest_price("BTC", now=now),
        "ended": refills.ENDED | sweeps.ENDED,
    }
    return frame.page(request, "console/treasury.html", values, now=now)
