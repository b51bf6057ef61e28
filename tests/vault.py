"""A vault for tests: SoftHSM tokens in a temporary folder, signer processes, officers and their registry.

Signers run as they do in production, as programs in the trusted environment, one token each.
"""

from __future__ import annotations

import json
import os
import shutil
import socket
import subprocess
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from fixtures.authenticator import Authenticator
from kernel import canonical, frames, registration
from kernel.intent import REFILL, WITHDRAWAL
from kernel.registry import Registry

ROOT = Path(__file__).parent.parent
TRUSTED_PYTHON = Path(os.environ.get("TRUSTED_PYTHON", ROOT / ".venv-trusted/bin/python"))
MODULE = os.environ.get("PKCS11_MODULE", "/usr/lib/softhsm/libsofthsm2.so")
PIN = "quiz-4711"  # no hex digits and no base64: it cannot stand in a digest by chance

ORIGIN = "http://approver.localhost:8000"
RP_ID = "approver.localhost"
DEPLOYMENT = "countersign-test"
NETWORK = "regtest"

ANA = "01900000-0000-7000-8000-0000000000a1"
BEN = "01900000-0000-7000-8000-0000000000b2"
CY = "01900000-0000-7000-8000-0000000000c3"
DOT = "01900000-0000-7000-8000-0000000000d4"
TEAMS = {ANA: ["compliance", "makers", "treasury"], BEN: ["treasury"], CY: ["treasury"], DOT: ["audit"]}
NAMES = {ANA: "Ana", BEN: "Ben", CY: "Cy", DOT: "Dot"}
KEYS = {
    officer: Authenticator(f"{number:064x}") for number, officer in enumerate((ANA, BEN, CY, DOT), start=4001)
}

DECODERS = {
    officer: Ed25519PrivateKey.from_private_bytes(bytes([number]) * 32)
    for number, officer in enumerate(KEYS, start=41)
}

Message = dict[str, Any]


def saved_passkey(officer: str, name: str, key: Authenticator, **how: Any) -> Message:
    """What the approver's registration page saves of a passkey that was made on it."""
    nonce = b"\x0b" * 32
    challenge = registration.challenge(deployment=DEPLOYMENT, officer=officer, nonce=nonce)
    made = key.registration(challenge, **{"origin": ORIGIN, "rp_id": RP_ID, **how})
    named = {"type": "passkey/1", "deployment": DEPLOYMENT, "officer": officer, "name": name}
    return {**named, "nonce": nonce.hex(), **made}


def make_token(folder: Path, name: str, *, count: int) -> list[bytes]:
    """A token of its own in a folder of its own, with `count` keys; their public halves."""
    (folder / "tokens").mkdir(parents=True, mode=0o700)
    (folder / "softhsm2.conf").write_text(
        f"directories.tokendir = {folder}/tokens\nobjectstore.backend = file\nlog.level = ERROR\n"
        "slots.removable = false\nslots.mechanisms = ALL\nlibrary.reset_on_fork = false\n"
    )
    return initialise(folder, name, count=count)


def initialise(folder: Path, name: str, *, count: int) -> list[bytes]:
    """A token in a folder that may hold others, with `count` keys; their public halves."""
    softhsm = ["softhsm2-util", "--init-token", "--free", "--label", name, "--so-pin", "12345678"]
    subprocess.run([*softhsm, "--pin", PIN], env=environment(folder), check=True, capture_output=True)
    made = run(folder, "custody.signer.provision", "--token", name, "--count", str(count), "--module", MODULE)
    assert made.returncode == 0, made.stderr
    return [bytes.fromhex(key) for key in json.loads(made.stdout)["public_keys"]]


def environment(folder: Path) -> dict[str, str]:
    """What a signer's process gets to see: its token's folder and nothing of ours."""
    return {"PATH": os.environ["PATH"], "SOFTHSM2_CONF": str(folder / "softhsm2.conf")}


def run(
    folder: Path, program: str, *arguments: str, typed: str = PIN + "\n"
) -> subprocess.CompletedProcess[str]:
    """Run one of the trusted programs to its end."""
    return subprocess.run(
        [str(TRUSTED_PYTHON), "-m", program, *arguments],
        check=False,
        env=environment(folder),
        cwd=ROOT,
        input=typed,
        capture_output=True,
        text=True,
        timeout=240,
    )


