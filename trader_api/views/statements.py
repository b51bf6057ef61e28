"""What traders sign with keys of their own: which key is theirs, and which destinations are."""

from __future__ import annotations

from typing import Any, Final

from rest_framework.request import Request
from rest_framework.response import Response

from custody import queries
from custody.actions import take_statement
from custody.models import CustomerStatement, Lane
from kernel import encodings
from kernel.customer import BENEFICIARY
from trader_api import limits, rows
from trader_api.endpoint import PrivateEndpoint, object_of, word
from trader_api.envelope import ok
from trader_api.errors import bad

PAYLOAD_MAX: Final = 4_000
UNNAMED: Final = "unnamed destination"
LANE: Final = "hot"
"""The wallet whose lane pays withdrawals."""


class Statements(PrivateEndpoint):
    limit = limits.STATEMENTS

    def get(self, request: Request) -> Response:
        """What the trader has signed, newest first, and how many signers have learnt each."""
        lane = queries.lane_of(LANE)
        return ok([_row(each, lane) for each in queries.statements_of(self.trader.customer_id)])

    def post(self, request: Request) -> Response:
        """Take a signed statement: a key, a destination, or the removal of one."""
        self.trader.must_hold("withdraw")
        fields = object_of(request)
        proof = fields.get("proof")
        if not isinstance(proof, dict) or not all(isinstance(value, str) for value in proof.values()):
            raise bad("proof")
        try:
            payload = encodings.from_base64url(word(fields, "payload", required=True, largest=PAYLOAD_MAX))
        except encodings.BadEncoding:
            raise bad("payload") from None
        row = take_statement(
            customer_id=self.trader.customer_id,
            payload=payload,
            proof=proof,
            label=word(fields, "label") or UNNAMED,
            actor=self.trader.actor,
            now=self.now,
        )
        return ok([_row(row, queries.lane_of(LANE))])


def _row(row: CustomerStatement, lane: Lane | None) -> dict[str, Any]:
    learnt = [answer for answer in row.answers.all() if not answer.code]
    usable = None
    if lane is not None and row.kind == BENEFICIARY:
        usable = queries.usable_at(row.customer_id, row.subject, lane=lane)
    return {
        "statement": str(row.pk),
        "kind": row.kind,
        "subject": row.subject,
        "saidAt": rows.ms(row.said_at),
        "ts": rows.ms(row.received_at),
        "learntBy": str(len(learnt)),
        "unattendedFrom": rows.ms(usable) if usable is not None else "",
    }
