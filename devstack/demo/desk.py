"""Ana's desk: the pages of the console on which a maker works."""

from __future__ import annotations

from typing import Any
from urllib.parse import urlsplit
from uuid import UUID

import httpx

from devstack.demo.officer import Officer
from devstack.demo.story import StepFailed


class Desk(Officer):
    """An officer who makes: releases withdrawals, proposes credits, adopts refills, carries bundles."""

    def release(self, withdrawal: str) -> str:
        """Release a withdrawal from screening; the approval request that this opens."""
        page = f"/withdrawals/{withdrawal}/"
        return self._request(self.post(page, f"{page}release", reason="known address, papers seen"))

    def propose_adjustment(self, customer: str, asset: str, amount: str, reason: str) -> str:
        """Propose a credit; the approval request."""
        fields = {"customer": customer, "asset": asset, "amount": amount, "reason": reason}
        return self._request(self.post("/treasury/adjustments/", "/treasury/adjustments/propose", **fields))

    def withdrawal(self, identifier: str) -> dict[str, Any]:
        """Where a withdrawal stands."""
        return self._json(f"/withdrawals/{identifier}.json")

    def withdrawal_is(self, identifier: str, state: str) -> bool:
        return bool(self.withdrawal(identifier)["state"] == state)

    def payment_is_built(self, identifier: str) -> bool:
        """Whether there is a transaction for the withdrawal, signed or not."""
        return bool(self.withdrawal(identifier)["txid"])

    def open_refill(self) -> str | None:
        """The refill that was proposed and that nobody has taken up, if there is one."""
        rows = self._json("/treasury/refills.json")["refills"]
        return next((row["id"] for row in rows if row["state"] == "proposed"), None)

    def adopt_refill(self, identifier: str) -> str:
        """Put the proposal before the checkers, and sign that it was she who asked; the approval request."""
        page = f"/treasury/refills/{identifier}/"
        request = self._request(self.post(page, f"{page}request", reason="the hot wallet is low"))
        answer, _ = self.sign(request, "ask")
        if answer.status_code != httpx.codes.FOUND:
            raise StepFailed(f"her own signature was not taken: {refusal(answer.text)}")
        return request

    def request_of_withdrawal(self, identifier: str) -> str:
        """The approval request that a withdrawal waits for; empty where it waits for none."""
        return str(self.withdrawal(identifier).get("request") or "")

    def refill(self, identifier: str) -> dict[str, Any]:
        """Where a refill stands."""
        return self._json(f"/treasury/refills/{identifier}.json")

    def refill_is(self, identifier: str, state: str) -> bool:
        return bool(self.refill(identifier)["state"] == state)

    def refill_txid(self, identifier: str) -> str:
        """The refill's transaction, once it is sent."""
        found = self.refill(identifier)
        return str(found["txid"]) if found["state"] in ("broadcast", "confirmed", "settled") else ""

    def bundle(self, identifier: str) -> bytes | None:
        """The bundle for the cold signers, once the transaction is built."""
        if self.refill(identifier)["state"] not in ("built", "exported"):
            return None
        page = f"/treasury/refills/{identifier}/"
        answer = self.post(page, f"{page}export")
        if "attachment" not in answer.headers.get("Content-Disposition", ""):
            raise StepFailed(f"no bundle came from {page}: HTTP {answer.status_code}")
        return answer.content

    def import_signatures(self, identifier: str, token: str, partial: bytes) -> httpx.Response:
        """Hand in one cold signer's file."""
        page = f"/treasury/refills/{identifier}/"
        file = (f"{token}.json", partial, "application/json")
        return self.post(page, f"{page}import", files={"partial": file})

    def _json(self, path: str) -> dict[str, Any]:
        answer = self.get(path)
        if answer.status_code != httpx.codes.OK:
            raise StepFailed(f"{path} answers HTTP {answer.status_code}")
        found: dict[str, Any] = answer.json()
        return found

    def _request(self, answer: httpx.Response) -> str:
        """The approval request that the console leads to after a form."""
        parts = urlsplit(answer.headers.get("Location", "")).path.strip("/").split("/")
        if answer.status_code != httpx.codes.FOUND or parts[0] != "approvals":
            raise StepFailed(f"the console said no: HTTP {answer.status_code} {refusal(answer.text)}")
        return str(UUID(parts[1]))


def refusal(page: str) -> str:
    """The sentence of a refusal on a page, as far as it can be found."""
    found = page.partition('role="alert"')[2].partition("</")[0]
    return " ".join(found.rpartition(">")[2].split())[:300]
