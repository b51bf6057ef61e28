"""A key of a signer's token …

Each test is a small program in the trusted environment, since one process holds one PKCS#11 module.
"""

from __future__ import annotations

from pathlib import Path

import pytest

from tests import vault as vaults
from tests.opened import holds


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("token")
    vaults.make_token(path, "hot-1", count=2)
    return path


def test_says_that_its_keys_were_made_inside_and_can_never_leave(folder: Path) -> None:
    holds(
        folder,
        """
        from pkcs11 import Attribute, KeyType, MechanismFlag, ObjectClass
        private = token._key_with(b'\\x00\\x00')
        from custody.signer.tokens import EXPECTED
        # Nor used without the PIN, for anything but signing, or copied into another that might be.
        nothing_else = {Attribute.PRIVATE: True, Attribute.SIGN: True, Attribute.COPYABLE: False}
        nothing_else |= {Attribute.DERIVE: False, Attribute.DECRYPT: False, Attribute.UNWRAP: False}
        for attribute, value in {**EXPECTED, **nothing_else}.items():
            assert bool(private[attribute]) is value, attribute
        public = token._session.get_key(object_class=ObjectClass.PUBLIC_KEY, id=b'\\x00\\x00')
        assert public[Attribute.MODIFIABLE] is False
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
        real = token._probed
        token._probed = lambda digest: real(bytes(32))
        assert refusal(token.probe) == "SIGNER_BAD_SIGNATURE"
        token.forget()
        """,
    )


def test_is_provisioned_again_without_changing_its_keys(folder: Path) -> None:
    arguments = ["--token", "hot-1", "--count", "2", "--module", vaults.MODULE]
    one, two = (vaults.run(folder, "custody.signer.provision", *arguments) for _ in range(2))
    assert (one.returncode, one.stdout) == (0, two.stdout)
    assert '"never_extractable":true' in one.stdout
