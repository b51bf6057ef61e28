"""What officers' passkeys said about one payload: each assertion, and whether together they are enough."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass, replace
from datetime import datetime, timedelta

from custody.signer.refusals import Refused
from custody.signer.requests import Signed
from kernel import confirmation, quorum, registration, webauthn
from kernel.approval import SignedApproval, Statement, Verb
from kernel.pinned import Officer
from kernel.registry import Registry


@dataclass(frozen=True, slots=True)
class Sighting:
    """A passkey's sign count in an approval that was given after `since`, and a name of that assertion.

    `passkey` is the officer's id and the key's fingerprint: another passkey of theirs counts for itself.
    """

    passkey: str
    count: int
    name: str
    since: datetime


def judge(
    signed: Signed,
    *,
    kind: str,
    maker: str,
    teams: Mapping[str, int] | None,
    verb: Verb,
    officers: Mapping[str, Officer],
    registry: Registry,
    expires: datetime,
    life: timedelta,
    confirmed: bool = False,
    askers: Collection[str] = (),
    discounted: Collection[str] = (),
) -> list[Sighting]:
    """The sign counts in approvals that hold, each by itself and together; Refused names the first fault.

    With None for `teams` any one officer is enough. All were given within its `life` before it `expires`.
    With `askers`, the maker is one of these, and has signed that they ask: so nobody can name another.
    The `discounted` may ask; that they agree counts for nothing.
    """
    approvals = signed.approvals
    if not approvals:
        raise Refused("SIGNER_BELOW_QUORUM", "nobody approved")
    if len({approval.nonce for approval in approvals}) > 1:
        raise Refused("SIGNER_NONCES_DIFFER", "approvals of one request share its nonce")
    try:
        statement = Statement.about(
            signed.payload, verb=verb, kind=kind, deployment=registry.deployment, nonce=approvals[0].nonce
        )
    except ValueError as error:
        raise Refused("SIGNER_BAD_APPROVAL", str(error)) from None
    since = expires - life
    sightings: list[Sighting] = []
    given: list[quorum.Given] = []
    for approval in approvals:
        officer = officers.get(approval.officer)
        if officer is None:
            raise Refused("SIGNER_UNKNOWN_OFFICER", f"{approval.officer[:40]} is not pinned here")
        asks = bool(askers) and approval.verb is Verb.ASK
        if approval.verb is not verb and not asks:
            raise Refused("SIGNER_WRONG_VERB", f"{officer.name} said {approval.verb}, not {verb}")
        if asks and officer.id != maker:
            raise Refused("SIGNER_ASKED_BY_ANOTHER", f"{officer.name} asked, and is not the maker")
        if asks and maker not in askers:
            raise Refused("SIGNER_MAY_NOT_ASK", f"{officer.name} is none of those who may ask")
        if teams is not None and officer.id == maker and not asks:
            raise Refused("SIGNER_MAKER_APPROVES", f"{officer.name} is the maker")
        if any(other.officer == officer.id for other in given):
            raise Refused("SIGNER_OFFICER_TWICE", f"{officer.name} stands in the list twice")
        try:
            count = webauthn.verify(
                approval.assertion,
                public_key=officer.public_key,
                challenge=replace(statement, verb=approval.verb).challenge(),
                origin=registry.origin,
                rp_id=registry.rp_id,
            )
        except webauthn.BadAssertion as error:
            code = "SIGNER_" + error.code.upper().replace(".", "_")
            raise Refused(code, f"{officer.name}: {error}") from None
        if approval.confirmation or (confirmed and not asks):
            _check_confirmation(approval, statement, officer)
        given.append(quorum.Given(officer.id, officer.teams, approval.verb))
        passkey = f"{officer.id}/{registration.fingerprint(officer.public_key)}"
        sightings.append(Sighting(passkey, count, approval.assertion.name, since))
    if askers and all(one.verb is not Verb.ASK for one in given):
        raise Refused("SIGNER_NOT_ASKED", "nobody signed that they ask for this")
    counted = [one for one in given if one.officer not in discounted]
    if teams is not None:
        standing = quorum.judge(teams, counted, maker=maker, agreeing=verb)
        if not standing.approved:
            missing = ", ".join(f"{count} of {team}" for team, count in standing.missing.items() if count)
            raise Refused("SIGNER_BELOW_QUORUM", f"still missing: {missing}")
    return sightings


def _check_confirmation(approval: SignedApproval, statement: Statement, officer: Officer) -> None:
    """The officer's decoder must have signed the same statement as the passkey."""
    if not approval.confirmation or not officer.decoder_key:
        raise Refused("SIGNER_UNCONFIRMED", f"{officer.name} did not confirm it on an offline decoder")
    try:
        confirmation.verify(approval.confirmation, statement=statement, key=officer.decoder_key)
    except confirmation.BadConfirmation as error:
        raise Refused("SIGNER_CONFIRMATION_WRONG", f"{officer.name}: {error}") from None
