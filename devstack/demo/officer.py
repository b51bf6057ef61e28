"""An officer at the console, scripted: an Access token, plain forms, and software passkeys."""

from __future__ import annotations

import contextlib
import copy
import html
import re
from typing import Any, Self
from urllib.parse import urlsplit

import httpx

from devstack.demo.story import StepFailed
from fixtures.authenticator import Authenticator
from kernel import canonical, encodings
from kernel.approval import Statement, Verb

_CSRF = re.compile(r'name="csrfmiddlewaretoken" value="([^"]+)"')
_CHALLENGE = re.compile(r'data-challenge="([^"]+)"')
_HIDDEN = re.compile(r'<input type="hidden" name="([^"]+)" value="([^"]*)"')


class Officer:
    """One member of staff. The console is reached through the edge, as a browser would reach it."""

    def __init__(
        self,
        email: str,
        *,
        address: str,
        console_origin: str,
        approver_origin: str,
        rp_id: str,
        private_key: str,
        console_key: str,
    ) -> None:
        self.email = email
        self._console, self._address = console_origin, address
        self._approver, self._rp_id = approver_origin, rp_id
        self._passkey, self._key = Authenticator(private_key), Authenticator(console_key)
        token = httpx.post(f"{address}/cdn-cgi/access/token", json={"email": email}, timeout=10)
        token.raise_for_status()
        self._http = httpx.Client(
            base_url=address,
            headers={"Host": console_origin.split("//", 1)[1]},
            cookies={"CF_Authorization": token.json()["token"]},
            timeout=30,
        )

    @property
    def credential_id(self) -> str:
        return self._passkey.credential_id

    def get(self, path: str) -> httpx.Response:
        """A page or a download. Whoever is still outside starts a session first."""
        answer = self._http.get(path)
        if answer.status_code != httpx.codes.UNAUTHORIZED or 'id="enter"' not in answer.text:
            return answer
        fields = dict(_HIDDEN.findall(answer.text))
        self._send("/enter", self._confirm(self._send("/enter", fields, None).text), None)
        return self._http.get(path)

    def holding(self, key: Authenticator) -> Self:
        """The same person, in the same session, who confirms with this key from now on."""
        found = copy.copy(self)
        found._key = key
        return found

    def post(self, page: str, path: str, **fields: Any) -> httpx.Response:
        """Open the page, take its CSRF token, send the form to the path; a refusal is an answer too."""
        # A page on which this person may do nothing has no form; the token is the session's, not the page's.
        found = next(filter(None, (_CSRF.search(self.get(at).text) for at in (page, "/freezes/"))), None)
        if found is None:
            raise StepFailed(f"{self.email} finds no form on {page}")
        files = fields.pop("files", None)
        answer = self._send(path, {**fields, "csrfmiddlewaretoken": found.group(1)}, files)
        if answer.status_code != httpx.codes.UNAUTHORIZED:
            return answer
        return self._send(path, self._confirm(answer.text), None)

    def _send(self, path: str, fields: dict[str, Any], files: Any) -> httpx.Response:
        return self._http.post(path, data=fields, files=files, headers={"Origin": self._console})

    def _confirm(self, page: str) -> dict[str, Any]:
        """What the page that asks for a ceremony carries, with the passkey's answer to its question."""
        form = page.partition('id="ceremony"')[2].partition("</form>")[0]
        asked = _CHALLENGE.search(form)
        if asked is None:
            raise StepFailed(f"{self.email} is asked to confirm, and finds no question")
        fields: dict[str, Any] = {}
        for name, value in _HIDDEN.findall(form):
            fields.setdefault(html.unescape(name), []).append(html.unescape(value))
        host = urlsplit(self._console).hostname or ""
        given = self._key.assertion(
            encodings.from_base64url(asked.group(1)), origin=self._console, rp_id=host
        )
        return {
            **fields,
            "stepup_credential_id": self._key.credential_id,
            "stepup_authenticator_data": encodings.base64url(given.authenticator_data),
            "stepup_client_data": encodings.base64url(given.client_data),
            "stepup_signature": encodings.base64url(given.signature),
        }

    def sign(
        self, request_id: str, verb: str = "approve", reason: str = ""
    ) -> tuple[httpx.Response, Statement]:
        """Sign verb, nonce and digest of exactly the bytes that the console serves; hand the assertion in."""
        shown = self.get(f"/approvals/{request_id}.json").json()
        payload, nonce = encodings.from_base64url(shown["payload"]), encodings.from_hex(shown["nonce"])
        statement = Statement.about(
            payload, verb=Verb(verb), kind=shown["kind"], deployment=shown["deployment"], nonce=nonce
        )
        assertion = self._passkey.sign(statement, origin=self._approver, rp_id=self._rp_id)
        self._hand_in(request_id, statement, assertion)
        fields = {"verb": verb, "reason": reason, "credential_id": self.credential_id, **assertion}
        return self.post(f"/approvals/{request_id}/", f"/approvals/{request_id}/sign", **fields), statement

    def _hand_in(self, request_id: str, statement: Statement, assertion: dict[str, str]) -> None:
        """As the approver page does first: its own log knows what was signed before the console does."""
        said = {"request": request_id, "verb": statement.verb.value, "kind": statement.kind}
        said |= {"deployment": statement.deployment, "nonce": statement.nonce.hex()}
        said |= {"digest": statement.digest.hex(), "credential_id": self.credential_id}
        headers = {"Host": self._approver.split("//", 1)[1], "Origin": self._approver}
        body = canonical.encode({**said, **assertion})
        with contextlib.suppress(
            httpx.HTTPError
        ):  # then the verifier notes that the page knows nothing of it
            httpx.post(f"{self._address}/log", content=body, headers=headers, timeout=30)
