"""The approver's own log: every signature that was given on the page, before the console gets to see it.

One canonical line per signature, in a file that only grows, under a Merkle tree whose heads witnesses cosign.
Whoever owns the console and its database can lose an officer's answer, or make one up; they cannot make the
page's own record of it disappear, nor put one there.
"""

from __future__ import annotations

import contextlib
import errno
import fcntl
import hashlib
import os
import threading
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.asymmetric.utils import decode_dss_signature, encode_dss_signature

from custody.approver.rejections import Rejections
from custody.approver.suspensions import Suspensions, officer_in
from kernel import canonical, encodings, note, webauthn, witnessed
from kernel.approval import BadStatement, Statement, Verb
from kernel.merkle import Tree
from kernel.pinned import Officer
from kernel.registry import Registry

P256_ORDER: Final = 0xFFFFFFFF00000000FFFFFFFFFFFFFFFFBCE6FAADA7179E84F3B9CAC2FC632551
STRANGERS_PER_HOUR: Final = 60
STOPS: Final = frozenset({"signer.freeze", "signer.veto"})
RESERVE_BYTES: Final = 256 * 1024
RESERVE_STEP_BYTES: Final = 4096
_MEMBERS: Final = frozenset(
    {"request", "verb", "kind", "deployment", "nonce", "digest"}
    | {"credential_id", "authenticator_data", "client_data", "signature"}
)


class NotASignature(ValueError):
    """What was handed in is no signature that this page can have given."""


class TooManyStrangers(Exception):
    """Keys that the registry does not know have filled their share of this hour."""


class LogInUse(Exception):
    """Another process writes this log."""


class LogDamaged(Exception):
    """A line is not what a log of ours holds: somebody must look before anything is added."""


@dataclass(frozen=True, slots=True)
class Given:
    """One signature as the page hands it in, checked as far as it can be without knowing whose it is."""

    request: str
    statement: Statement
    assertion: webauthn.Assertion
    credential_id: str
    about: str = ""
    """The officer whom a suspension, or its end, is about."""

    @classmethod
    def parse(cls, data: bytes) -> Given:
        """Read the page's JSON; NotASignature."""
        try:
            members = canonical.decode_object(data)
            texts = {name: value for name, value in members.items() if isinstance(value, str)}
            if frozenset(members) - {"payload"} != _MEMBERS or len(texts) != len(members):
                raise NotASignature("other members than those of a signature")
            said = Statement(
                verb=Verb(texts["verb"]),
                kind=texts["kind"],
                deployment=texts["deployment"],
                nonce=encodings.from_hex(texts["nonce"]),
                digest=encodings.from_hex(texts["digest"]),
            )
            return cls(
                request=texts["request"],
                statement=said,
                assertion=webauthn.Assertion(
                    authenticator_data=encodings.from_base64url(texts["authenticator_data"]),
                    client_data=encodings.from_base64url(texts["client_data"]),
                    signature=encodings.from_base64url(texts["signature"]),
                ),
                credential_id=texts["credential_id"],
                about=officer_in(texts["payload"], said) if "payload" in texts else "",
            )
        except (canonical.NotCanonical, encodings.BadEncoding, BadStatement, ValueError) as error:
            raise NotASignature(str(error)) from None

    @property
    def name(self) -> str:
        """The assertion's own hash: the same signature handed in again is the same line."""
        return self._name(self.assertion.signature)

    @property
    def twin(self) -> str:
        """The name of the same signature in its other form (r, n - s), which anybody can make of it."""
        r, s = decode_dss_signature(self.assertion.signature)
        return self._name(encode_dss_signature(r, P256_ORDER - s))

    def _name(self, signature: bytes) -> str:
        signed = self.assertion.authenticator_data + self.assertion.client_data
        return hashlib.sha256(signed + signature).hexdigest()

    def officer(self, registry: Registry, *, origin: str, rp_id: str) -> Officer | None:
        """Whose passkey signed, among the registry's officers, those for a recovery included; None for a key
        that it does not know.
        """
        spare = registry.recovery.officers if registry.recovery else {}
        for officer in (*registry.officers.values(), *spare.values()):
            with contextlib.suppress(webauthn.BadAssertion):
                webauthn.verify(
                    self.assertion,
                    public_key=officer.public_key,
                    challenge=self.statement.challenge(),
                    origin=origin,
                    rp_id=rp_id,
                )
                return officer
        return None


