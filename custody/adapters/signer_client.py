"""Asking signers over their unix sockets: one frame out, one frame back, a refusal is an answer like any
other.
"""

from __future__ import annotations

import logging
import socket
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from core.trusted import serving
from kernel import canonical, frames

log = logging.getLogger(__name__)

CONNECT_WITHIN_S: Final = 2.0
ANSWER_WITHIN_S: Final = 15.0
NOT_NOW: Final = frozenset(
    {"SIGNER_LOCKED", "SIGNER_TOKEN_FAILED", "SIGNER_TOKEN_CHANGED", "SIGNER_LOG_FORKED"}
    | {"SIGNER_STORE_LOST", "SIGNER_STORE_DAMAGED", "SIGNER_STORE_RESTORED"}
)
"""A signer that says so to an order obeys nobody now. Somebody will type the PIN, mend the token or reopen
it, and then a freeze or a veto that was taken for refused would be missing."""

SIGNED_ENOUGH: Final = "SIGNER_SIGNED_ENOUGH"
"""It would sign this, and has signed it, but was asked for too much that it had signed before."""


class SignerUnreachable(Exception):
    """No answer came, or none that can be read: whether the signer signed is not known, so ask it again."""


class TooFewSigners(Exception):
    """Not enough signers answered; the outbox asks again."""


@dataclass(frozen=True, slots=True)
class Signed:
    """A token's signatures, one per input, in the signer's own form."""

    token: str
    signatures: list[dict[str, Any]]


@dataclass(frozen=True, slots=True)
class Declined:
    """The signer looked and said no; `code` is its own, stable, beginning with SIGNER_."""

    token: str
    code: str
    detail: str


def ask(folder: Path, token: str, request: Mapping[str, canonical.Value]) -> Signed | Declined:
    """Put a sign request to one token's signer. Asking again is harmless: it signs the same transaction
    only.
    """
    answer = _exchange(folder / f"{token}.sock", request)
    if answer.get("code") == SIGNED_ENOUGH:
        raise SignerUnreachable(f"{token} signs nothing again before an hour is over")
    return read_answer(token, answer)


def ask_in_turn(
    folder: Path,
    tokens: Iterable[str],
    request: Mapping[str, canonical.Value],
    *,
    of: object,
    signed: Collection[str],
    threshold: int,
    goes_on: Callable[[], bool],
) -> Iterator[Signed | Declined]:
    """Put it to one signer after the other until so many have signed, those included that did before.

    Whoever iterates stores each answer as it comes. `of` says in errors what is to be signed. `goes_on` is
    asked last before each question: no, or what it raises, ends the round. TooFewSigners behind the last
    answer, where some gave none and are wanted.
    """
    have, silent = set(signed), []
    for token in tokens:
        if token in have or len(have) >= threshold:
            continue
        if not goes_on():
            return
        try:
            answer = ask(folder, token, request)
        except SignerUnreachable as error:
            log.warning("no answer: %s", error)
            silent.append(token)
            continue
        yield answer
        if isinstance(answer, Signed):
            have.add(token)
    if len(have) < threshold and silent:
        raise TooFewSigners(f"{of}: no answer from {', '.join(silent)}")


@dataclass(frozen=True, slots=True)
class Obeyed:
    """The signer did what officers ordered, now or when it was told before."""

    token: str


def order(folder: Path, token: str, message: Mapping[str, canonical.Value]) -> Obeyed | Declined:
    """Hand an officers' order over. Handing it over again is harmless: it is obeyed once."""
    answer = _exchange(folder / f"{token}.sock", message)
    if answer.get("token") != token:
        raise SignerUnreachable(f"{token} gave an answer that is none")
    if answer.get("code") in NOT_NOW:
        raise SignerUnreachable(f"{token} cannot obey anybody now: {answer['code']}")
    if answer.get("type") == "obeyed" or answer.get("code") == "SIGNER_ORDER_USED":
        return Obeyed(token)
    return _declined(token, answer)


@dataclass(frozen=True, slots=True)
class Learnt:
    """The signer knows a customer's statement, since now or since before; `alert` is for people."""

    token: str
    alert: str


def learn(folder: Path, token: str, message: Mapping[str, canonical.Value]) -> Learnt | Declined:
    """Bring what a customer signed. Bringing it again is harmless: its age counts from the first time."""
    answer = _exchange(folder / f"{token}.sock", message)
    if answer.get("type") == "learnt" and answer.get("token") == token:
        return Learnt(token, str(answer.get("alert", "")))
    return _declined(token, answer)


def attest(folder: Path, token: str, message: Mapping[str, canonical.Value]) -> Declined | None:
    """Bring a reconciler's word; None where the signer took it. The newest one counts, however often."""
    answer = _exchange(folder / f"{token}.sock", message)
    if answer.get("type") == "attested" and answer.get("token") == token:
        return None
    return _declined(token, answer)


def health(folder: Path, token: str) -> dict[str, canonical.Value]:
    """What the signer says of itself."""
    answer = _exchange(folder / f"{token}.sock", {"v": 1, "type": "health"})
    if answer.get("type") != "health" or answer.get("token") != token:
        raise SignerUnreachable(f"{token} gave an answer that is none")
    return answer


def lines(folder: Path, token: str, *, start: int, end: int) -> list[str]:
    """Lines of the signer's journal from `start` to before `end`, as many as it gives at once."""
    request: dict[str, canonical.Value] = {"v": 1, "type": "log_entries", "start": start, "end": end}
    answer = _exchange(folder / f"{token}.sock", request)
    found = answer.get("lines")
    if answer.get("type") != "log_entries" or answer.get("token") != token or not isinstance(found, list):
        raise SignerUnreachable(f"{token} shows no journal: {answer.get('code', 'no answer that is one')}")
    return [str(line) for line in found]


def read_answer(token: str, answer: Mapping[str, canonical.Value]) -> Signed | Declined:
    """A signer's message as a value; SignerUnreachable where it is none, or another token's."""
    if answer.get("type") == "refused":
        return Declined(token, str(answer.get("code", "")), str(answer.get("detail", "")))
    signatures = answer.get("signatures")
    if answer.get("type") != "signed" or answer.get("token") != token or not isinstance(signatures, list):
        raise SignerUnreachable(f"{token} gave an answer that is none")
    return Signed(token, [dict(item) for item in signatures if isinstance(item, Mapping)])


def _declined(token: str, answer: Mapping[str, canonical.Value]) -> Declined:
    if answer.get("type") != "refused":
        raise SignerUnreachable(f"{token} gave an answer that is none")
    return Declined(token, str(answer.get("code", "")), str(answer.get("detail", "")))


def _exchange(path: Path, request: Mapping[str, canonical.Value]) -> dict[str, canonical.Value]:
    with socket.socket(socket.AF_UNIX) as connection:
        try:
            serving.connect(connection, path, within_s=CONNECT_WITHIN_S)
            connection.settimeout(ANSWER_WITHIN_S)
            connection.sendall(frames.encode(request))
            header = _exactly(connection, frames.HEADER_BYTES)
            return frames.decode_body(_exactly(connection, frames.body_length(header)))
        except (OSError, frames.BadFrame) as error:
            raise SignerUnreachable(f"{path.stem}: {error or type(error).__name__}") from error


def _exactly(connection: socket.socket, count: int) -> bytes:
    data = b""
    while len(data) < count:
        part = connection.recv(count - len(data))
        if not part:
            raise ConnectionError("the signer hung up")
        data += part
    return data
