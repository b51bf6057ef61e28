"""What officers have rejected on this page, by its own log: told to whoever is asked about the same thing."""

from __future__ import annotations

from collections.abc import Mapping

from kernel import canonical
from kernel.approval import Verb


class Rejections:
    """Who rejected what, and when (milliseconds since 1970). Whoever owns the console cannot leave one out.

    A request is known by its nonce and by its payload's digest: the same payload asked about anew has another
    nonce. Keys that the registry did not know do not count: anybody could make some.
    """

    def __init__(self) -> None:
        self._found: dict[str, dict[str, int]] = {}

    def take(self, members: Mapping[str, canonical.Value]) -> None:
        """Take a line of the log in."""
        officer = str(members.get("officer", ""))
        if members.get("verb") == Verb.REJECT and officer:
            for name in ("nonce", "digest"):
                self._found.setdefault(str(members[name]), {})[officer] = int(str(members["at_ms"]))

    def of(self, *names: str) -> dict[str, int]:
        """Officers' ids, each with the moment, for a nonce and a digest."""
        return {who: at for name in names for who, at in self._found.get(name, {}).items()}
