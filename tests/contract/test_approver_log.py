"""The approver's own log …"""

from __future__ import annotations

import json
import os
import signal
import socket
import subprocess
import time
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Final

import pytest
from cryptography.hazmat.primitives.asymmetric.utils import decode_dss_signature, encode_dss_signature

from core.audit.programs import lines as outside
from core.audit.programs.words import say
from custody.approver.log import P256_ORDER, STRANGERS_PER_HOUR
from custody.approver.server import PLACES
from fixtures.authenticator import Authenticator
from kernel import canonical, encodings, frames, merkle, note
from kernel.approval import Statement, Verb
from kernel.seats import PER_USER
from tests.contract.test_approver_server import PYTHON, ROOT, Unix
from tests.vault import BEN, DEPLOYMENT, KEYS, registry_document

ORIGIN: Final = "http://approver.localhost:8000"
PINS: Final = {
    "APPROVER_ORIGIN": ORIGIN,
    "APPROVER_RP_ID": "approver.localhost",
    "CONSOLE_ORIGIN": "http://console.localhost:8000",
    "DEPLOYMENT": DEPLOYMENT,
}
REQUEST: Final = "01900000-0000-7000-8000-00000000abcd"
RIA: Final = "01900000-0000-7000-8000-0000000000e5"
SAM: Final = "01900000-0000-7000-8000-0000000000f6"


@dataclass
class Approver:
    """The process, its folder, and a way to ask it."""

    folder: Path
    process: subprocess.Popen[bytes]

    def hand_in(
        self, body: bytes, *, origin: str = ORIGIN, host: str = "approver.localhost:8000", claims: int = 0
    ) -> int:
        """The status; a body that only claims its length is refused before it is sent."""
        connection = Unix(self.folder / "approver.sock")
        try:
            connection.putrequest("POST", "/log", skip_host=True)
            for name, value in (
                ("Host", host),
                ("Origin", origin),
                ("Content-Length", str(claims or len(body))),
            ):
                connection.putheader(name, value)
            connection.endheaders(body)
            answer = connection.getresponse()
            self.said = answer.read().decode().strip()
            return answer.status
        finally:
            connection.close()

    def ask(self, **message: Any) -> dict[str, Any]:
        """One question on the log's own socket."""
        with socket.socket(socket.AF_UNIX) as connection:
            connection.connect(str(self.folder / "log.sock"))
            connection.settimeout(60)
            with suppress(ConnectionError):
                connection.sendall(frames.encode({"v": 1, **message}))
            data = b""
            with suppress(ConnectionError):  # hung up on: nothing came
                while piece := connection.recv(65536):
                    data += piece
                    if len(data) > 4 and len(data) == 4 + frames.body_length(data[:4]):
                        break
            return frames.decode_body(data[4:]) if data else {}

    @property
    def lines(self) -> list[dict[str, Any]]:
        return [json.loads(line) for line in self.file.read_text().splitlines()]

    @property
    def file(self) -> Path:
        return self.folder / "state" / "signatures.jsonl"


PATIENT: Final = """
from custody.approver import server, watching
from custody.approver.__main__ import main
server.Handler.timeout = watching.IDLE_S = 3600.0
raise SystemExit(main())
"""
"""The approver as it is, but that no peer is hung up on for its silence alone."""


@contextmanager
def running(
    folder: Path,
    *,
    uid: int | None = None,
    program: Sequence[str] = ("-m", "custody.approver"),
    **changes: Any,
) -> Iterator[Approver]:
    state, registry = folder / "state", folder / "registry.json"
    state.mkdir(exist_ok=True)
    document = registry_document({}, **changes)
    document["limits"]["window_units_max"] = {}
    registry.write_bytes(canonical.encode(document))
    command = [str(PYTHON), *program, "--socket", str(folder / "approver.sock")]
    command += ["--state", str(state), "--registry", str(registry)]
    command += ["--log-socket", str(folder / "log.sock")]
    command += ["--allow-uid", str(os.getuid() if uid is None else uid)]
    environment = {"PATH": os.environ["PATH"], **PINS}
    with subprocess.Popen(
        command, cwd=ROOT, env=environment, stdout=subprocess.PIPE, stderr=subprocess.PIPE
    ) as process:
        assert process.stdout is not None
        assert process.stderr is not None
        line = process.stdout.readline()
        assert b"ready" in line, process.stderr.read()
        try:
            yield Approver(folder, process)
        finally:
            process.terminate()


