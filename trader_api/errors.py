"""Errors as OKX v5 clients know them: a code, a sentence, and the HTTP status that belongs to the code."""

from __future__ import annotations

from typing import Final

HTTP: Final[dict[str, int]] = {
    "50000": 400,
    "50001": 503,
    "50002": 400,
    "50004": 400,
    "50005": 410,
    "50006": 400,
    "50011": 429,
    "50013": 429,
    "50014": 400,
    "50015": 400,
    "50016": 400,
    "50026": 500,
    "50042": 401,
    "50100": 400,
    "50102": 401,
    "50103": 401,
    "50104": 401,
    "50105": 401,
    "50106": 401,
    "50107": 401,
    "50110": 401,
    "50111": 401,
    "50112": 401,
    "50113": 401,
    "50114": 401,
    "50115": 405,
    "51000": 400,
    "58102": 429,
}
"""Codes that do not travel with 200. Refusals of one order or one withdrawal are answers, not HTTP errors."""

UNAVAILABLE: Final = "50001"
OUTCOME_UNKNOWN: Final = "50004"


class ApiError(Exception):
    """A whole request that was refused. `str()` is the sentence that the client sees."""

    def __init__(
        self, code: str, sentence: str, *, status: int | None = None, retry_after_s: int = 0
    ) -> None:
        super().__init__(sentence)
        self.code = code
        self.status = status or HTTP.get(code, 200)
        self.retry_after_s = retry_after_s


def unavailable() -> ApiError:
    """The matching engine is away: "maintenance" to ccxt, so that bots wait and retry."""
    return ApiError(
        UNAVAILABLE,
        "Service temporarily unavailable: the matching engine is being upgraded. Try again later.",
        retry_after_s=1,
    )


def outcome_unknown() -> ApiError:
    """The command was sent and no answer came: look it up by clOrdId before sending another."""
    return ApiError(
        OUTCOME_UNKNOWN, "Endpoint request timeout: the outcome is unknown, query before retrying."
    )


def missing(name: str) -> ApiError:
    """A required parameter is absent or empty."""
    return ApiError("50014", f"Parameter {name} can not be empty.")


def bad(name: str) -> ApiError:
    """A parameter cannot be read."""
    return ApiError("51000", f"Parameter {name} error.")
