"""The auditor of a development stack …"""

from __future__ import annotations

from pathlib import Path

from devstack import auditor
from devstack.layout import Layout
from tests.programs import COLD, SIGNER, VAULT, key_of


def test_is_handed_the_lines_of_every_program_and_of_the_cold_signers_whose_keys_were_noted(
    tmp_path: Path,
) -> None:
    where = Layout.of(tmp_path)
    where.watched_logs.write_text("".join(f"{key_of(log)} /a/socket\n" for log in (SIGNER, VAULT)))
    online = ["--lines", SIGNER, str(tmp_path / "signers/hot-1"), "--lines", VAULT, str(tmp_path / "vault")]
    told = ["--words", str(tmp_path / "auditor/words.txt")]
    assert auditor.lines(where) == [*online, *told]
    for _ in range(2):
        auditor.note_cold(where, str(key_of(COLD)))
    carried, keys = ["--lines", COLD, str(tmp_path / "signers/cold-1")], tmp_path / "auditor/cold.keys"
    assert auditor.lines(where) == [*online, *carried, "--cold-keys", str(keys), *told]
    assert keys.read_text() == f"{key_of(COLD)}\n"
