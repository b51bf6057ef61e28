"""Confirming an act: the second mark on a line of the URLs, beside its permission.

A marked act does not run until whoever asks has answered a question about exactly this method, route, target
and these fields, with an authenticator of their own. The question is a page that carries the whole form, so
nothing that was typed is lost, and that works without a script wherever a code is enough. A file is carried
inside that form and named by its SHA-256 in what is signed: another file is another act.
"""

from __future__ import annotations

import functools
import hashlib
from collections.abc import Callable, Mapping
from dataclasses import replace
from typing import Any, ClassVar, Final

from django.core.files.uploadedfile import SimpleUploadedFile
from django.http import HttpResponse, HttpResponseBase

from backoffice.console import frame
from backoffice.console.entering import session_of
from core import clock
from core.factors import actions, judging, queries
from core.factors.domain import acts
from core.factors.domain.factors import Kind
from core.factors.domain.strength import CHALLENGE_FOR, STRONG_ENOUGH, Needs
from core.factors.given import FIELDS, read
from core.factors.models import Passkey
from core.refusals import Refused
from kernel import canonical, encodings

View = Callable[..., HttpResponseBase]

ASKED: Final = 401
FILE_BYTES_MAX: Final = 512 * 1024
_CARRIES: Final = "stepup_file_"
_APART: Final = frozenset({"csrfmiddlewaretoken", *FIELDS})

SENTENCES: Final[Mapping[str, str]] = {
    "enter": "Start your session",
    "publish_policy": "Put this policy before its quorum",
    "release": "Release this withdrawal to its checkers",
    "reject": "Reject this withdrawal",
    "ask_again": "Put this withdrawal before the signers again",
    "raise_fee": "Raise the network fee of this withdrawal",
    "fail": "Give up this withdrawal and return its hold",
    "adopt_refill": "Put this refill before its checkers",
    "adopt_sweep": "Put this sweep before its checkers",
    "ask_sweep_again": "Put this sweep before the signers again",
    "raise_sweep_fee": "Raise the network fee of this sweep",
    "import_partial": "Take in the cold signers’ signatures",
    "announce_registry": "Ask that the signers take up another registry",
    "draft_recovery": "Draft the recovery officers’ order for new officers",
    "export_bundle": "Export the bundle for the cold signers",
    "propose_adjustment": "Ask for a credit to a customer",
    "evidence": "Open a person’s evidence",
    "export_log": "Take events out of the audit log",
    "erase_customer": "Ask that a customer is erased, for good",
    "propose_tier": "Propose a tier for a customer",
    "ask_market_release": "Ask that a market may trade again",
    "ask_band": "Ask for another price band of a market",
    "ask_fee_level": "Ask for other fees of an account",
    "rebuild_mirrors": "Rebuild the mirrors of the engine",
    "ask_release": "Ask for the release of a freeze",
    "release_signers": "Ask that frozen signers may sign again",
    "reopen_signer": "Ask that a signer may begin a new memory",
    "join": "Propose that somebody joins",
    "suspend": "End all rights of a colleague",
    "end_their_sessions": "End everything that a colleague has open",
    "propose_change": "Propose a change to the staff",
    "ask_elevation": "Ask for a role for a shift, for yourself",
    "take_passkey": "Take away a signing passkey of a colleague",
    "begin_signing": "Make another signing passkey of yours",
    "ask_glass": "Break the glass, as the first of two",
    "second_glass": "Break the glass, as the second of two",
    "begin_sealed": "Register another key for a safe",
    "take_sealed": "Take away a key that lies in a safe",
    "take_factor": "Take away an authenticator of a colleague",
    "begin_code": "Register another authenticator app of yours",
    "begin_passkey": "Register another passkey of yours",
}
"""What the person confirms, in words; every marked line has one."""


class Unconfirmed(Refused):
    """The ceremony did not hold: nothing was done, and the same page asks again."""

    status: ClassVar[int] = ASKED

    def __init__(self, outcome: actions.Outcome) -> None:
        super().__init__(f"Nothing was done. {outcome.sentence}")
        self.code = outcome.fault  # type: ignore[misc]


class NotWhole(Refused):
    """The form or its file cannot be carried through a ceremony, or did not come back from it as it went."""

    code: ClassVar[str] = "console.file_not_whole"
    status: ClassVar[int] = 413


def confirmed(needs: Needs, view: View) -> View:
    """Run the view only after a ceremony that is strong enough; see `core.factors.domain.strength`."""

    @functools.wraps(view)
    def guarded(request: frame.StaffRequest, *args: Any, **kwargs: Any) -> HttpResponseBase:
        if _is_open(request, needs):
            return view(request, *args, **kwargs)
        _unpack(request)
        digest = act_of(request, kwargs)
        answer = read(request.POST)
        if answer is None:
            return _ask(request, needs, digest)
        challenge, given = answer
        outcome = actions.answer_challenge(
            challenge_id=challenge,
            given=given,
            purpose=needs,
            digest=digest,
            session=session_of(request),
            admits=STRONG_ENOUGH[needs],
            actor=request.actor,
            now=clock.now(),
        )
        if outcome.fault:
            return _ask(request, needs, digest, Unconfirmed(outcome))
        proof = f"factors.challenge/{challenge}"
        request.actor = replace(request.actor, proof=proof, rests_on=(*request.actor.rests_on, proof))
        return view(request, *args, **kwargs)

    guarded.needs = needs  # type: ignore[attr-defined]
    return guarded


