"""A stand-in for Onfido (API v3.6): applicants, checks and reports behind a token, and signed webhooks.

    python -m devstack.standins.onfido --port N --token T --webhook-url URL --webhook-token W

Steered under /_standin/ like the Sumsub stand-in. Its webhooks carry no result, only that a check is over.
"""

from __future__ import annotations

import argparse
import hashlib
import hmac
import secrets
import uuid
from datetime import UTC, datetime
from typing import Any

from devstack.standins.courier import Courier
from devstack.standins.provider_server import Failures, ProviderServer, Reply, Request, Route, failure_routes

ROOT = "/v3.6"
KEY = r"(?P<key>[^/]+)"


class Checks:
    """The applicants, checks and reports this stand-in knows."""

    def __init__(self, courier: Courier) -> None:
        self._courier = courier
        self.applicants: dict[str, dict[str, Any]] = {}
        self.checks: dict[str, dict[str, Any]] = {}
        self.reports: dict[str, dict[str, Any]] = {}

    def routes(self) -> list[Route]:
        """The documented REST."""
        return [
            Route("POST", rf"{ROOT}/applicants/?", self.create_applicant),
            Route("GET", rf"{ROOT}/applicants/{KEY}", self.applicant),
            Route("POST", rf"{ROOT}/sdk_token", self.sdk_token),
            Route("POST", rf"{ROOT}/checks/?", self.create_check),
            Route("GET", rf"{ROOT}/checks/?", self.list_checks),
            Route("GET", rf"{ROOT}/checks/{KEY}", self.check),
            Route("GET", rf"{ROOT}/reports/?", self.list_reports),
            Route("GET", rf"{ROOT}/reports/{KEY}", self.report),
        ]

    def control(self) -> list[Route]:
        """What only a stand-in offers. `key` is a check's id or its applicant's."""
        return [
            Route("GET", "/_standin/health", lambda _request: Reply(200, {"ok": True})),
            Route("GET", "/_standin/checks", lambda _request: Reply(200, list(self.checks.values()))),
            Route("POST", rf"/_standin/checks/{KEY}/complete", self.complete),
            Route("POST", rf"/_standin/checks/{KEY}/event", self.announce),
        ]

    def create_applicant(self, request: Request) -> Reply:
        wanted = request.document()
        missing = {name: ["can't be blank"] for name in ("first_name", "last_name") if not wanted.get(name)}
        if missing:
            return refusal(422, "validation_error", "There was a validation error on this request", missing)
        applicant = {
            "id": str(uuid.uuid4()),
            "created_at": utc(),
            "sandbox": False,
            "first_name": wanted["first_name"],
            "last_name": wanted["last_name"],
            "href": "",
            "delete_at": None,
        }
        applicant["href"] = f"{ROOT}/applicants/{applicant['id']}"
        self.applicants[applicant["id"]] = applicant
        return Reply(201, applicant)

    def applicant(self, _request: Request, key: str) -> Reply:
        return found(self.applicants.get(key))

    def sdk_token(self, request: Request) -> Reply:
        if request.document().get("applicant_id") not in self.applicants:
            return not_found()
        return Reply(200, {"token": "eyJhbGciOiJFUzI1NiJ9." + secrets.token_urlsafe(48)})

    def create_check(self, request: Request) -> Reply:
        wanted = request.document()
        if wanted.get("applicant_id") not in self.applicants:
            return not_found()
        names = [str(name) for name in wanted.get("report_names", [])]
        if not names:
            return refusal(422, "validation_error", "report_names can't be blank", {})
        check_id = str(uuid.uuid4())
        reports = [self._new_report(name, check_id) for name in names]
        self.checks[check_id] = {
            "id": check_id,
            "created_at": utc(),
            "status": "in_progress",
            "result": None,
            "applicant_id": wanted["applicant_id"],
            "report_ids": [report["id"] for report in reports],
            "tags": wanted.get("tags", []),
            "sandbox": False,
            "href": f"{ROOT}/checks/{check_id}",
            "results_uri": "",
            "paused": False,
            "version": "3.6",
        }
        self.post("check.started", self.checks[check_id])
        return Reply(201, self.checks[check_id])

    def list_checks(self, request: Request) -> Reply:
        of = request.query.get("applicant_id")
        rows = [check for check in self.checks.values() if check["applicant_id"] == of]
        return Reply(200, {"checks": sorted(rows, key=lambda check: str(check["created_at"]), reverse=True)})

    def check(self, _request: Request, key: str) -> Reply:
        return found(self.checks.get(key))

    def list_reports(self, request: Request) -> Reply:
        of = request.query.get("check_id")
        return Reply(200, {"reports": [row for row in self.reports.values() if row["check_id"] == of]})

    def report(self, _request: Request, key: str) -> Reply:
        return found(self.reports.get(key))

    def complete(self, request: Request, key: str) -> Reply:
        """Finish a check with `result` clear or consider; `reports` maps a name to {result, sub_result}."""
        check, wanted = self._find(key), request.document()
        if check is None:
            return not_found()
        result = wanted.get("result", "clear")
        for identifier in check["report_ids"]:
            report = self.reports[identifier]
            outcome = wanted.get("reports", {}).get(report["name"], {"result": "clear"})
            report.update(status="complete", result=outcome["result"], sub_result=outcome.get("sub_result"))
        check.update(status=wanted.get("status", "complete"), result=result)
        made = self.post("check.completed", check, deliver=bool(wanted.get("deliver", True)))
        return Reply(200, {"check": check, "deliveries": [made]})

    def announce(self, request: Request, key: str) -> Reply:
        """A webhook of any type about the check; nothing else changes."""
        check, wanted = self._find(key), request.document()
        if check is None:
            return not_found()
        return Reply(200, {"deliveries": [self.post(wanted["event"], check)]})

    def post(self, event: str, check: dict[str, Any], *, deliver: bool = True) -> int:
        """Make the webhook of a check's event, which names the check and not its result."""
        stamp = datetime.now(UTC).isoformat()
        target = {"id": check["id"], "status": check["status"], "href": check["href"]}
        if check["status"] == "complete":
            target["completed_at_iso8601"] = stamp
        payload = {"resource_type": "check", "action": event, "object": target}
        return self._courier.post(event, {"payload": payload}, deliver=deliver).number

    def _find(self, key: str) -> dict[str, Any] | None:
        own = [check for check in self.checks.values() if key in (check["id"], check["applicant_id"])]
        return own[-1] if own else None

    def _new_report(self, name: str, check_id: str) -> dict[str, Any]:
        report: dict[str, Any] = {
            "id": str(uuid.uuid4()),
            "name": name,
            "created_at": utc(),
            "status": "awaiting_data",
            "result": None,
            "sub_result": None,
            "check_id": check_id,
            "breakdown": {},
            "properties": {},
        }
        report["href"] = f"{ROOT}/reports/{report['id']}"
        self.reports[report["id"]] = report
        return report


