"""A stand-in for Sumsub: the documented REST with its request signatures, and really signed webhooks.

    python -m devstack.standins.sumsub --port N --app-token T --secret S --webhook-url URL --webhook-secret W

Scripts steer it under /_standin/ (no signature): finish a review, hold webhooks back, send them in any
order, twice or tampered, and plan failures of the REST. `key` in these paths is an applicant's id or external
user id.
"""

from __future__ import annotations

import argparse
import hashlib
import hmac
import secrets
import threading
import time
from datetime import UTC, datetime
from typing import Any
from urllib.parse import unquote

from devstack.standins.courier import Courier, Delivery
from devstack.standins.provider_server import Failures, ProviderServer, Reply, Request, Route, failure_routes

WINDOW_S = 60
LEVELS = {
    "kyc-basic": "individual",
    "kyc-standard": "individual",
    "kyc-enhanced": "individual",
    "kyb-institutional": "company",
}
BUSY = frozenset({"pending", "queued", "prechecked", "onHold"})
KEY = r"(?P<key>[^/]+)"


class Applicants:
    """The applicants this stand-in knows, and what the documented calls do to them."""

    def __init__(self, courier: Courier) -> None:
        self._courier = courier
        self._by_id: dict[str, dict[str, Any]] = {}
        self._lock = threading.RLock()

    def routes(self) -> list[Route]:
        """The documented REST."""
        root = "/resources/applicants"
        return [
            Route("POST", root, self.create),
            Route("GET", rf"{root}/-/byExternalUserId/{KEY}", self.exists),
            Route("GET", rf"{root}/-;externalUserId={KEY}/one", self.one),
            Route("GET", rf"{root}/{KEY}/one", self.one),
            Route("GET", rf"{root}/{KEY}/status", self.status),
            Route("POST", rf"{root}/{KEY}/moveToLevel", self.move_to_level),
            Route("POST", rf"{root}/{KEY}/reset", self.reset),
            Route("POST", rf"{root}/{KEY}/status/testCompleted", self.test_completed),
            Route("POST", "/resources/accessTokens/sdk", self.sdk_token),
            Route("GET", "/resources/status/api", lambda _request: Reply(200, {"ok": 1})),
        ]

    def control(self) -> list[Route]:
        """What only a stand-in offers."""
        return [
            Route("GET", "/_standin/health", lambda _request: Reply(200, {"ok": True})),
            Route("GET", "/_standin/applicants", lambda _request: Reply(200, list(self._by_id.values()))),
            Route("POST", rf"/_standin/applicants/{KEY}/complete", self.complete),
            Route("POST", rf"/_standin/applicants/{KEY}/review", self.set_review),
            Route("POST", rf"/_standin/applicants/{KEY}/event", self.announce),
        ]

    def find(self, key: str) -> dict[str, Any] | None:
        """By applicant id or external user id, percent-encoded or not."""
        key = unquote(key)
        for applicant in self._by_id.values():
            if key in (applicant["id"], applicant["externalUserId"]):
                return applicant
        return None

    def create(self, request: Request) -> Reply:
        level, wanted = request.query.get("levelName", ""), request.document()
        external = str(wanted.get("externalUserId", ""))
        if level not in LEVELS or not external:
            return refusal(400, "levelName and externalUserId are required and must exist")
        with self._lock:
            if self.find(external):
                return refusal(409, f"Applicant with external user id '{external}' already exists")
            applicant: dict[str, Any] = {
                "id": secrets.token_hex(12),
                "createdAt": utc("%Y-%m-%d %H:%M:%S"),
                "inspectionId": secrets.token_hex(12),
                "externalUserId": external,
                "info": dict(wanted.get("fixedInfo", {})),
                "type": wanted.get("type", LEVELS[level]),
                "review": new_review(level, attempt=0),
            }
            self._by_id[applicant["id"]] = applicant
        self.post(applicant, "applicantCreated")
        return Reply(201, applicant)

    def exists(self, _request: Request, key: str) -> Reply:
        applicant = self.find(key)
        return Reply(200, {"exists": bool(applicant), **({"applicant": applicant} if applicant else {})})

    def one(self, _request: Request, key: str) -> Reply:
        applicant = self.find(key)
        return Reply(200, applicant) if applicant else refusal(404, "Applicant not found")

    def status(self, _request: Request, key: str) -> Reply:
        applicant = self.find(key)
        return Reply(200, applicant["review"]) if applicant else refusal(404, "Applicant not found")

    def sdk_token(self, request: Request) -> Reply:
        wanted = request.document()
        if not wanted.get("userId") or wanted.get("levelName") not in LEVELS:
            return refusal(400, "userId and an existing levelName are required")
        return Reply(200, {"token": "_act-sbx-jwt-" + secrets.token_urlsafe(48), "userId": wanted["userId"]})

    def move_to_level(self, request: Request, key: str) -> Reply:
        applicant, level = self.find(key), request.query.get("name", "")
        if applicant is None or level not in LEVELS:
            return refusal(404, "Applicant or level not found")
        if applicant["review"]["reviewStatus"] in BUSY:
            return refusal(409, "Applicant is being checked")
        applicant["review"] = new_review(level, attempt=0)
        self.post(applicant, "applicantLevelChanged")
        return Reply(200, applicant)

    def reset(self, _request: Request, key: str) -> Reply:
        applicant = self.find(key)
        if applicant is None:
            return refusal(404, "Applicant not found")
        if applicant["review"]["reviewStatus"] in BUSY - {"onHold"}:
            return refusal(409, "Applicant is being checked")
        review = applicant["review"]
        applicant["review"] = new_review(review["levelName"], attempt=review["attemptCnt"] + 1)
        self.post(applicant, "applicantReset")
        return Reply(200, {"ok": 1})

    def test_completed(self, request: Request, key: str) -> Reply:
        applicant = self.find(key)
        if applicant is None:
            return refusal(404, "Applicant not found")
        self.finish(applicant, request.document())
        self.post(applicant, "applicantReviewed")
        return Reply(200, {"ok": 1})

    def complete(self, request: Request, key: str) -> Reply:
        """Documents are in and the review is over: two webhooks, pending then reviewed."""
        applicant, wanted = self.find(key), request.document()
        if applicant is None:
            return refusal(404, "Applicant not found")
        person = {"firstName": "Tom", "lastName": "Trader", "dob": "1990-01-15", "country": "DEU"}
        applicant["info"] = {**person, **applicant["info"], **wanted.get("info", {})}
        applicant["type"] = wanted.get("applicantType", applicant["type"])
        will_deliver = bool(wanted.get("deliver", True))
        applicant["review"]["reviewStatus"] = "pending"
        pending = self.post(applicant, "applicantPending", deliver=will_deliver)
        answer = {"reviewAnswer": "GREEN"} | {k: v for k, v in wanted.items() if k in RESULT_FIELDS}
        self.finish(applicant, answer)
        reviewed = self.post(applicant, "applicantReviewed", deliver=will_deliver)
        return Reply(200, {"applicant": applicant, "deliveries": [pending.number, reviewed.number]})

    def set_review(self, request: Request, key: str) -> Reply:
        """Put any review state at all; `event` names the webhook that goes with it, if one should."""
        applicant, wanted = self.find(key), request.document()
        if applicant is None:
            return refusal(404, "Applicant not found")
        applicant["review"].update(wanted.get("review", {}))
        applicant["info"].update(wanted.get("info", {}))
        applicant["type"] = wanted.get("applicantType", applicant["type"])
        made = []
        if wanted.get("event"):
            made = [self.post(applicant, wanted["event"], deliver=bool(wanted.get("deliver", True))).number]
        return Reply(200, {"applicant": applicant, "deliveries": made})

    def announce(self, request: Request, key: str) -> Reply:
        """A webhook of any type about the applicant, with any fields changed; its state stays as it is."""
        applicant, wanted = self.find(key), request.document()
        if applicant is None:
            return refusal(404, "Applicant not found")
        fields = wanted.get("fields", {})
        made = self.post(applicant, wanted["event"], deliver=bool(wanted.get("deliver", True)), fields=fields)
        return Reply(200, {"deliveries": [made.number]})

    def finish(self, applicant: dict[str, Any], answer: dict[str, Any]) -> None:
        """Close the review with the documented `reviewResult` fields."""
        result = {key: value for key, value in answer.items() if key in RESULT_FIELDS}
        review = applicant["review"]
        review.update(reviewStatus="completed", reviewResult=result, reviewDate=utc("%Y-%m-%d %H:%M:%S+0000"))
        review["attemptCnt"] = review.get("attemptCnt", 0) + 1

    def post(
        self,
        applicant: dict[str, Any],
        event: str,
        *,
        deliver: bool = True,
        fields: dict[str, Any] | None = None,
    ) -> Delivery:
        """Make the webhook that Sumsub documents for this event."""
        review = applicant["review"]
        document = {
            "applicantId": applicant["id"],
            "inspectionId": applicant["inspectionId"],
            "correlationId": f"req-{secrets.token_hex(16)}",
            "externalUserId": applicant["externalUserId"],
            "applicantType": applicant["type"],
            "levelName": review["levelName"],
            "type": event,
            "sandboxMode": False,
            "reviewStatus": review["reviewStatus"],
            "createdAtMs": utc("%Y-%m-%d %H:%M:%S.%f")[:-3],
            "clientId": "countersign",
        }
        if review["reviewStatus"] == "completed":
            document["reviewResult"] = review["reviewResult"]
        return self._courier.post(event, document | (fields or {}), deliver=deliver)


