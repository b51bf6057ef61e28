"""What must be true of the ledger at any moment, as queries that name the rows that break it."""

from __future__ import annotations

from django.db import connection

CHECKS = {
    "every entry sums to zero per asset": """
        SELECT entry_id::text || ' ' || asset FROM ledger_posting
        GROUP BY entry_id, asset HAVING sum(units) <> 0""",
    "every asset sums to zero over all accounts": """
        SELECT asset || ' ' || sum(units) FROM ledger_account GROUP BY asset HAVING sum(units) <> 0""",
    "every account equals its postings": """
        SELECT a.id::text FROM ledger_account a LEFT JOIN ledger_posting p ON p.account_id = a.id
        GROUP BY a.id HAVING a.units <> coalesce(sum(p.units), 0)""",
    "every account's held equals its pending holds": """
        SELECT a.id::text FROM ledger_account a
        LEFT JOIN ledger_hold h ON h.account_id = a.id AND h.state = 'pending'
        GROUP BY a.id HAVING a.held <> coalesce(sum(h.units), 0)""",
    "no entry is empty": """
        SELECT e.id::text FROM ledger_entry e WHERE NOT EXISTS
        (SELECT 1 FROM ledger_posting p WHERE p.entry_id = e.id)""",
}


def broken() -> dict[str, list[str]]:
    """Each check by name, with the rows (at most 20) that break it: all lists empty means sound books."""
    found: dict[str, list[str]] = {}
    with connection.cursor() as cursor:
        for name, query in CHECKS.items():
            cursor.execute(query + " LIMIT 20")
            found[name] = [row[0] for row in cursor.fetchall()]
    return found
