"""Our client of Onfido's REST, API v3.6: applicants, SDK tokens, checks and their reports.

Addresses are built from ids that we checked; an address that a delivery carries is never fetched.
"""

from __future__ import annotations

from typing import Any, Final
from urllib.parse import quote

from kyc.adapters.wire import Line, Rejected, exchange, new_client
from kyc.domain.answers import objects, text
from kyc.domain.tiers import LEVELS

VERSION: Final = "/v3.6"


class Onfido(Line):
    """The provider, for one `with` block. `url` is the region's host without the version."""

    def __init__(self, *, url: str, token: str) -> None:
        super().__init__(new_client(url + VERSION, headers={"Authorization": f"Token token={token}"}))

    def ensure_applicant(self, *, external_user_id: str, applicant_id: str, level: str, name: str) -> str:
        """The applicant's id, created unless we have one.

        Onfido has no idempotency keys and no names of ours: a crash between its answer and our note leaves an
        applicant there that nobody uses.
        """
        if applicant_id:
            return applicant_id
        first, _, last = name.strip().rpartition(" ")
        wanted = {"first_name": first or last, "last_name": last}
        return _required(exchange(self._client, "POST", "/applicants", document=wanted), "id")

    def sdk_token(self, *, external_user_id: str, applicant_id: str, level: str, ttl_s: int) -> str:
        """A token with which the customer's browser may hand in documents."""
        answer = exchange(self._client, "POST", "/sdk_token", document={"applicant_id": applicant_id})
        return _required(answer, "token")

    def ensure_check(self, *, applicant_id: str, level: str) -> str:
        """The id of the applicant's check for the level: an unfinished one if there is one, or a new one."""
        names = sorted(LEVELS[level].reports)
        for check in self._checks(applicant_id):
            if text(check.get("status")) in ("in_progress", "awaiting_applicant", "paused", "reopened"):
                return text(check.get("id"))
        wanted = {"applicant_id": applicant_id, "report_names": names}
        return _required(exchange(self._client, "POST", "/checks", document=wanted), "id")

    def read(self, *, external_user_id: str, applicant_id: str) -> dict[str, Any]:
        """The applicant, the newest check, and that check's reports."""
        applicant = exchange(self._client, "GET", f"/applicants/{quote(applicant_id, safe='')}")
        checks = sorted(self._checks(applicant_id), key=lambda check: text(check.get("created_at")))
        newest = checks[-1] if checks else None
        reports: list[Any] = []
        if newest is not None:
            path = f"/reports?check_id={quote(text(newest.get('id')), safe='')}"
            reports = list(objects(exchange(self._client, "GET", path).get("reports")))
        return {"applicant": applicant, "check": newest, "reports": reports}

    def applicant_of_check(self, *, check_id: str) -> str:
        """Whose check it is; Unknown where there is no such check."""
        return _required(exchange(self._client, "GET", f"/checks/{quote(check_id, safe='')}"), "applicant_id")

    def _checks(self, applicant_id: str) -> list[Any]:
        answer = exchange(self._client, "GET", f"/checks?applicant_id={quote(applicant_id, safe='')}")
        return list(objects(answer.get("checks")))


def _required(answer: dict[str, Any], name: str) -> str:
    value = text(answer.get(name))
    if not value:
        raise Rejected(f"the provider's answer has no {name}")
    return value
