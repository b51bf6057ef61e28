"""Small programs in the trusted environment that open a token: one process holds one PKCS#11 module."""

from __future__ import annotations

import subprocess
import textwrap
from pathlib import Path

from tests import vault as vaults

BEGIN = f"""
import pkcs11
from custody.signer.provision import Blank as Token
from custody.signer.refusals import Refused
from kernel import secp256k1
token = Token(module={vaults.MODULE!r}, name="hot-1", pin={vaults.PIN!r})
key = token.public_key(0)

def sign(index, digest, *, public_key):
    return token.sign_all([(index, digest, public_key)])[0]

def refusal(act):
    try:
        act()
    except Refused as error:
        return error.code
    raise SystemExit("not refused")
"""


def run(folder: Path, program: str, *, begin: str = BEGIN) -> subprocess.CompletedProcess[str]:
    """`begin` opens the token and has what programs share."""
    return subprocess.run(
        [str(vaults.TRUSTED_PYTHON), "-c", begin + textwrap.dedent(program)],
        env=vaults.environment(folder),
        cwd=vaults.ROOT,
        capture_output=True,
        text=True,
        check=False,
        timeout=240,
    )


def holds(folder: Path, program: str, *, begin: str = BEGIN) -> None:
    done = run(folder, program, begin=begin)
    assert done.returncode == 0, done.stderr + done.stdout
