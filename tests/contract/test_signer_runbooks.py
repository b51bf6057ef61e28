"""In the runbooks about registries, every command …"""

from __future__ import annotations

import re
import shlex
from pathlib import Path
from typing import Final

import pytest

from custody.signer import registry as program
from fixtures.authenticator import Authenticator
from kernel import canonical, registration
from kernel.registry import Registry
from tests.contract.test_signer_registry import ordered
from tests.drafting import in_force

RUNBOOKS: Final = Path(__file__).resolve().parents[2] / "docs/runbooks"
PAGES: Final = ("next-registry", "add-an-officer", "new-signing-passkey", "change-a-lane-limit")
COMMAND: Final = re.compile(r"^ +\.venv-trusted/bin/python -m custody\.signer\.registry (.+)$", re.MULTILINE)
KEY: Final = Authenticator("55" * 32).public_key_hex


@pytest.mark.parametrize("page", PAGES)
def test_does_what_is_said_there(
    page: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    old = in_force()
    (tmp_path / "registry.json").write_bytes(old.encoded + b"\n")
    monkeypatch.chdir(tmp_path)
    known = {
        "DIGEST": old.digest.hex(),
        "PERSON": "01900000-0000-7000-8000-0000000000e5",
        "KEY": KEY,
        "FINGERPRINT": registration.fingerprint(bytes.fromhex(KEY)),
    }
    commands = COMMAND.findall((RUNBOOKS / f"{page}.md").read_text(encoding="utf-8"))
    assert commands
    for line in commands:
        words = [known.get(word, word) for word in shlex.split(line)]
        if words[0] == "verify":
            # What the console's page gave: the quorum's order of the version that was drafted above.
            order = ordered(Registry.parse((tmp_path / "next.json").read_bytes()))
            (tmp_path / "order.json").write_bytes(canonical.encode(order))
        assert program.main(words) == 0, capsys.readouterr().err