def given(key: Authenticator = KEYS[BEN], *, payload: bytes = b"{}", **changes: Any) -> bytes:
    """What the page hands in after a passkey has signed."""
    said = Statement(Verb.APPROVE, "custody.withdrawal", DEPLOYMENT, b"\x07" * 32, canonical.digest(payload))
    said = replace(said, **changes.pop("said", {}))
    made = key.assertion(said.challenge(), origin=ORIGIN, rp_id="approver.localhost")
    members = {
        "request": REQUEST,
        "verb": said.verb.value,
        "kind": said.kind,
        "deployment": said.deployment,
        "nonce": said.nonce.hex(),
        "digest": said.digest.hex(),
        "credential_id": key.credential_id,
        "authenticator_data": encodings.base64url(made.authenticator_data),
        "client_data": encodings.base64url(made.client_data),
        "signature": encodings.base64url(made.signature),
    }
    return canonical.encode({**members, **changes})


def test_writes_down_whose_passkey_signed_what_and_each_signature_once(tmp_path: Path) -> None:
    with running(tmp_path) as approver:
        first, second = given(), given(payload=b'{"v":1}')
        before_ms = time.time_ns() // 10**6
        assert [approver.hand_in(body) for body in (first, second, first)] == [200, 200, 200]
        assert approver.said == "0"
        lines = approver.lines
        assert [line["officer"] for line in lines] == [BEN, BEN]
        assert lines[0]["digest"] == canonical.digest(b"{}").hex()
        assert (lines[0]["request"], lines[0]["verb"]) == (REQUEST, "approve")
        assert before_ms <= int(lines[0]["at_ms"]) <= time.time_ns() // 10**6


def test_writes_down_no_second_act_that_somebody_made_of_an_officers_signature(tmp_path: Path) -> None:
    """Of one ECDSA signature anybody makes another that holds: Ben must not seem to have signed twice."""
    with running(tmp_path) as approver:
        body = given()
        assert approver.hand_in(body) == 200
        said = canonical.decode_object(body)
        r, s = decode_dss_signature(encodings.from_base64url(str(said["signature"])))
        other = encodings.base64url(encode_dss_signature(r, P256_ORDER - s))
        forged = canonical.encode({**said, "signature": other, "request": RIA})
        assert approver.hand_in(forged) == 200
        assert (approver.said, len(approver.lines)) == ("0", 1)


def test_shows_witnesses_heads_that_only_grow(tmp_path: Path) -> None:
    with running(tmp_path) as approver:
        approver.hand_in(given())
        older = approver.ask(type="log_head")
        for number in range(4):
            approver.hand_in(given(payload=b'{"n":%d}' % number))
        newer = approver.ask(type="log_head")
        key = note.Verifier.parse((tmp_path / "state" / "log-key.txt").read_text())
        assert newer["key"] == str(key)
        old, new = (note.Checkpoint.parse(note.open_note(one["note"], by=key)) for one in (older, newer))
        assert (old.origin, old.size, new.size) == (f"{DEPLOYMENT}/approver", 1, 5)
        proof = approver.ask(type="log_proof", old=1, size=5)["hashes"]
        merkle.verify_consistency(
            [bytes.fromhex(one) for one in proof], size=1, root=old.root, new_size=5, new_root=new.root
        )
        told, marks = list[str](), [outside.Mark(one.size, one.root, "its key signed") for one in (old, new)]
        reading = outside.Reading(key.name)
        reading.read(outside.bodies(tmp_path / "state"), marks, lambda line: told.append(say(line)))
        assert all(f"officer {BEN} signed approve of custody.withdrawal" in line for line in told)
        assert (reading.tree.size, len(told)) == (5, 5)
        entries = approver.ask(type="log_entries", start=0, end=5)["lines"]
        assert merkle.root(merkle.leaf(line.encode()) for line in entries) == new.root
        assert approver.ask(type="log_entries", start=1, end=3)["lines"] == entries[1:3]
        beyond: dict[str, Any] = {"type": "log_proof", "old": 4, "size": 9}
        for wrong in (
            beyond,
            {"type": "sign"},
            {"type": "log_head", "x": 1},
            {"type": "log_head", "v": True},
        ):
            assert approver.ask(**wrong) == {}


def test_speaks_to_nobody_but_the_collector(tmp_path: Path) -> None:
    with running(tmp_path, uid=os.getuid() + 1) as approver:
        assert approver.ask(type="log_head") == {}


def test_takes_nothing_from_another_page_or_about_another_deployment(tmp_path: Path) -> None:
    with running(tmp_path) as approver:
        assert approver.hand_in(b"", origin="http://console.localhost:8000") == 403
        assert approver.hand_in(b"", host="console.localhost:8000") == 421
        assert approver.hand_in(given(said={"deployment": "elsewhere"})) == 422
        assert approver.hand_in(given(verb="execute")) == 422
        assert approver.hand_in(given(more="x")) == 422
        assert approver.hand_in(given(request=7)) == 422
        assert approver.hand_in(b"{}") == 422
        assert approver.hand_in(b"", claims=64 * 1024 + 1) == 413
        assert approver.lines == []


