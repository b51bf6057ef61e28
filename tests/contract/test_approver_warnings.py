"""The approver's page, by its own log …"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from fixtures.authenticator import Authenticator
from kernel import canonical, encodings
from kernel.approval import Verb
from tests.contract.test_approver_log import RIA, Approver, given, running
from tests.contract.test_approver_server import ask as http
from tests.vault import BEN, CY, KEYS


def test_tells_who_rejected_the_same_before_whatever_the_console_shows(tmp_path: Path) -> None:
    """A web tier in other hands leaves a rejection out, and shows the request to the next officer as open."""
    payload, nonce = b'{"pay":"all"}', b"\x09" * 32
    rejection: dict[str, Any] = {"payload": payload, "said": {"verb": Verb.REJECT, "nonce": nonce}}

    def by(approver: Approver, nonce: bytes, payload: bytes) -> list[str]:
        target = f"/rejected/{nonce.hex()}/{canonical.digest(payload).hex()}"
        status, _, body = http(approver.folder / "approver.sock", target, host="approver.localhost:8000")
        assert status == 200
        return [one["name"] for one in json.loads(body)["by"]]

    with running(tmp_path) as approver:
        assert approver.hand_in(given(payload=payload, said={"nonce": nonce})) == 200
        assert approver.hand_in(given(Authenticator(), **rejection)) == 200
        assert by(approver, nonce, payload) == [], "Ben approved, and nobody knows the other"
        assert approver.hand_in(given(**rejection)) == 200
        assert approver.hand_in(given(KEYS[CY], **rejection)) == 200
        other = b"\x0a" * 32
        for asked in ((nonce, payload), (other, payload), (nonce, b"{}")):  # anew, or about something else
            assert by(approver, *asked) == ["Ben", "Cy"]
        assert by(approver, other, b"{}") == []
    with running(tmp_path) as approver:
        assert by(approver, nonce, payload) == ["Ben", "Cy"]


def order(kind: str, wallet: str, reason: str = "x") -> bytes:
    return canonical.encode({"kind": kind, "wallet": wallet, "reason": reason})


def ordered(key: Authenticator, kind: str, verb: Verb, wallet: str, **changes: Any) -> bytes:
    """What the page hands in of an order about a wallet, with the payload that was signed."""
    payload = order(kind, wallet)
    given_ = {"payload": payload, "said": {"kind": kind, "verb": verb}}
    body = canonical.decode_object(given(key, **given_))
    return canonical.encode({**body, "payload": encodings.base64url(payload), **changes})


def test_tells_whom_officers_suspended_here_whatever_list_the_console_makes(tmp_path: Path) -> None:
    """A reopened signer hears everybody again whom its order does not name, and the console writes that."""

    def said(approver: Approver, asker: str = BEN) -> Any:
        status, _, body = http(
            approver.folder / "approver.sock", f"/suspended/{asker}", host="approver.localhost:8000"
        )
        return json.loads(body)["suspended"] if status == 200 else status

    freeze, release = ("signer.freeze", Verb.APPROVE), ("signer.release", Verb.RELEASE)
    with running(tmp_path) as approver:
        assert said(approver) == []
        assert said(approver, RIA) == 404, "whoever has no officer's id learns nothing"
        assert approver.hand_in(ordered(Authenticator(), *freeze, f"officer:{CY}")) == 200
        assert approver.hand_in(ordered(KEYS[BEN], *freeze, "hot")) == 200
        assert approver.hand_in(ordered(KEYS[CY], *release, f"officer:{CY}")) == 200
        assert said(approver) == [], "nobody knows the first, and the others suspend nobody"
        other = encodings.base64url(order("signer.freeze", f"officer:{BEN}"))
        forged = ordered(KEYS[BEN], *freeze, f"officer:{CY}", payload=other)
        assert approver.hand_in(forged) == 422, "nobody's name comes from bytes that were not signed"
        assert approver.hand_in(ordered(KEYS[BEN], *freeze, f"officer:{CY}")) == 200
    with running(tmp_path) as approver:
        (one,) = said(approver)
        assert (one["id"], one["name"], one["released_by"]) == (CY, "Cy", [])
        assert [each["name"] for each in one["by"]] == ["Ben"]
        assert approver.hand_in(ordered(KEYS[CY], *release, f"officer:{CY}")) == 200
        assert [each["name"] for each in said(approver)[0]["released_by"]] == ["Cy"]
        assert approver.hand_in(ordered(KEYS[BEN], *freeze, f"officer:{CY}", request=RIA)) == 200
        assert said(approver)[0]["released_by"] == [], "they let go what was held before"