class SigningLog:
    """The file, its tree and its key. One process writes it. `cut` tells how many bytes of an unfinished line
    were cut off at the start.
    """

    def __init__(
        self,
        folder: Path,
        *,
        deployment: str,
        registry: Callable[[], Registry],
        origin: str,
        rp_id: str,
        clock: Callable[[], float],
    ) -> None:
        self._registry, self._origin, self._rp_id, self._clock = registry, origin, rp_id, clock
        self._deployment = deployment
        self._key = _key(folder / "log-key.pem")
        self.verifier = note.Verifier(f"{deployment}/approver", self._key.public_key().public_bytes_raw())
        public = folder / "log-key.txt"
        if not public.exists() or public.read_text() != f"{self.verifier}\n":
            public.write_text(f"{self.verifier}\n")
        public.chmod(0o644)
        self._lock = threading.Lock()
        self._path, self._reserve = folder / "signatures.jsonl", folder / "reserve"
        self._file = os.open(self._path, os.O_RDWR | os.O_CREAT | os.O_APPEND, 0o600)
        try:
            fcntl.flock(self._file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            os.close(self._file)
            raise LogInUse(f"{self._path} is in use by another process") from None
        self.tree, self._lines = Tree(), list[bytes]()
        self._places: dict[str, int] = {}
        self.rejections, self.suspensions = Rejections(), Suspensions()
        self._strangers: list[float] = []
        self._read()
        self._set_aside()

    def add(self, given: Given) -> int:
        """The place of this signature's line, which is durable; the same signature again has that place."""
        with self._lock:
            if given.name in self._places:
                return self._places[given.name]
            if given.statement.deployment != self._deployment:
                raise NotASignature("the signature is about another deployment")
            officer = given.officer(self._registry(), origin=self._origin, rp_id=self._rp_id)
            if officer is not None and given.twin in self._places:
                return self._places[given.twin]  # nobody touched the passkey once more
            now_s = self._clock()
            if officer is None:
                self._admit_stranger(now_s)
            said = given.statement
            members: dict[str, canonical.Value] = {
                "v": 1,
                "at_ms": str(int(now_s * 1000)),
                "officer": officer.id if officer else "",
                "credential_id": given.credential_id,
                "verb": said.verb.value,
                "kind": said.kind,
                "request": given.request,
                "nonce": said.nonce.hex(),
                "digest": said.digest.hex(),
                "assertion": given.name,
                **({"about": given.about} if given.about else {}),
            }
            line = canonical.encode(members)
            try:
                self._append(line + b"\n")
            except OSError:
                if officer is None or said.kind not in STOPS:
                    raise
                self._give_up_reserve()
                self._append(line + b"\n")
            self._take(line, members)
            return self.tree.size - 1

    def head(self) -> str:
        """The signed note of the tree's head."""
        with self._lock:
            head = note.Checkpoint(self.verifier.name, self.tree.size, self.tree.root(self.tree.size))
        return note.sign(head.text(), by=self.verifier, signer=self._key.sign)

    def proof(self, old: int, size: int) -> list[bytes]:
        """That the log of `old` lines is the beginning of that of `size`."""
        return self.tree.consistency(old, size)

    def entries(self, start: int, end: int) -> list[str]:
        """Lines from `start` on, as many of those up to `end` as fit into an answer."""
        return witnessed.page(self._lines[start : min(end, start + witnessed.LINES_MAX)])

    def close(self) -> None:
        """Let another process write."""
        os.close(self._file)

    def _admit_stranger(self, now_s: float) -> None:
        """Officers whose key no registry knows yet sign, too; the internet must not fill the disk."""
        self._strangers = [at for at in self._strangers if at > now_s - 3600]
        if len(self._strangers) >= STRANGERS_PER_HOUR:
            raise TooManyStrangers
        self._strangers.append(now_s)

    def _append(self, line: bytes) -> None:
        """The whole line on disk, or OSError and nothing of it: nobody was answered for it."""
        if os.fstat(self._file).st_size != self._size:  # what was left behind could not be cut back then
            os.ftruncate(self._file, self._size)
        try:
            if os.write(self._file, line) != len(line):
                raise OSError(errno.ENOSPC, "a line was not written whole")
            os.fsync(self._file)
        except OSError:
            os.ftruncate(self._file, self._size)
            raise
        self._size += len(line)

    def _set_aside(self) -> None:
        """Room on the disk that stays for officers who stop something, whoever has filled the rest."""
        reserve = os.open(self._reserve, os.O_RDWR | os.O_CREAT, 0o600)
        with contextlib.suppress(OSError):  # then as much as there is
            os.posix_fallocate(reserve, 0, RESERVE_BYTES)
        os.close(reserve)

    def _give_up_reserve(self) -> None:
        left = max(0, self._reserve.stat().st_size - RESERVE_STEP_BYTES)
        os.truncate(self._reserve, left)

    def _read(self) -> None:
        """Every whole line; a torn last one was never answered, and is cut off."""
        data = self._path.read_bytes()
        self._size = data.rfind(b"\n") + 1
        self.cut = len(data) - self._size
        if self.cut:
            os.ftruncate(self._file, self._size)
        for line in data[: self._size].splitlines():
            try:
                members = canonical.decode_object(line)
            except canonical.NotCanonical as error:
                raise LogDamaged(f"line {self.tree.size + 1} of {self._path}: {error}") from None
            self._take(line, members)

    def _take(self, line: bytes, members: Mapping[str, canonical.Value]) -> None:
        self._places[_text(members, "assertion")] = self.tree.size
        self.rejections.take(members)
        self.suspensions.take(members)
        self.tree.append(line)
        self._lines.append(line)


def _key(path: Path) -> Ed25519PrivateKey:
    """The key of the log's heads, made at the first start."""
    if not path.exists():
        made = Ed25519PrivateKey.generate()
        descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
        with os.fdopen(descriptor, "wb") as file:
            file.write(
                made.private_bytes(
                    serialization.Encoding.PEM,
                    serialization.PrivateFormat.PKCS8,
                    serialization.NoEncryption(),
                )
            )
    key = serialization.load_pem_private_key(path.read_bytes(), password=None)
    if not isinstance(key, Ed25519PrivateKey):
        raise LogDamaged(f"{path} holds another kind of key")
    return key


def _text(members: Mapping[str, canonical.Value], name: str) -> str:
    value = members.get(name)
    if not isinstance(value, str):
        raise LogDamaged(f"a line without {name}")
    return value