def test_marks_strangers_and_lets_them_fill_no_disk(tmp_path: Path) -> None:
    stranger = Authenticator()
    with running(tmp_path) as approver:
        for number in range(STRANGERS_PER_HOUR):
            assert approver.hand_in(given(stranger, payload=b'{"n":%d}' % number)) == 200
        assert approver.hand_in(given(stranger)) == 429
        assert approver.hand_in(given()) == 200
        assert [line["officer"] for line in approver.lines] == [""] * STRANGERS_PER_HOUR + [BEN]


def test_takes_recovery_officers_signatures_however_many_strangers_came(tmp_path: Path) -> None:
    """Anybody on the Internet is a stranger: they must not be able to keep a recovery from being signed."""
    ria, sam = Authenticator("e5" * 32), Authenticator("f6" * 32)
    named = {RIA: ("Ria", ria), SAM: ("Sam", sam)}
    people = {who: {"name": name, "public_key": key.public_key_hex} for who, (name, key) in named.items()}
    recovery = {"officers": people, "quorum": 2, "delay_s": 3 * 86_400}
    with running(tmp_path, recovery=recovery) as approver:
        for number in range(STRANGERS_PER_HOUR):
            approver.hand_in(given(Authenticator("99" * 32), payload=b'{"n":%d}' % number))
        assert [approver.hand_in(given(key)) for key in (ria, sam)] == [200, 200]
        assert [line["officer"] for line in approver.lines[-2:]] == [RIA, SAM]


def test_outlives_a_kill_and_cuts_what_was_torn(tmp_path: Path) -> None:
    with running(tmp_path) as approver:
        approver.hand_in(given())
        approver.process.send_signal(signal.SIGKILL)
        approver.process.wait()
        with approver.file.open("ab") as file:
            file.write(b'{"assertion":"ab')
    with running(tmp_path) as approver:
        assert approver.hand_in(given(payload=b'{"n":1}')) == 200
        assert approver.said == "1"
        assert len(approver.lines) == 2


def test_is_not_written_on_once_it_is_damaged(tmp_path: Path) -> None:
    with running(tmp_path) as approver:
        approver.hand_in(given())
        file = approver.file
    file.write_bytes(b"rubbish\n" + file.read_bytes())
    with pytest.raises(AssertionError, match="line 1 of"), running(tmp_path):
        pass


def test_and_the_page_stay_open_to_others_however_many_connections_are_held(tmp_path: Path) -> None:
    """Of one user the longest silent is hung up on: of a worker that was taken over, or of the tunnel."""
    with running(tmp_path, program=("-c", PATIENT)) as approver:
        for name, places in (("log.sock", PER_USER), ("approver.sock", PLACES)):
            with ExitStack() as held:
                silent = [held.enter_context(socket.socket(socket.AF_UNIX)) for _ in range(places + 5)]
                for one in silent:
                    one.connect(str(tmp_path / name))
                    one.settimeout(60)
                assert [one.recv(1) for one in silent[:5]] == [b""] * 5
                assert approver.ask(type="log_head")["type"] == "log_head"
                assert approver.hand_in(given(payload=name.encode())) == 200


@pytest.mark.parametrize("second", ["Transfer-Encoding: chunked", "Content-Length: {whole}"])
def test_takes_no_signature_whose_end_two_readers_could_see_in_two_places(
    tmp_path: Path, second: str
) -> None:
    """Behind it would stand a request that the edge has not seen, and whose answer somebody else gets."""
    body, hidden = given(), b"GET /acts.js HTTP/1.1\r\nHost: approver.localhost:8000\r\n\r\n"
    head = ("POST /log HTTP/1.1", "Host: approver.localhost:8000", f"Origin: {ORIGIN}")
    length = f"Content-Length: {len(body)}"
    said = "\r\n".join((*head, length, second.format(whole=len(body + hidden)), "", "")).encode()
    with running(tmp_path) as approver, socket.socket(socket.AF_UNIX) as connection:
        connection.settimeout(60)
        connection.connect(str(tmp_path / "approver.sock"))
        connection.sendall(said + body + hidden)
        found = b""
        with suppress(ConnectionError):
            while piece := connection.recv(65536):
                found += piece
        assert found.startswith(b"HTTP/1.1 400 ")
        assert found.count(b"HTTP/1.1 ") == 1
        assert approver.lines == []
