"""The code of a second factor that comes with a request, as its member `code`."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from typing import Any
from uuid import UUID

from core.actor import Actor
from customers import queries as customers
from customers.actions import check_code
from customers.actions.codes import WAIT
from trader_api.endpoint import word
from trader_api.errors import ApiError
from trader_api.turning_away import on_record

CODE_MAX = 40


def confirmed(
    customer_id: UUID, fields: Mapping[str, Any], *, act: str, actor: Actor, now: datetime
) -> UUID | None:
    """The customer's second factor, whose code this was; None where they have none. 50014 where they have one
    and no code came, 50114 where it was wrong, used, or too soon after a wrong one.

    `act` is on record with the code. It is used up here, whatever then becomes of the act.
    """
    if customers.authenticator_of(customer_id) is None:
        return None
    code = word(fields, "code", largest=CODE_MAX)
    if not code:
        raise ApiError(
            "50014",
            "Parameter code can not be empty: this account has a second factor. Give the code that your "
            "authenticator app shows, or a recovery code.",
        )
    checked = check_code(customer_id=customer_id, code=code, act=act, actor=actor, now=now)
    if checked.fault == WAIT:
        on_record(f"customers.customer/{customer_id}", WAIT, checked.sentence, actor=actor)
    if checked.fault:
        raise ApiError("50114", checked.sentence)
    return checked.authenticator
