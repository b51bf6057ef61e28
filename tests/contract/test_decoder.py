"""The offline decoder, run as its program on a machine without a network, …"""

from __future__ import annotations

import os
import stat
import subprocess
from pathlib import Path
from typing import Final

import pytest
import segno

from custody.decoder.__main__ import describe
from custody.decoder.requests import Request
from kernel import canonical, confirmation, encodings
from kernel.approval import Statement, Verb
from kernel.intent import Intent
from tests.messages import withdrawal
from tests.vault import DEPLOYMENT, ROOT

PYTHON: Final = ROOT / ".venv-decoder/bin/python"
NONCE: Final = b"\x07" * 32
PASSPHRASE: Final = "correct horse"
# Not even loopback is up in a network namespace of its own; without root the program simply runs.
OFFLINE: Final = ["unshare", "--net", "--"] if os.geteuid() == 0 else []


def run(*arguments: str, typed: str = "") -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [*OFFLINE, str(PYTHON), "-m", "custody.decoder", *arguments],
        cwd=ROOT,
        env={"PATH": os.environ["PATH"]},
        input=typed,
        capture_output=True,
        text=True,
        check=False,
        timeout=240,
    )


def asked(intent: Intent, **changes: str) -> str:
    """The text of the approver page's QR code."""
    members = {
        "deployment": DEPLOYMENT,
        "kind": intent.kind,
        "nonce": NONCE.hex(),
        "payload": encodings.base64url(intent.encoded()),
    }
    return canonical.encode({**members, **changes}).decode()


def statement_of(intent: Intent) -> Statement:
    return Statement(Verb.APPROVE, intent.kind, DEPLOYMENT, NONCE, canonical.digest(intent.encoded()))


@pytest.fixture
def key(tmp_path: Path) -> tuple[Path, bytes]:
    path = tmp_path / "decoder.pem"
    made = run("key", "--out", str(path), typed=PASSPHRASE + "\n")
    assert made.returncode == 0, made.stderr
    return path, bytes.fromhex(made.stdout.strip())


def test_keeps_its_key_to_itself_and_makes_no_second_over_it(key: tuple[Path, bytes]) -> None:
    path, _ = key
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert b"ENCRYPTED" in path.read_bytes()
    assert run("key", "--out", str(path), typed="another\n").returncode == 1
    assert run("key", "--out", str(path.with_name("bare.pem")), typed="\n").returncode == 1


def test_says_what_a_request_asks_for(key: tuple[Path, bytes]) -> None:
    intent = withdrawal(destination_label="Tom's \u202ewallet")
    shown = run("show", typed=asked(intent) + "\n")
    assert shown.returncode == 0, shown.stderr
    assert "pays      0.25 BTC" in shown.stdout
    assert intent.destination in shown.stdout.replace(" ", "")
    assert "Tom's ?wallet" in shown.stdout
    assert canonical.digest(intent.encoded()).hex() in shown.stdout.replace(" ", "")


def test_shows_no_line_that_somebody_else_wrote_as_one_of_its_own() -> None:
    """A terminal breaks long lines; where, whoever named the address could count."""
    label = "Tom".ljust(67) + "  out of    cold, fee at most 0 BTC".ljust(80) + "\u3164"
    shown = list(describe(Request.parse(asked(withdrawal(destination_label=label)))))
    assert [line for line in shown if line.startswith("  out of  ")] == [
        "  out of    hot, fee at most 0.00005 BTC"
    ]
    own = [line for line in shown if line.startswith(("  known as  ", "          | "))]
    assert max(map(len, own)) <= 80
    assert "".join(line[12:] for line in own) == label.replace("\u3164", "?")


def test_confirms_what_it_showed_and_the_page_shows_too(key: tuple[Path, bytes], tmp_path: Path) -> None:
    path, public = key
    intent = withdrawal()
    picture = tmp_path / "photo.png"
    segno.make(asked(intent), error="l", mode="byte").save(str(picture), scale=4)
    digest = canonical.digest(intent.encoded()).hex()
    done = run("confirm", "--key", str(path), "--image", str(picture), typed=f"{digest[:8]}\n{PASSPHRASE}\n")
    assert done.returncode == 0, done.stderr
    text = done.stdout.split("CONFIRMED ")[1].strip()
    confirmation.verify(encodings.from_base64url(text), statement=statement_of(intent), key=public)
    with pytest.raises(confirmation.BadConfirmation):
        confirmation.verify(encodings.from_base64url(text), statement=statement_of(withdrawal()), key=public)


@pytest.mark.parametrize("typed", ["00000000\ncorrect horse\n", "\n", "{digest}\nwrong\n"])
def test_confirms_nothing_else(key: tuple[Path, bytes], typed: str) -> None:
    intent = withdrawal()
    digest = canonical.digest(intent.encoded()).hex()
    given = asked(intent) + "\n" + typed.format(digest=digest[:8])
    done = run("confirm", "--key", str(key[0]), typed=given)
    assert done.returncode == 1
    assert "CONFIRMED" not in done.stdout
    assert "NOT CONFIRMED" in done.stderr


def test_reads_no_request_but_a_payments() -> None:
    intent = withdrawal()
    freeze = canonical.encode({"v": 1, "kind": "signer.freeze"})
    for text in (
        "",
        "{}",
        asked(intent) + "x",
        asked(intent, kind="custody.refill"),
        asked(intent, deployment="elsewhere"),
        asked(intent, nonce="00"),
        asked(intent, payload=encodings.base64url(intent.encoded() + b" ")),
        asked(intent, payload=encodings.base64url(freeze), kind="signer.freeze"),
        asked(intent, more="x"),
    ):
        done = run("show", typed=text + "\n")
        assert (done.returncode, done.stdout) == (1, ""), text
        assert "NOT CONFIRMED" in done.stderr


def test_is_made_of_the_kernel_and_nothing_else_of_ours() -> None:
    probe = (
        "import sys, custody.decoder.__main__, custody.decoder.requests, zxingcpp, PIL, segno\n"
        "print(sorted(n for n in sys.modules if n.split('.')[0] in ('core', 'custody', 'django', 'kyc')))"
    )
    done = subprocess.run(
        [str(PYTHON), "-c", probe], cwd=ROOT, capture_output=True, text=True, check=True, timeout=240
    )
    parts = [f"custody.decoder.{name}" for name in ("__main__", "keys", "requests")]
    ours = ["custody", "custody.decoder", *parts]
    assert done.stdout.strip() == str(ours)
