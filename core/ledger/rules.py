"""What each kind of entry may touch, and who may write it: held by the database against raw SQL as well.

An entry that fits no line here is refused, whoever writes it. So value comes into a customer's account only
against coins of a wallet, a credit that officers agreed on, a transfer of their own, or a trade; no expense,
no income and no suspense ever pays for it.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

LEGS: Final[Mapping[str, tuple[str, ...]]] = {
    "custody.deposit": ("customer_funding +", "suspense +", "hot_wallet -", "cold_wallet -"),
    "custody.withdrawal": (
        *("customer_funding -", "hot_wallet +", "cold_wallet +"),
        *("network_fees -", "withdrawal_fees +"),
    ),
    "custody.refill": ("hot_wallet -", "hot_wallet +", "cold_wallet -", "cold_wallet +", "network_fees -"),
    "custody.sweep": ("hot_wallet +", "cold_wallet -", "network_fees -"),
    "custody.fee_corrected": (
        *("hot_wallet -", "hot_wallet +", "cold_wallet -", "cold_wallet +"),
        *("network_fees -", "network_fees +"),
    ),
    "custody.adjustment": ("customer_funding +", "external -"),
    "engine.transfer_started": ("customer_funding -", "in_transit +"),
    "engine.transfer_settled": (
        *("in_transit -", "customer_trading +"),
        *("customer_trading -", "customer_funding +"),
    ),
    "engine.transfer_returned": ("in_transit -", "customer_funding +"),
    "engine.trade": ("customer_trading +", "customer_trading -", "engine_fees +"),
}
"""Kind of entry to the accounts that it may touch, each with the sign of its units as they are stored."""

WRITERS: Final[Mapping[str, tuple[str, ...]]] = {
    "cs_console": ("custody.adjustment",),
    "cs_trader": ("engine.transfer_started",),
    "cs_worker": (
        *("custody.deposit", "custody.withdrawal", "custody.refill", "custody.sweep"),
        "custody.fee_corrected",
        *("engine.transfer_settled", "engine.transfer_returned", "engine.trade"),
    ),
}
"""Each role's kinds of entries. Whoever is no role of the application, as the owner who migrates, has all."""


def _texts(words: tuple[str, ...]) -> str:
    return "ARRAY[" + ", ".join(f"'{word}'" for word in words) + "]"


_LEGS: Final = _texts(tuple(f"{kind} {leg}" for kind, legs in LEGS.items() for leg in legs))
_WRITERS: Final = " ".join(
    f"WHEN '{role}' THEN {{kind}} = ANY ({_texts(kinds)})" for role, kinds in WRITERS.items()
)
_MAY_WRITE: Final = f"CASE current_user {_WRITERS} ELSE true END"

# Not SECURITY DEFINER: current_user is whoever writes. The plan is a look into each index for each leg,
# however large the tables were when a session first used it: OFFSET 0 keeps the looks from becoming joins, of
# which the planner takes the one that reads all entries in the order of their ids.
_TEMPLATE: Final = """
CREATE FUNCTION ledger_postings_ruled() RETURNS trigger LANGUAGE plpgsql
  SET search_path = public, pg_temp SET enable_seqscan = off AS $$
DECLARE
  wrong record;
BEGIN
  SELECT made.entry_id AS id, e.kind, bool_and(MAY_WRITE(e.kind)) AS writable INTO wrong
    FROM made
   CROSS JOIN LATERAL (SELECT kind FROM ledger_entry WHERE id = made.entry_id OFFSET 0) e
   CROSS JOIN LATERAL (SELECT kind, owner FROM ledger_account WHERE id = made.account_id OFFSET 0) a
   GROUP BY made.entry_id, e.kind
  HAVING NOT bool_and(MAY_WRITE(e.kind))
      OR NOT bool_and(e.kind || ' ' || a.kind || CASE WHEN made.units > 0 THEN ' +' ELSE ' -' END
                      = ANY (LEGS))
      OR e.kind <> 'engine.trade' AND min(a.owner::text) IS DISTINCT FROM max(a.owner::text)
      OR e.kind = 'custody.withdrawal' AND NOT bool_or(a.kind IN ('hot_wallet', 'cold_wallet'))
      OR (SELECT count(*) FROM ledger_posting p WHERE p.entry_id = made.entry_id) <> count(*)
   LIMIT 1;
  IF FOUND AND NOT wrong.writable THEN
    RAISE EXCEPTION '% writes no entry of the kind %', current_user, wrong.kind
      USING ERRCODE = 'restrict_violation';
  ELSIF FOUND THEN
    RAISE EXCEPTION 'journal entry % has legs that its kind (%) does not have, of two owners, or more than'
      ' it was written with', wrong.id, wrong.kind USING ERRCODE = 'restrict_violation';
  END IF;
  RETURN NULL;
END $$;
CREATE TRIGGER ledger_postings_ruled AFTER INSERT ON ledger_posting REFERENCING NEW TABLE AS made
  FOR EACH STATEMENT EXECUTE FUNCTION ledger_postings_ruled();
ALTER TABLE ledger_posting ENABLE ALWAYS TRIGGER ledger_postings_ruled;

-- An entry without postings would use up its reference, and whoever is to write the real one would stand
-- still.
CREATE FUNCTION ledger_entries_ruled() RETURNS trigger LANGUAGE plpgsql
  SET search_path = public, pg_temp AS $$
BEGIN
  IF current_user IN ('cs_console', 'cs_trader')
     AND EXISTS (SELECT 1 FROM made WHERE NOT MAY_WRITE(made.kind)) THEN
    RAISE EXCEPTION '% writes no entry of that kind', current_user USING ERRCODE = 'restrict_violation';
  END IF;
  RETURN NULL;
END $$;
CREATE TRIGGER ledger_entries_ruled AFTER INSERT ON ledger_entry REFERENCING NEW TABLE AS made
  FOR EACH STATEMENT EXECUTE FUNCTION ledger_entries_ruled();
ALTER TABLE ledger_entry ENABLE ALWAYS TRIGGER ledger_entries_ruled;
"""
GUARDS: Final = (
    _TEMPLATE.replace("MAY_WRITE(e.kind)", _MAY_WRITE.format(kind="e.kind"))
    .replace("MAY_WRITE(made.kind)", _MAY_WRITE.format(kind="made.kind"))
    .replace("LEGS", _LEGS)
)
UNDO: Final = """
DROP FUNCTION ledger_postings_ruled() CASCADE;
DROP FUNCTION ledger_entries_ruled() CASCADE;
"""
