"""A recovery: people who are officers for nothing else bring new officers in, where no quorum is left.

The registry in force names them, how many must agree, and how long everybody has to object. What is checked
here spares a ceremony that signers would refuse at its end, days later; the signers judge for themselves.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta

from kernel import canonical, webauthn
from kernel.approval import Statement
from kernel.registry import Registry


class BadRecovery(ValueError):
    """No recovery leads from the one registry to the other; the sentence says why."""


@dataclass(frozen=True, slots=True)
class Terms:
    """Who may order a recovery: id to name and public key (33 bytes, hex), the quorum, the delay."""

    officers: Mapping[str, tuple[str, str]]
    quorum: int
    delay: timedelta

    @classmethod
    def between(cls, old: Registry, new: Registry, *, deployment: str, network: str) -> Terms:
        """What the registry in force says of a recovery to the new one; BadRecovery."""
        if (old.deployment, old.network) != (deployment, network):
            raise BadRecovery(f"the older file is for {old.deployment} on {old.network}")
        if old.recovery is None:
            raise BadRecovery("the registry in force names nobody for a recovery")
        if new.version != old.version + 1:
            raise BadRecovery(f"version {new.version} does not follow {old.version}")
        if not new.differs_in_officers_only(old):
            raise BadRecovery("a recovery changes officers and nothing else; signers would refuse it")
        return cls(
            {one.id: (one.name, one.public_key.hex()) for one in old.recovery.officers.values()},
            old.recovery.quorum,
            timedelta(seconds=old.recovery.delay_s),
        )

    def as_json(self) -> dict[str, canonical.Value]:
        """The JSON-able form."""
        return {
            "officers": {
                one: {"name": name, "public_key": key} for one, (name, key) in self.officers.items()
            },
            "quorum": self.quorum,
            "delay_s": int(self.delay.total_seconds()),
        }

    @classmethod
    def of(cls, stored: Mapping[str, object]) -> Terms:
        """Read `as_json`'s form back."""
        people, quorum, delay_s = stored["officers"], stored["quorum"], stored["delay_s"]
        if not isinstance(people, Mapping) or not isinstance(quorum, int) or not isinstance(delay_s, int):
            raise BadRecovery("these are no terms of a recovery")
        officers = {str(one): (str(part["name"]), str(part["public_key"])) for one, part in people.items()}
        return cls(officers, quorum, timedelta(seconds=delay_s))

    def signer(
        self, said: Statement, assertion: webauthn.Assertion, *, origin: str, rp_id: str
    ) -> str | None:
        """Whose passkey signed this very statement: the id of one of these officers, or None.

        Recovery officers have no account in the console, so it is the key alone that says who they are.
        """
        for officer, (_, key) in self.officers.items():
            try:
                webauthn.verify(
                    assertion,
                    public_key=bytes.fromhex(key),
                    challenge=said.challenge(),
                    origin=origin,
                    rp_id=rp_id,
                )
            except webauthn.BadAssertion:
                continue
            return officer
        return None

    def takes_effect(self, obeyed_at: Iterable[datetime]) -> datetime | None:
        """The first moment at which a signer may be started with the new file; None while none obeyed.

        Each signer counts by its own clock from when it obeyed, so the first to obey is the first to be free.
        """
        moments = sorted(obeyed_at)
        return moments[0] + self.delay if moments else None
