"""A token of a signer …

Each test is a small program in the trusted environment, since one process holds one PKCS#11 module.
"""

from __future__ import annotations

import subprocess
import textwrap
from pathlib import Path

import pytest

from tests import vault as vaults
from tests.opened import holds


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("token")
    vaults.make_token(path, "hot-1", count=2)
    return path


def test_signs_32_bytes_in_strict_der_with_low_s(folder: Path) -> None:
    holds(
        folder,
        """
        for number in range(60):
            digest = bytes([number]) * 32
            secp256k1.verify(key, digest, sign(0, digest, public_key=key))
        for length in (0, 20, 31, 33, 64):
            assert refusal(lambda: sign(0, b"x" * length, public_key=key)) == "SIGNER_TOKEN_FAILED"
        """,
    )


def test_lets_no_signature_out_that_is_not_by_the_pinned_key(folder: Path) -> None:
    holds(
        folder,
        """
        other = token.public_key(1)
        assert refusal(lambda: sign(0, b"x" * 32, public_key=other)) == "SIGNER_BAD_SIGNATURE"
        assert refusal(lambda: token.check_key(0, public_key=other)) == "SIGNER_KEY_MISSING"
        assert refusal(lambda: token.check_key(7, public_key=other)) == "SIGNER_KEY_MISSING"
        """,
    )


def test_logs_in_again_when_the_login_was_lost(folder: Path) -> None:
    holds(
        folder,
        """
        other = token.public_key(1)
        sign(0, b"x" * 32, public_key=key)
        token.write(b'{"hash":"00","n":1}')
        for _ in range(3):
            token._session.close()  # C_Logout: every handle of a private key is gone with it
            sign(0, b"x" * 32, public_key=key)
            token._session.close()
            sign(1, b"x" * 32, public_key=other)
            token._session.close()
            assert token.read() == b'{"hash":"00","n":1}'
        """,
    )


def test_tries_a_refused_pin_once_and_never_again(folder: Path) -> None:
    holds(
        folder,
        """
        attempts = []
        real = token._log_in
        token._log_in = lambda pin: (attempts.append(pin), real("9999"))[1]
        token._session.close()
        for _ in range(5):
            assert refusal(lambda: sign(0, b"x" * 32, public_key=key)) == "SIGNER_TOKEN_FAILED"
        assert len(attempts) == 1, attempts
        """,
    )


def test_is_not_opened_through_a_module_that_somebody_initialised_without_locks(folder: Path) -> None:
    program = f"""
        import ctypes
        assert ctypes.CDLL({vaults.MODULE!r}).C_Initialize(None) == 0
        from custody.signer.session import WrongToken
        from custody.signer.tokens import Token
        try:
            Token(module={vaults.MODULE!r}, name="hot-1", pin={vaults.PIN!r})
        except WrongToken as error:
            assert "0x191" in str(error), error
            raise SystemExit(0)
        raise SystemExit(1)
    """
    holds(folder, program, begin="")


def test_bears_several_processes_that_log_in_at_once(folder: Path) -> None:
    """A login rewrites the token's file; who reads it in that moment finds no token, or a broken one."""
    program = f"""
        from custody.signer.provision import Blank as Token
        for _ in range(4):
            token = Token(module={vaults.MODULE!r}, name="hot-1", pin={vaults.PIN!r})
            token.sign_all([(0, b"x" * 32, token.public_key(0))])
            token.close()
    """
    racing = [
        subprocess.Popen(
            [str(vaults.TRUSTED_PYTHON), "-c", textwrap.dedent(program)],
            env=vaults.environment(folder),
            cwd=vaults.ROOT,
            stderr=subprocess.PIPE,
        )
        for _ in range(4)
    ]
    said = [process.communicate(timeout=240)[1].decode() for process in racing]
    assert [process.returncode for process in racing] == [0] * 4, said


