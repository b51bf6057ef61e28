"""The approver's process …"""

from __future__ import annotations

import http.client
import json
import os
import signal
import socket
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Final

import pytest

from custody.approver.server import BadPin, Pins, files
from kernel import canonical
from tests.vault import BEN, registry_document

ROOT: Final = Path(__file__).resolve().parents[2]
PYTHON: Final = ROOT / ".venv-trusted/bin/python"
HOST: Final = "approver.example.com"
PINS: Final = {
    "APPROVER_ORIGIN": f"https://{HOST}",
    "APPROVER_RP_ID": HOST,
    "CONSOLE_ORIGIN": "https://console.example.com",
    "DEPLOYMENT": 'de<mo>"',
}


class Unix(http.client.HTTPConnection):
    """HTTP over the socket."""

    def __init__(self, path: Path) -> None:
        super().__init__(HOST, timeout=60)
        self._path = path

    def connect(self) -> None:
        self.sock = socket.socket(socket.AF_UNIX)
        self.sock.connect(str(self._path))  # waits for a place where others have filled the queue
        self.sock.settimeout(60)


def command_for(path: Path) -> list[str]:
    """The approver at this socket, its log in a folder beside it."""
    state = path.parent / "state"
    state.mkdir(exist_ok=True)
    registry = path.parent / "registry.json"
    wallets = registry_document({})
    wallets["limits"]["window_units_max"] = {}
    registry.write_bytes(canonical.encode(wallets))
    command = [str(PYTHON), "-m", "custody.approver", "--socket", str(path), "--state", str(state)]
    command += ["--registry", str(registry), "--log-socket", str(path.parent / "log.sock")]
    return [*command, "--allow-uid", str(os.getuid())]


@contextmanager
def running(path: Path) -> Iterator[subprocess.Popen[bytes]]:
    command = command_for(path)
    environment = {"PATH": os.environ["PATH"], **PINS}
    with subprocess.Popen(command, cwd=ROOT, env=environment, stdout=subprocess.PIPE) as process:
        assert process.stdout is not None
        assert b"ready" in process.stdout.readline()
        try:
            yield process
        finally:
            process.terminate()


def ask(
    path: Path, target: str, *, method: str = "GET", host: str = HOST, **more: str
) -> tuple[int, dict[str, str], bytes]:
    connection = Unix(path)
    try:
        connection.putrequest(method, target, skip_host=True)
        connection.putheader("Host", host)
        for name, value in more.items():
            connection.putheader(name.replace("_", "-"), value)
        connection.endheaders()
        answer = connection.getresponse()
        return answer.status, dict(answer.getheaders()), answer.read()
    finally:
        connection.close()


def test_serves_its_files_under_the_strictest_policy_and_nothing_else(tmp_path: Path) -> None:
    path = tmp_path / "approver.sock"
    with running(path):
        status, headers, body = ask(path, "/")
        assert status == 200
        assert headers["Content-Security-Policy"].startswith("default-src 'none'; script-src 'self'; ")
        assert "connect-src 'self'" in headers["Content-Security-Policy"]
        assert "unsafe" not in headers["Content-Security-Policy"]
        assert headers["Permissions-Policy"].startswith("publickey-credentials-get=(self),")
        assert headers["Strict-Transport-Security"].startswith("max-age=")
        assert headers["Cache-Control"] == "no-store"
        assert b'content="de&lt;mo&gt;&quot;"' in body
        assert b"<script>" not in body
        assert b" style=" not in body
        assert "publickey-credentials-create=()" in headers["Permissions-Policy"]
        register, its_headers, page = ask(path, "/register")
        assert (register, b'content="de&lt;mo&gt;&quot;"' in page) == (200, True)
        may = its_headers.pop("Permissions-Policy")
        assert may.startswith("publickey-credentials-get=(), publickey-credentials-create=(self),")
        assert its_headers["Content-Security-Policy"] == headers["Content-Security-Policy"]
        for target, expected in (
            ("/acts.js", 200),
            ("/register.js", 200),
            ("/register.html", 404),
            ("/register?x=1", 404),
            ("/index.html", 404),
            ("/../server.py", 404),
        ):
            assert ask(path, target)[0] == expected
        assert ask(path, "/", host="console.example.com")[0] == 421
        assert ask(path, "/", method="HEAD")[::2] == (200, b"")
        assert {ask(path, target, method="POST")[0] for target in ("/", "/register")} == {404}
        held = ask(path, "/", Cf_Access_Jwt_Assertion="a.b.c", Cookie="CF_Authorization=a.b.c")
        assert held[::2] == (200, body), "a token of the edge changes nothing: it is not even looked at"
        assert "Set-Cookie" not in held[1]
        refused = ask(path, "/", method="PUT")
        assert refused[0] == 501
        assert refused[1]["Content-Security-Policy"] == headers["Content-Security-Policy"]