RESULT_FIELDS = frozenset(
    {"reviewAnswer", "rejectLabels", "reviewRejectType", "buttonIds", "moderationComment", "clientComment"}
)


def new_review(level: str, *, attempt: int) -> dict[str, Any]:
    """A review that waits for documents."""
    return {
        "reviewId": secrets.token_hex(3),
        "attemptId": secrets.token_hex(3),
        "attemptCnt": attempt,
        "levelName": level,
        "createDate": utc("%Y-%m-%d %H:%M:%S+0000"),
        "reviewStatus": "init",
        "priority": 0,
    }


def refusal(status: int, description: str, error_code: int | None = None) -> Reply:
    """An error in Sumsub's shape."""
    document: dict[str, Any] = {
        "description": description,
        "code": status,
        "correlationId": f"req-{secrets.token_hex(16)}",
    }
    return Reply(status, document if error_code is None else {**document, "errorCode": error_code})


def utc(layout: str) -> str:
    return datetime.now(UTC).strftime(layout)


def webhook_signer(secret: str, algorithm: str = "HMAC_SHA256_HEX") -> Any:
    """Headers for a body, as Sumsub sends them."""
    name = {"HMAC_SHA256_HEX": "sha256", "HMAC_SHA512_HEX": "sha512", "HMAC_SHA1_HEX": "sha1"}[algorithm]

    def sign(body: bytes) -> dict[str, str]:
        digest = hmac.new(secret.encode(), body, name).hexdigest()
        return {"X-Payload-Digest": digest, "X-Payload-Digest-Alg": algorithm}

    return sign