def needs_of(view: Any) -> Needs | None:
    """The mark of a view, looking through what wraps it; None where it has none."""
    while view is not None:
        if found := getattr(view, "needs", None):
            return Needs(found)
        view = getattr(view, "__wrapped__", None)
    return None


def act_of(request: frame.StaffRequest, target: Mapping[str, Any]) -> bytes:
    """The digest of what this request asks for."""
    fields = {name: values for name, values in request.POST.lists() if _is_typed(name)}
    uploads: Mapping[str, Any] = request.FILES
    files = {name: hashlib.sha256(file.read()).hexdigest() for name, file in uploads.items()}
    for file in uploads.values():
        file.seek(0)
    assert request.method is not None
    try:
        return acts.digest(
            method=request.method,
            route=_route(request),
            target={name: str(value) for name, value in target.items()},
            fields=fields,
            files=files,
        )
    except canonical.NotCanonical as error:
        raise NotWhole(f"Nothing was done: the form cannot be confirmed as it is ({error}).") from error


def question(request: frame.StaffRequest, *, purpose: str, act: str, digest: bytes) -> dict[str, str]:
    """A fresh challenge as a page's script takes it."""
    row = actions.issue_challenge(
        purpose=purpose,
        act=act,
        digest=digest,
        session=session_of(request),
        actor=request.actor,
        now=clock.now(),
    )
    return {
        "id": str(row.pk),
        "challenge": encodings.base64url(acts.challenge(bytes(row.nonce), digest)),
        "rp_id": judging.rp_id(),
    }


def _is_open(request: frame.StaffRequest, needs: Needs) -> bool:
    """Whether nothing needs to be asked: there is nothing yet to confirm with."""
    return needs is Needs.ENROL and not queries.active(request.identity)


def _ask(
    request: frame.StaffRequest, needs: Needs, digest: bytes, refusal: Refused | None = None
) -> HttpResponse:
    """The page that asks, with the form inside it. It says 401: the person is known, the consent is not."""
    if needs is Needs.SEALED:
        mine: list[Any] = queries.whole_keys()
    else:
        mine = [each for each in queries.active(request.identity) if each.kind in STRONG_ENOUGH[needs]]
    route = _route(request)
    values = {
        "sentence": SENTENCES[route],
        "carried": [
            (name, value) for name, values in request.POST.lists() if _is_typed(name) for value in values
        ],
        "files": _packed(request),
        "question": question(request, purpose=needs, act=route, digest=digest),
        "seconds": int(CHALLENGE_FOR.total_seconds()),
        "passkeys": [factor.credential_id for factor in mine if isinstance(factor, Passkey)],
        "takes_code": any(factor.kind is Kind.CODE for factor in mine),
        "money": needs is Needs.MONEY,
        "from_safe": needs is Needs.SEALED,
        "address": request.path,
    }
    answer = frame.page(request, "console/confirm.html", values, refusal=refusal)
    answer.status_code = ASKED
    answer["WWW-Authenticate"] = "Ceremony"
    return answer


def _is_typed(name: str) -> bool:
    return name not in _APART and not name.startswith(_CARRIES)


def _packed(request: frame.StaffRequest) -> list[tuple[str, str, str]]:
    """Each uploaded file for the form: its field, what people compare, and its content as text."""
    found = []
    uploads: Mapping[str, Any] = request.FILES
    for name, file in uploads.items():
        data = file.read(FILE_BYTES_MAX + 1)
        file.seek(0)
        if len(data) > FILE_BYTES_MAX:
            raise NotWhole(f"Nothing was done: the file is larger than {FILE_BYTES_MAX // 1024} KiB.")
        about = f"{len(data)} bytes, SHA-256 {hashlib.sha256(data).hexdigest()}"
        found.append((name, about, encodings.base64url(data)))
    return found


def _unpack(request: frame.StaffRequest) -> None:
    """Put files that the question carried where uploads are; which they are is judged by the digest."""
    for field, text in request.POST.items():
        name = field.removeprefix(_CARRIES)
        if name == field or name in request.FILES:
            continue
        try:
            data = encodings.from_base64url(str(text))
        except encodings.BadEncoding as error:
            raise NotWhole("Nothing was done: the file did not come back whole; choose it again.") from error
        request.FILES[name] = SimpleUploadedFile(name, data)


def _route(request: frame.StaffRequest) -> str:
    match = request.resolver_match
    return (match.url_name or "") if match else ""
