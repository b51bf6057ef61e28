"""The console's forms, as a browser without any script sends them."""

from __future__ import annotations

import html
import re
from typing import Any

from core.access.models import Identity
from core.approvals.models import ApprovalRequest
from kernel import encodings
from kernel.approval import Statement, Verb
from tests.doors import at_console
from tests.officers import Officer


def send(identity: Identity, page: str, path: str, **fields: Any) -> Any:
    """Open the page, take its token, send the form, as a browser without any script does."""
    client = at_console(identity, checks_csrf=True)
    found = re.search(r'name="csrfmiddlewaretoken" value="([^"]+)"', client.get(page).content.decode())
    assert found, f"no form on {page}"
    return client.post(path, {**fields, "csrfmiddlewaretoken": found.group(1)})


def refusal(answer: Any) -> str:
    """The sentence on the page."""
    found = re.search(r'id="refusal".*?<strong>(.*?)</strong>', answer.content.decode(), re.DOTALL)
    assert found, "the page shows no refusal"
    return found.group(1)


def shown(identity: Identity, path: str) -> str:
    """The page as people read it."""
    return html.unescape(at_console(identity).get(path).content.decode())


def answered(officer: Officer, request: ApprovalRequest, verb: str = "approve", reason: str = "") -> Any:
    """Sign what the console's JSON says, and send the answer in by its form."""
    shown = at_console(officer.identity).get(f"/approvals/{request.pk}.json").json()
    statement = Statement.about(
        encodings.from_base64url(shown["payload"]),
        verb=Verb(verb),
        kind=shown["kind"],
        deployment=shown["deployment"],
        nonce=encodings.from_hex(shown["nonce"]),
    )
    assert statement.digest.hex() == shown["digest"]
    signed = officer.passkey.sign(
        statement, origin="http://approver.localhost:8000", rp_id="approver.localhost"
    )
    page = f"/approvals/{request.pk}/"
    fields = {"verb": verb, "reason": reason, "credential_id": officer.passkey.credential_id, **signed}
    return send(officer.identity, page, f"{page}sign", **fields)
