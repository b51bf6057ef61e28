"""A token of a signer …

Each test is a small program in the trusted environment, since one process holds one PKCS#11 module.
"""

from __future__ import annotations

import argparse
import subprocess
import textwrap
from pathlib import Path

import pytest

from custody.signer import starting
from tests import vault as vaults
from tests.vault import Vault

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


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("token")
    vaults.make_token(path, "hot-1", count=2)
    return path


def run(folder: Path, program: str, *, begin: str = BEGIN) -> subprocess.CompletedProcess[str]:
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


def test_says_that_its_keys_were_made_inside_and_can_never_leave(folder: Path) -> None:
    holds(
        folder,
        """
        from pkcs11 import Attribute, KeyType, MechanismFlag, ObjectClass
        private = token._key_with(b'\\x00\\x00')
        from custody.signer.tokens import EXPECTED
        for attribute, value in EXPECTED.items():
            assert bool(private[attribute]) is value, attribute
        for attribute in (Attribute.VALUE,):
            try:
                private[attribute]
                raise SystemExit("the token gave the private key away")
            except pkcs11.PKCS11Error:
                pass
        # Not even wrapped under a key that the thief brought along.
        wrapping = token._session.generate_key(
            KeyType.AES, 256, store=False, capabilities=MechanismFlag.WRAP | MechanismFlag.UNWRAP
        )
        try:
            wrapping.wrap_key(private)
            raise SystemExit("the token wrapped the private key")
        except pkcs11.PKCS11Error:
            pass
        try:
            private[Attribute.EXTRACTABLE] = True
            raise SystemExit("the attribute was changed")
        except pkcs11.PKCS11Error:
            pass
        """,
    )