def test_verifies_many_signatures_while_it_makes_them_and_lets_none_out_before(folder: Path) -> None:
    holds(
        folder,
        """
        other = token.public_key(1)
        wanted = [(number % 2, bytes([number]) * 32, (key, other)[number % 2]) for number in range(40)]
        for (_, digest, public), der in zip(wanted, token.sign_all(wanted), strict=True):
            secp256k1.verify(public, digest, der)
        wanted[7] = (1, wanted[7][1], key)  # the one key's signature for the other's
        assert refusal(lambda: token.sign_all(wanted)) == "SIGNER_BAD_SIGNATURE"
        wanted[7] = (1, b"short", other)
        assert refusal(lambda: token.sign_all(wanted)) == "SIGNER_TOKEN_FAILED"
        """,
    )


def test_signs_in_several_threads_at_once_and_bears_that_the_login_is_lost_under_them(folder: Path) -> None:
    holds(
        folder,
        """
        import threading
        from concurrent.futures import ThreadPoolExecutor
        other, together = token.public_key(1), threading.Barrier(4)

        def work(thread):
            for number in range(12):
                together.wait(60)
                if thread == 0 and number % 4 == 2:
                    with token._alone:
                        token._session.close()  # C_Logout
                if thread == 3:
                    token.write(b'{"hash":"00","n":%d}' % number)
                    assert token.read() == b'{"hash":"00","n":%d}' % number
                    continue
                wanted = [(one % 2, bytes([one, thread]) * 16, (key, other)[one % 2]) for one in range(6)]
                for (_, digest, public), der in zip(wanted, token.sign_all(wanted), strict=True):
                    secp256k1.verify(public, digest, der)

        with ThreadPoolExecutor(4) as pool:
            list(pool.map(work, range(4)))
        assert 1 <= len(token._idle) <= 3
        token.forget()
        """,
    )


def test_always_keeps_a_whole_anchor_and_gives_the_newest_back(folder: Path) -> None:
    holds(
        folder,
        """
        from pkcs11 import Attribute
        assert token.read() is None
        for number in (1, 2, 300):
            token.write(b'{"hash":"00","n":%d}' % number)
        said = sorted(found[Attribute.LABEL] for found in token._anchors())
        assert said == ['2 {"hash":"00","n":2}', '3 {"hash":"00","n":300}']
        assert token.read() == b'{"hash":"00","n":300}'
        # Ended in the middle of writing: the other is whole, and the next one takes the broken one's place.
        newest = max(token._anchors(), key=lambda found: len(found[Attribute.LABEL]))
        newest[Attribute.LABEL] = '3 {"hash":"00"'
        token._found.clear()
        assert token.read() == b'{"hash":"00","n":2}'
        token.write(b'{"hash":"00","n":301}')
        assert token.read() == b'{"hash":"00","n":301}'
        # Lines were lost, and officers reopened it: they begin again, and no older anchor outlives that.
        for number in (0, 1):
            token.write(b'{"hash":"11","n":%d}' % number)
            token._found.clear()
            assert token.read() == b'{"hash":"11","n":%d}' % number
        assert all('"hash":"11"' in found[Attribute.LABEL] for found in token._anchors())
        # Anchors of an earlier version have the number of their line alone.
        for place, found in enumerate(token._anchors()):
            found[Attribute.LABEL] = '{"hash":"00","n":%d}' % (8 + place)
        assert token.read() == b'{"hash":"00","n":9}'
        token.write(b'{"hash":"22","n":0}')
        assert token.read() == b'{"hash":"22","n":0}'
        assert len(list(token._anchors())) == 2
        token.forget()
        assert token.read() is None
        """,
    )


def test_is_opened_by_its_own_name_and_pin_only(folder: Path) -> None:
    for name, pin in (("hot-2", vaults.PIN), ("hot-1", "0000"), ("", vaults.PIN)):
        program = f"""
            from custody.signer.session import WrongToken
            from custody.signer.tokens import Token
            try:
                Token(module={vaults.MODULE!r}, name={name!r}, pin={pin!r})
            except WrongToken:
                raise SystemExit(0)
            raise SystemExit(1)
        """
        holds(folder, program, begin="")
