"""What traders sign with keys of their own: which key is theirs, and which destinations are."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from typing import Any, ClassVar, Final

from rest_framework.request import Request
from rest_framework.response import Response

from custody import queries
from custody.actions import take_statement
from custody.models import CustomerStatement
from kernel import encodings
from kernel.customer import BENEFICIARY
from trader_api import confirming, limits, rows
from trader_api.endpoint import PrivateEndpoint, object_of, word
from trader_api.envelope import ok
from trader_api.errors import bad

PAYLOAD_MAX: Final = 4_000
UNNAMED: Final = "unnamed destination"


class Statements(PrivateEndpoint):
    limit = limits.STATEMENTS
    is_stopped: ClassVar[bool] = False  # taking asks itself: a removal goes through every freeze

    def get(self, request: Request) -> Response:
        """What the trader has signed, newest first, and how many signers have learnt each."""
        found, usable = queries.statements_of(self.trader.customer_id), self._usable()
        return ok([_row(each, usable) for each in found])

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
            confirmed=confirming.confirmed(
                self.trader.customer_id, fields, act="statement", actor=self.trader.actor, now=self.now
            )
            if word(fields, "code")
            else None,
            actor=self.trader.actor,
            now=self.now,
        )
        return ok([_row(row, self._usable())])

    def _usable(self) -> Mapping[str, datetime]:
        """From when on the lane pays to each of the trader's destinations."""
        lane = queries.withdrawal_lane()
        return {} if lane is None else queries.usable_from(self.trader.customer_id, lane=lane)


def _row(row: CustomerStatement, usable: Mapping[str, datetime]) -> dict[str, Any]:
    learnt = [answer for answer in row.answers.all() if not answer.code]
    since = usable.get(row.subject) if row.kind == BENEFICIARY else None
    return {
        "statement": str(row.pk),
        "kind": row.kind,
        "subject": row.subject,
        "saidAt": rows.ms(row.said_at),
        "ts": rows.ms(row.received_at),
        "learntBy": str(len(learnt)),
        "unattendedFrom": rows.ms(since) if since is not None else "",
    }
