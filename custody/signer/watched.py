"""The signer's side of the witnesses: heads, proofs and lines out, cosigned heads in, and shut until then.

A signer cannot tell by itself that its folder and its token were both put back to yesterday. Witnesses can:
they never cosign a smaller or another tree than one they have seen. So where the registry names witnesses, a
signer writes a fresh random line at each start, and spends nothing before it is shown a head that contains
this line and that enough witnesses have cosigned. Nobody can have prepared one.
"""

from __future__ import annotations

import secrets
from collections.abc import Callable, Mapping

from custody.signer import requests
from custody.signer.counters import Memory
from custody.signer.journal import Journal
from custody.signer.lanes import CLOCKS_APART_S
from custody.signer.refusals import Refused
from custody.signer.tokens import Token
from kernel import canonical, merkle, note, witnessed
from kernel.registry import Registry

Details = Mapping[str, canonical.Value]


class Watched:
    """The log of one running signer, and the newest head of it that witnesses were seen to have cosigned."""

    def __init__(
        self, *, token: Token, registry: Registry, journal: Journal, remember: Callable[[str, Details], None]
    ) -> None:
        self._token, self._registry, self._journal, self._remember = token, registry, journal, remember
        found = registry.witnesses
        self._witnesses = found if found is not None and token.name in found.tokens else None
        self._started_at = 0
        self._seen_at: int | None = None

    def start(self) -> None:
        """One random line, so that a head which contains it was made, and cosigned, after this start."""
        if self._witnesses is not None:
            self._started_at = self._journal.lines
            registry = {"version": str(self._registry.version), "digest": self._registry.digest.hex()}
            self._remember("started", {"nonce": secrets.token_hex(16), **registry})

    def check(self, now_ms: int) -> None:
        """Refuse where witnesses are named and none has seen this journal since it was opened, or lately."""
        if self._witnesses is None:
            return
        if self._seen_at is None:
            raise Refused("SIGNER_UNWITNESSED", "no witnesses have seen this journal since the start")
        if now_ms > (self._seen_at + self._witnesses.age_s_max) * 1000:
            raise Refused("SIGNER_UNWITNESSED", f"no witnesses saw it for {self._witnesses.age_s_max} s")

    def head(self, message: Details) -> requests.Message:
        """The signed head of the log, for witnesses, and the key to check it with."""
        requests.exact(message, {"v", "type"})
        self._journal.sync()
        verifier, tree = self._verifier(), self._journal.tree
        head = note.Checkpoint(verifier.name, tree.size, tree.root(tree.size))
        signed = note.sign(head.text(), by=verifier, signer=self._token.sign_head)
        return requests.said("log_head", self._token.name, {"note": signed, "key": str(verifier)})

    def proof(self, message: Details) -> requests.Message:
        """That the log of `old` lines is the beginning of that of `size`."""
        old, size = self._places(message, "old", "size")
        try:
            hashes: list[canonical.Value] = [item.hex() for item in self._journal.tree.consistency(old, size)]
        except merkle.BadProof as error:
            raise Refused("SIGNER_STORE_DAMAGED", str(error)) from None
        return requests.said("log_proof", self._token.name, {"hashes": hashes})

    def entries(self, message: Details) -> requests.Message:
        """Lines of the log, as many of those asked for as fit into an answer."""
        start, end = self._places(message, "start", "end")
        lines: list[canonical.Value] = [*self._journal.between(start, end)]
        return requests.said("log_entries", self._token.name, {"start": start, "lines": lines})

    def cosigned(self, message: Details, *, memory: Memory, now_s: float) -> requests.Message:
        """Take in a cosigned head. One that this journal does not lead to shows that it was put back."""
        requests.exact(message, {"v", "type", "note"})
        if not isinstance(text := message["note"], str):
            raise Refused("SIGNER_BAD_REQUEST", "a note is text")
        try:
            return self._take(text, memory, int(now_s))
        except (note.BadNote, merkle.BadProof) as error:
            raise Refused("SIGNER_BAD_COSIGNATURE", str(error)) from None

    def _take(self, text: str, memory: Memory, now_s: int) -> requests.Message:
        verifier, tree, found = self._verifier(), self._journal.tree, self._witnesses
        head = witnessed.head(text, by=verifier)
        if head.size > tree.size or tree.root(head.size) != head.root:
            self._remember("forked", {"size": str(head.size), "root": head.root.hex()})
            memory.check_forked()
        if found is not None:
            times = range(now_s - found.age_s_max, now_s + CLOCKS_APART_S + 1)
            at = witnessed.seen(head, text, among=found.keys, quorum=found.quorum, times=times)
            if head.size > max(self._started_at, memory.cosigned - 1):
                self._seen_at = max(at, self._seen_at or at)
            if head.size > memory.cosigned + 1:  # one more line would be the one written here
                self._remember("cosigned", {"size": str(head.size), "root": head.root.hex()})
        return requests.said("cosigned", self._token.name, {"open": self._seen_at is not None})

    def _verifier(self) -> note.Verifier:
        """A log's name and key; where officers reopened a signer that had lost lines, a new log begins."""
        name, branch = f"{self._registry.deployment}/signer/{self._token.name}", self._journal.branch
        return note.Verifier(name + (f"/{branch}" if branch else ""), self._token.log_key())

    def _places(self, message: Details, first: str, end: str) -> tuple[int, int]:
        requests.exact(message, {"v", "type", first, end})
        low, high, size = message[first], message[end], self._journal.tree.size
        if type(low) is not int or type(high) is not int or not 0 <= low <= high <= size:
            raise Refused("SIGNER_BAD_REQUEST", f"{first} and {end} are places in a log of {size} lines")
        return low, high
