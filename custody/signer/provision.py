"""Set-up of a token: make its pool of keys inside it, and print the public halves.

    python -m custody.signer.provision --token hot-1 --count 32 --module LIB

The PIN is one line on standard input. Prints one line of canonical JSON with the token's name, its serial,
the public keys and what the token says about every private key. Keys that exist already are kept, so an
interrupted run is simply repeated.

    python -m custody.signer.provision --token hot-1 --forget --module LIB

The way back when so many officers lost their passkeys that no quorum can order anything: it removes what the
token remembers of the signer's journal. With the state folder removed as well, the next start is a genesis.
Its registry gets another deployment's name, so that no approval from before can be used again. Whoever has
PIN and host can do this. They could use the keys without the signer too, so it gives them nothing.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence

import pkcs11
from pkcs11 import Attribute, ObjectClass

from custody.signer import starting
from custody.signer.refusals import Refused
from custody.signer.session import WrongToken
from custody.signer.tokens import EXPECTED, Token, identifier_of
from kernel import canonical, evm


class Blank(Token):
    """A token whose keys are made here. A signer that runs has nothing that could make one, or forget."""

    def generate(self, index: int) -> bytes:
        """Make key `index` inside the token, never to leave it; its compressed public key."""
        name = identifier_of(index)
        if list(self._session.get_objects({Attribute.ID: name, Attribute.CLASS: ObjectClass.PRIVATE_KEY})):
            raise WrongToken(f"{self.name} has a key {index} already")
        self._generate(name, f"{self.name}/{index}")
        return self._point(name)

    def public_key(self, index: int) -> bytes | None:
        """The compressed public key `index`, or None where the token has none."""
        try:
            return self._point(identifier_of(index))
        except pkcs11.NoSuchKey:
            return None

    def forget(self) -> None:
        """Remove the anchors; the next journal is a first one."""
        self._found.clear()
        for found in list(self._anchors()):
            found.destroy()


def provision(token: Blank, count: int) -> list[bytes]:
    """Public keys 0 to count - 1, made where missing, each checked for the attributes that signing needs."""
    keys: list[bytes] = []
    for index in range(count):
        key = token.public_key(index) or token.generate(index)
        token.check_key(index, public_key=key)
        keys.append(key)
    return keys


def main(arguments: Sequence[str] | None = None) -> int:
    """Run as a program."""
    parser = argparse.ArgumentParser(prog="custody.signer.provision", description="Make a token's keys.")
    parser.add_argument("--token", required=True)
    what = parser.add_mutually_exclusive_group(required=True)
    what.add_argument("--count", type=int, help="how many keys there shall be")
    what.add_argument("--forget", action="store_true", help="remove the journal's anchor")
    parser.add_argument("--module", required=True)
    options = parser.parse_args(arguments)
    starting.harden()
    try:
        token = Blank(module=options.module, name=options.token, pin=starting.read_pin())
        if options.forget:
            token.forget()
            token.close()
            print(f"{options.token} remembers no journal")
            return 0
        keys = provision(token, options.count)
    except (WrongToken, Refused, starting.NoPin, pkcs11.PKCS11Error) as error:
        print(f"cannot provision {options.token}: {error or type(error).__name__}", file=sys.stderr)
        return 1
    record: dict[str, canonical.Value] = {
        "v": 1,
        "type": "provisioned",
        "token": token.name,
        "serial": token.serial,
        "public_keys": [key.hex() for key in keys],
        "owner": evm.address_of(keys[0])
        if keys
        else "",  # for who deploys a Safe, before there is a registry
        "attributes": {attribute.name.lower(): value for attribute, value in EXPECTED.items()},
    }
    token.close()
    print(canonical.encode(record).decode())
    return 0


if __name__ == "__main__":
    sys.exit(main())