def authenticator(app_token: str, secret: str) -> Any:
    """Checks X-App-Token, the 60 second window and the signature over the exact bytes of the request."""

    def authenticate(request: Request) -> Reply | None:
        stamp = request.headers.get("X-App-Access-Ts", "")
        if not hmac.compare_digest(request.headers.get("X-App-Token", "").encode(), app_token.encode()):
            return refusal(401, "Unknown app token", 4000)
        if not stamp.isdecimal() or abs(time.time() - int(stamp)) > WINDOW_S:
            return refusal(401, "Request timestamp is out of the window", 4001)
        message = stamp.encode() + request.method.encode() + request.target.encode() + request.body
        expected = hmac.new(secret.encode(), message, hashlib.sha256).hexdigest()
        if not hmac.compare_digest(request.headers.get("X-App-Access-Sig", "").encode(), expected.encode()):
            return refusal(401, "Request signature mismatch", 4003)
        return None

    return authenticate


def serve(
    *, port: int, app_token: str, secret: str, webhook_url: str, webhook_secret: str, hold_s: float = 60.0
) -> ProviderServer:
    """A server on a loopback port (0 picks one), ready to `start` or `serve_forever`."""
    courier = Courier(url=webhook_url, sign=webhook_signer(webhook_secret), digest_header="X-Payload-Digest")
    applicants, failures = Applicants(courier), Failures()
    return ProviderServer(
        port=port,
        routes=applicants.routes(),
        control=[*applicants.control(), *courier.routes(), *failure_routes(failures)],
        authenticate=authenticator(app_token, secret),
        failures=failures,
        hold_s=hold_s,
    )


def main() -> None:
    parser = argparse.ArgumentParser(description="Plays the provider on a loopback port.")
    parser.add_argument("--port", type=int, required=True)
    for name in ("app-token", "secret", "webhook-url", "webhook-secret"):
        parser.add_argument(f"--{name}", required=True)
    options = vars(parser.parse_args())
    server = serve(**options)
    print(f"the Sumsub stand-in listens at {server.url}", flush=True)
    server.serve_forever()


if __name__ == "__main__":
    main()