def test_with_a_key_that_could_leave_or_ever_could_is_not_used(tmp_path: Path) -> None:
    """Each attribute for itself: what a key is now, what it was before, and where it was made."""
    vaults.make_token(tmp_path, "hot-1", count=1)
    holds(
        tmp_path,
        """
        from pkcs11 import Attribute, KeyType, MechanismFlag, ObjectClass
        from custody.signer.tokens import SECP256K1, _PRIVATE

        def weak(identifier, now, **after):
            parameters = token._session.create_domain_parameters(
                KeyType.EC, {Attribute.EC_PARAMS: SECP256K1}, local=True
            )
            _, made = parameters.generate_keypair(
                store=True, label="weak", id=identifier, private_template={**_PRIVATE, **now},
                capabilities=MechanismFlag.SIGN | MechanismFlag.VERIFY,
            )
            for name, value in after.items():
                made[Attribute[name]] = value

        def faults(index):
            try:
                token.check_key(index, public_key=token.public_key(index))
            except Refused as error:
                assert error.code == "SIGNER_KEY_WEAK", error
                return error.detail.partition(": ")[2]

        assert faults(0) is None
        loose, shown = {Attribute.MODIFIABLE: True}, {Attribute.SENSITIVE: False}
        weak(b"\\x00\\x01", {Attribute.EXTRACTABLE: True})
        weak(b"\\x00\\x02", shown)
        weak(b"\\x00\\x03", loose)
        weak(b"\\x00\\x04", {**loose, Attribute.EXTRACTABLE: True}, EXTRACTABLE=False)
        weak(b"\\x00\\x05", {**loose, **shown}, SENSITIVE=True)
        assert [faults(index) for index in range(1, 6)] == [
            "EXTRACTABLE, NEVER_EXTRACTABLE", "SENSITIVE, ALWAYS_SENSITIVE", "MODIFIABLE",
            "NEVER_EXTRACTABLE, MODIFIABLE", "ALWAYS_SENSITIVE, MODIFIABLE",
        ]
        # And one that somebody brought along, of which they may have kept a copy.
        public = token._session.get_key(object_class=ObjectClass.PUBLIC_KEY, id=b"\\x00\\x00")
        whole = {Attribute.KEY_TYPE: KeyType.EC, Attribute.EC_PARAMS: SECP256K1, Attribute.ID: b"\\x00\\x06"}
        whole |= {Attribute.TOKEN: True}
        token._session.create_object(
            {**whole, **_PRIVATE, Attribute.CLASS: ObjectClass.PRIVATE_KEY, Attribute.VALUE: bytes([7] * 32)}
        )
        token._session.create_object(
            {**whole, Attribute.CLASS: ObjectClass.PUBLIC_KEY, Attribute.EC_POINT: public[Attribute.EC_POINT]}
        )
        assert faults(6) == "ALWAYS_SENSITIVE, NEVER_EXTRACTABLE, LOCAL"
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


def test_proves_that_it_signs_with_a_key_that_is_for_nothing_else(folder: Path) -> None:
    holds(
        folder,
        """
        from custody.signer.tokens import EXPECTED, HEALTH_ID, LOG_ID
        token.probe()
        token.probe()
        assert token._point(HEALTH_ID) not in (token.public_key(0), token.public_key(1))
        before = token.log_key()
        token._session.close()
        token.probe()
        assert token.log_key() == before and len(token.sign_head(b"head")) == 64
        for identifier in (HEALTH_ID, LOG_ID):
            private = token._key_with(identifier)
            for attribute, value in EXPECTED.items():
                assert bool(private[attribute]) is value, attribute
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


def test_is_provisioned_again_without_changing_its_keys(folder: Path) -> None:
    arguments = ["--token", "hot-1", "--count", "2", "--module", vaults.MODULE]
    one, two = (vaults.run(folder, "custody.signer.provision", *arguments) for _ in range(2))
    assert (one.returncode, one.stdout) == (0, two.stdout)
    assert '"never_extractable":true' in one.stdout


def test_is_missed_at_the_start_where_the_registry_names_other_keys(tmp_path: Path) -> None:
    vault = Vault.build(tmp_path, hot=1, wallets=["hot"])
    (tmp_path / "hot-1" / "tokens").rename(tmp_path / "hot-1" / "gone")
    vaults.make_token(tmp_path / "hot-1b", "hot-1", count=1)
    (tmp_path / "hot-1b" / "tokens").rename(tmp_path / "hot-1" / "tokens")
    signer = vault.start("hot-1")
    assert signer.process.wait(120) == 1
    assert signer.process.stdout is not None
    with signer.process.stdout as output:
        assert "cannot start: SIGNER_KEY_MISSING" in output.read()


def test_is_not_even_opened_for_a_registry_that_is_none(tmp_path: Path) -> None:
    vault = Vault.build(tmp_path, hot=1, wallets=["hot"])
    vault.registry_file.write_bytes(vault.registry_file.read_bytes().replace(b'"m":2', b'"m":1'))
    signer = vault.start("hot-1")
    assert signer.process.wait(120) == 1
    assert signer.process.stdout is not None
    with signer.process.stdout as output:
        assert "cannot start: SIGNER_BAD_REGISTRY" in output.read()


@pytest.mark.parametrize("places", ["0", "-1", "four", "1.5"])
def test_makes_at_least_one_signature_at_a_time(places: str, capsys: pytest.CaptureFixture[str]) -> None:
    parser = argparse.ArgumentParser()
    starting.add_arguments(parser)
    with pytest.raises(SystemExit):
        parser.parse_args([f"--token-places={places}"])
    assert f"a token makes at least one signature at a time, not '{places}'" in capsys.readouterr().err


def test_forgets_its_journal_on_the_word_of_whoever_holds_its_pin(tmp_path: Path) -> None:
    vault = Vault.build(tmp_path, hot=1, wallets=["hot"])
    vault.start("hot-1").ready().stop()
    state = tmp_path / "hot-1" / "state" / "journal.jsonl"
    state.unlink()
    signer = vault.start("hot-1").ready()
    assert signer.ask({"v": 1, "type": "health"})["state"] == "SIGNER_STORE_LOST"
    signer.stop()
    state.unlink()
    forget = ["--token", "hot-1", "--forget", "--module", vaults.MODULE]
    assert vaults.run(tmp_path / "hot-1", "custody.signer.provision", *forget).returncode == 0
    signer = vault.start("hot-1").ready()
    assert signer.ask({"v": 1, "type": "health"})["state"] == "ready"
    signer.stop()