def utc() -> str:
    return datetime.now(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")


def refusal(status: int, kind: str, message: str, fields: dict[str, Any]) -> Reply:
    """An error in Onfido's shape."""
    return Reply(status, {"error": {"type": kind, "message": message, "fields": fields}})


def not_found() -> Reply:
    return refusal(404, "resource_not_found", "Could not find the requested resource", {})


def found(row: dict[str, Any] | None) -> Reply:
    return Reply(200, row) if row else not_found()


def webhook_signer(token: str) -> Any:
    """The header of a body: HMAC-SHA256 over all of it with the webhook's own token."""

    def sign(body: bytes) -> dict[str, str]:
        return {"X-SHA2-Signature": hmac.new(token.encode(), body, hashlib.sha256).hexdigest()}

    return sign


def serve(
    *, port: int, token: str, webhook_url: str, webhook_token: str, hold_s: float = 60.0
) -> ProviderServer:
    """A server on a loopback port (0 picks one), ready to `start` or `serve_forever`."""

    def authenticate(request: Request) -> Reply | None:
        given = request.headers.get("Authorization", "").encode()
        if hmac.compare_digest(given, f"Token token={token}".encode()):
            return None
        return refusal(401, "authorization_error", "please re-check your credentials", {})

    courier = Courier(url=webhook_url, sign=webhook_signer(webhook_token), digest_header="X-SHA2-Signature")
    checks, failures = Checks(courier), Failures()
    return ProviderServer(
        port=port,
        routes=checks.routes(),
        control=[*checks.control(), *courier.routes(), *failure_routes(failures)],
        authenticate=authenticate,
        failures=failures,
        hold_s=hold_s,
    )


def main() -> None:
    parser = argparse.ArgumentParser(description="Plays the provider on a loopback port.")
    parser.add_argument("--port", type=int, required=True)
    for name in ("token", "webhook-url", "webhook-token"):
        parser.add_argument(f"--{name}", required=True)
    options = vars(parser.parse_args())
    server = serve(**options)
    print(f"the Onfido stand-in listens at {server.url}", flush=True)
    server.serve_forever()


if __name__ == "__main__":
    main()