@dataclass
class Vault:
    """Tokens by name, and the registry that pins them."""

    folder: Path
    keys: dict[str, list[bytes]]
    document: Message

    @classmethod
    def build(
        cls, folder: Path, *, hot: int = 4, cold: int = 2, wallets: Sequence[str] = ("hot", "cold")
    ) -> Vault:
        """Make the tokens of both wallets: hot 2-of-3, cold 3-of-5."""
        sizes = {"hot": (2, 3, hot), "cold": (3, 5, cold)}
        keys: dict[str, list[bytes]] = {}
        described: Message = {}
        for wallet in wallets:
            threshold, tokens, count = sizes[wallet]
            names = [f"{wallet}-{number}" for number in range(1, tokens + 1)]
            for name in names:
                keys[name] = make_token(folder / name, name, count=count)
            rows = [[keys[name][index].hex() for name in names] for index in range(count)]
            described[wallet] = {"m": threshold, "tokens": names, "keys": rows}
        vault = cls(folder, keys, registry_document(described))
        vault.registry_file.write_bytes(canonical.encode(vault.document) + b"\n")
        return vault

    @property
    def registry_file(self) -> Path:
        return self.folder / "registry.json"

    @property
    def registry(self) -> Registry:
        return Registry.parse(canonical.encode(self.document))

    def start(
        self,
        token: str,
        *extra: str,
        state: Path | None = None,
        uid: int | None = None,
        pin: str = PIN,
        program: Sequence[str] = ("-m", "custody.signer"),
        module: str = MODULE,
        environ: Mapping[str, str] | None = None,
    ) -> SignerProcess:
        """Start the signer of a token; `program` is how Python is told to."""
        path = self.folder / f"{token}.sock"
        command = [str(TRUSTED_PYTHON), *program, "--token", token, "--socket", str(path)]
        command += ["--registry", str(self.registry_file), "--module", module]
        command += ["--state", str(state or self.folder / token / "state")]
        command += ["--allow-uid", str(os.getuid() if uid is None else uid), *extra]
        process = subprocess.Popen(
            command,
            env={**environment(self.folder / token), **(environ or {})},
            cwd=ROOT,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
        )
        assert process.stdin is not None
        process.stdin.write(pin + "\n" if pin else "")
        process.stdin.close()
        return SignerProcess(token, path, process)


def registry_document(wallets: Message, **changes: Any) -> Message:
    """The contract's registry shape."""
    document: Message = {
        "v": 1,
        "version": 1,
        "deployment": DEPLOYMENT,
        "network": NETWORK,
        "rp_id": RP_ID,
        "origin": ORIGIN,
        "officers": {
            officer: {
                "name": NAMES[officer],
                "teams": TEAMS[officer],
                "public_key": KEYS[officer].public_key_hex,
                "decoder_key": DECODERS[officer].public_key().public_bytes_raw().hex(),
            }
            for officer in KEYS
        },
        "wallets": wallets,
        "policies": {
            WITHDRAWAL: {"teams": {"treasury": 2}, "source": "hot"},
            REFILL: {"teams": {"treasury": 2}, "source": "cold", "destination": "hot/0"},
        },
        "limits": {
            "fee_sats_max": "100000",
            "feerate_sats_vb_max": "200",
            "window_s": 86400,
            "window_units_max": dict.fromkeys(wallets, "100000000000"),
        },
    }
    return {**document, **changes}


@dataclass
class SignerProcess:
    """A running signer, spoken to as the web tier would."""

    token: str
    path: Path
    process: subprocess.Popen[str]
    lines: list[str] = field(default_factory=list)

    def ready(self, word: str = "ready") -> SignerProcess:
        """Wait for the line that says whether it could start."""
        assert self.process.stdout is not None
        while not self.lines or f" {word} socket=" not in self.lines[-1]:
            self.lines.append(self.process.stdout.readline())
            assert self.lines[-1], "".join(self.lines)
        return self

    def ask(self, message: Mapping[str, Any]) -> Message:
        """One message, one answer."""
        with socket.socket(socket.AF_UNIX) as connection:
            connection.settimeout(120)
            connection.connect(str(self.path))
            connection.sendall(frames.encode(message))
            return frames.decode_body(_exactly(connection, frames.body_length(_exactly(connection, 4))))

    def stop(self) -> None:
        """End it and read what it still said."""
        self.process.terminate()
        assert self.process.wait(120) == 0
        assert self.process.stdout is not None
        self.lines += self.process.stdout.read().splitlines()
        self.process.stdout.close()


def _exactly(connection: socket.socket, count: int) -> bytes:
    data = b""
    while len(data) < count:
        piece = connection.recv(count - len(data))
        assert piece, "the signer hung up"
        data += piece
    return data


def copy_tree(source: Path, target: Path) -> None:
    """A backup, or its restoration."""
    shutil.rmtree(target, ignore_errors=True)
    shutil.copytree(source, target)
