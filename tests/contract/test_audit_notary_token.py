"""The notary's token …

Each test is a small program in the trusted environment, since one process holds one PKCS#11 module; its token
is SoftHSM behind a module that fails as hardware does (devstack/standins/token.c).
"""

from __future__ import annotations

import subprocess
import textwrap
from pathlib import Path

import pytest

from devstack.standins import token as standin
from tests import vault as vaults

BEGIN = """
import sys
from pathlib import Path
from core.audit.notary.token import BadToken, Token
from devstack.standins.token import order
orders, logins = Path(sys.argv[2]), Path(sys.argv[2] + ".logins")
order(orders)
token = Token(module=sys.argv[1], name="notary", pin=sys.argv[3])
token.check()

def refusal():
    try:
        token.sign(b"head")
    except BadToken as error:
        return str(error)
    raise SystemExit("not refused")
"""


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("notary")
    standin.build(path, real=vaults.MODULE)
    vaults.make_token(path, "notary", count=0)
    vaults.initialise(path, "notary-b", count=0)
    for name in ("notary", "notary-b"):
        (path / f"state-{name}").mkdir()
        done = vaults.run(path, "core.audit.notary", "provision", *arguments(path, name))
        assert done.returncode == 0, done.stdout + done.stderr
    return path


def arguments(path: Path, name: str = "notary") -> list[str]:
    module = ["--token", name, "--module", str(path / "token.so")]
    return [*module, "--origin", "countersign/test/audit", "--state", str(path / f"state-{name}")]


def holds(folder: Path, program: str) -> None:
    orders = folder / "orders"
    done = subprocess.run(
        [
            *(str(vaults.TRUSTED_PYTHON), "-c", BEGIN + textwrap.dedent(program)),
            *(str(folder / "token.so"), str(orders), vaults.PIN),
        ],
        env={**vaults.environment(folder), standin.ORDERS: str(orders)},
        cwd=vaults.ROOT,
        capture_output=True,
        text=True,
        check=False,
        timeout=240,
    )
    assert done.returncode == 0, done.stderr + done.stdout


def test_is_refused_while_it_is_away_or_fails_and_signs_again_when_it_is_back(folder: Path) -> None:
    holds(
        folder,
        """
        for trouble in ({"away": 1}, {"sign": 0x30, "logout": 0x30}, {"sign": 0x31, "login": 0x06}):
            order(orders, **trouble)
            refusal(), refusal()
            order(orders, slot=7)
            token.sign(b"head")
            order(orders)
        order(orders, wrong=1)
        assert refusal() == "notary made a wrong signature"
        order(orders)
        token.sign(b"head")
        """,
    )


def test_is_no_other_token_of_its_name_and_no_other_key(folder: Path) -> None:
    holds(
        folder,
        """
        for other, said in (({"serial": "2a"}, "another token"), ({"instead": "notary-b"}, "another key")):
            order(orders, away=1)
            refusal()
            order(orders, **other)
            assert said in refusal() and said in refusal()
        order(orders)
        token.sign(b"head")
        """,
    )


def test_is_shown_a_pin_that_it_refused_once_and_never_again(folder: Path) -> None:
    holds(
        folder,
        """
        order(orders, away=1)
        refusal()
        order(orders, login=0xA0)
        before = len(logins.read_bytes())
        for _ in range(4):
            assert "refused the PIN" in refusal()
        order(orders)
        assert "start the notary again" in refusal()
        assert len(logins.read_bytes()) == before + 1
        """,
    )


def test_is_shown_a_wrong_pin_by_no_supervisor_that_starts_the_notary_again_and_again(folder: Path) -> None:
    notary = subprocess.Popen(
        [
            *(str(vaults.TRUSTED_PYTHON), "-m", "core.audit.notary", "serve", *arguments(folder)),
            *("--socket", str(folder / "notary.sock")),
        ],
        env=vaults.environment(folder),
        cwd=vaults.ROOT,
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    )
    with notary:
        assert notary.stdin is not None
        assert notary.stdout is not None
        notary.stdin.write("0000\n")
        notary.stdin.flush()
        assert notary.stdout.readline().startswith("notary locked: notary refused the PIN")
        assert notary.poll() is None
        notary.terminate()
        assert notary.wait(60) == 0


def test_signs_with_no_key_that_could_have_left_it(folder: Path) -> None:
    """Every property that is asked for is looked at: here each is wanted the other way round."""
    holds(
        folder,
        """
        from core.audit.notary import token as itself

        for one, value in list(itself._EXPECTED.items()):
            itself._EXPECTED = {one: not value}
            try:
                token.check()
            except BadToken as error:
                assert f"is weak: {one.name}" in str(error), error
            else:
                raise SystemExit("not refused")
        """,
    )


def test_is_opened_by_no_name_that_two_have(folder: Path) -> None:
    """Whoever plugs in a second one does not have the notary choose between them."""
    holds(
        folder,
        """
        class Twice:
            label, serial = "notary", token._serial

            def get_slots(self, token_present):
                return [self, self]

            def get_token(self):
                return self

            def open(self, **_):
                raise SystemExit("not refused")

        token._library = Twice()
        try:
            token._log_in()
        except BadToken as error:
            assert str(error) == "2 tokens are named notary", error
        """,
    )