def test_names_an_officer_to_whoever_has_the_id_as_the_registry_on_its_host_does_now(tmp_path: Path) -> None:
    path, file = tmp_path / "approver.sock", tmp_path / "registry.json"
    with running(path):
        status, headers, body = ask(path, f"/officer/{BEN}")
        assert (status, json.loads(body)) == (200, {"name": "Ben", "registry": "1"})
        assert headers["Content-Type"] == "application/json"
        for nobody in ("", BEN[:-1], BEN.upper(), f"{BEN}?x", "../acts.js", "%2e"):
            assert ask(path, f"/officer/{nobody}")[0] == 404
        registry: dict[str, Any] = canonical.decode_object(file.read_bytes())
        registry["version"] = 2
        registry["officers"][BEN]["name"] = "Ben Brandt"
        file.with_suffix(".new").write_bytes(canonical.encode(registry))
        file.with_suffix(".new").rename(file)
        assert json.loads(ask(path, f"/officer/{BEN}")[2]) == {"name": "Ben Brandt", "registry": "2"}
        file.write_bytes(b"{}")
        assert ask(path, f"/officer/{BEN}")[0] == 503


@pytest.mark.parametrize(
    "request_",
    [
        "GET / HTTP/1.1\r\nHost: {host}\r\nContent-Length: {length}\r\n\r\n{hidden}",
        "HEAD / HTTP/1.1\r\nHost: {host}\r\nContent-Length: {length}\r\n\r\n{hidden}",
        "GET / HTTP/1.1\r\nHost: {host}\r\nTransfer-Encoding: chunked\r\n\r\n{hidden}",
    ],
)
def test_answers_no_request_that_is_hidden_in_another(tmp_path: Path, request_: str) -> None:
    """The edge sends many people's requests over one connection: an answer too many would be an officer's."""
    path = tmp_path / "approver.sock"
    hidden = f"GET /acts.js HTTP/1.1\r\nHost: {HOST}\r\n\r\n"
    sent = request_.format(host=HOST, hidden=hidden, length=len(hidden))
    with running(path), socket.socket(socket.AF_UNIX) as connection:
        connection.settimeout(60)
        connection.connect(str(path))
        connection.sendall(sent.encode())
        found = b""
        while piece := connection.recv(65536):
            found += piece
    assert found.count(b"HTTP/1.1 ") == 1
    assert b"text/javascript" not in found


def test_takes_over_a_dead_socket_never_a_living_one_and_leaves_none(tmp_path: Path) -> None:
    path = tmp_path / "approver.sock"
    with running(path) as first:
        second = subprocess.run(
            command_for(path),
            cwd=ROOT,
            env={"PATH": "", **PINS},
            capture_output=True,
            check=False,
            timeout=120,
        )
        assert (second.returncode, b"in use" in second.stderr) == (1, True)
        first.send_signal(signal.SIGKILL)
        first.wait()
    assert path.exists()
    with running(path) as third:
        assert ask(path, "/")[0] == 200
        third.send_signal(signal.SIGTERM)
        assert third.wait(timeout=60) == 0
    assert not path.exists()


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("origin", "approver.example.com"),
        ("origin", "https://approver.example.com/"),
        ("console_origin", ""),
        ("console_origin", "javascript:alert(1)"),
        ("rp_id", "example.org"),
        ("rp_id", "ver.example.com"),
        ("deployment", ""),
    ],
)
def test_does_not_start_on_a_pin_that_is_none(name: str, value: str) -> None:
    good = dict(zip(("origin", "rp_id", "console_origin", "deployment"), PINS.values(), strict=True))
    assert "/" in files(Pins(**good))
    with pytest.raises(BadPin):
        Pins(**{**good, name: value})


def test_imports_of_ours_the_kernel_alone() -> None:
    probe = (
        "import sys; before = set(sys.modules); import custody.approver.__main__; "
        "print(*sorted({name for name in set(sys.modules) - before}))"
    )
    done = subprocess.run([str(PYTHON), "-c", probe], cwd=ROOT, capture_output=True, text=True, check=True)
    loaded = {name.split(".")[0] for name in done.stdout.split()}
    ours = {name for name in done.stdout.split() if name.split(".")[0] == "custody"}
    parts = ("__main__", "log", "officers", "rejections", "seated", "server", "suspensions", "watching")
    assert ours == {"custody", "custody.approver", *(f"custody.approver.{name}" for name in parts)}
    assert loaded.isdisjoint({"core", "django", "pkcs11"})
