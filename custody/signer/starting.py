"""Starting a signer from its command line: the PIN from standard input, everything else from arguments."""

from __future__ import annotations

import argparse
import contextlib
import ctypes
import gc
import getpass
import os
import resource
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Final

from custody.signer.refusals import Refused
from custody.signer.session import WrongPin
from custody.signer.signing import Signer
from custody.signer.succession import read, read_order
from custody.signer.tokens import Token

PIN_ATTEMPTS_MAX: Final = 3  # tokens lock themselves after three to fifteen
PIN_WAIT_S: Final = 60
PR_SET_DUMPABLE: Final = 4  # linux/prctl.h


class NoPin(RuntimeError):
    """Standard input ended without a PIN; it is never taken from arguments or the environment."""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """The arguments that every way of starting a signer shares."""
    parser.add_argument("--token", required=True, help="the token's label; it is alone in its folder")
    parser.add_argument("--registry", type=Path, required=True, help="the registry file")
    parser.add_argument("--registry-order", type=Path, help="the officers' order, where the registry is new")
    parser.add_argument("--state", type=Path, required=True, help="this signer's own folder")
    parser.add_argument("--module", required=True, help="the PKCS#11 module")
    parser.add_argument("--token-places", type=_places, default=1, help="how many signatures at a time")


def _places(text: str) -> int:
    if not text.isdecimal() or int(text) < 1:
        raise argparse.ArgumentTypeError(f"a token makes at least one signature at a time, not {text!r}")
    return int(text)


def read_pin() -> str:
    """One line of standard input, not echoed at a terminal."""
    if sys.stdin.isatty():
        return getpass.getpass("PIN: ")
    pin = sys.stdin.readline().rstrip("\n")
    if not pin:
        raise NoPin("give the PIN as one line on standard input")
    return pin


def harden() -> None:
    """No core dumps, no debugger of the same user: the PIN and the session stay in this process."""
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    os.umask(0o077)
    if ctypes.CDLL(None).prctl(PR_SET_DUMPABLE, 0, 0, 0, 0):
        raise OSError("prctl(PR_SET_DUMPABLE) failed")


class Attempts:
    """How often a wrong PIN was tried in a row, kept across restarts.

    A token locks itself for good after a few wrong PINs; so we stop before it does, and a supervisor that
    restarts us with the same wrong PIN gets no further than a person would.
    """

    def __init__(self, state: Path) -> None:
        self._file = state / "pin-attempts"

    def check(self, now_s: float) -> None:
        """Refuse before the token is asked, where it was asked too often or too lately."""
        count, at = self._read()
        if count >= PIN_ATTEMPTS_MAX:
            why = f"{count} wrong PINs: find the right one, then remove {self._file}"
            raise Refused("SIGNER_PIN_REFUSED", why)
        if count > 1 and now_s < at + PIN_WAIT_S:
            why = f"wait {int(at + PIN_WAIT_S - now_s) + 1} s after {count} wrong PINs"
            raise Refused("SIGNER_PIN_REFUSED", why)

    def wrong(self, now_s: float) -> None:
        """One more; on the disk before anybody can try again."""
        count, _ = self._read()
        self._file.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        descriptor = os.open(self._file, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
        with os.fdopen(descriptor, "w", encoding="ascii") as file:
            file.write(f"{count + 1} {int(now_s)}\n")
            file.flush()
            os.fsync(descriptor)

    @contextlib.contextmanager
    def counted(self) -> Iterator[None]:
        """For one try with a PIN: refused where there were too many; a right one begins to count anew."""
        self.check(time.time())
        try:
            yield
        except WrongPin:
            self.wrong(time.time())
            raise
        self._file.unlink(missing_ok=True)

    def _read(self) -> tuple[int, int]:
        if not self._file.exists():
            return 0, 0
        parts = self._file.read_text(encoding="ascii").split()
        if len(parts) != 2 or not all(part.isdecimal() for part in parts):
            return PIN_ATTEMPTS_MAX, 0  # cut short by a crash: better once too few than once too many
        return int(parts[0]), int(parts[1])


def start(options: argparse.Namespace, pin: str, *, listens: bool = True) -> Signer:
    """A signer that has logged in, checked its keys and read its memory; one that `listens` at a socket."""
    registry = read(options.registry)
    order = read_order(options.registry_order) if options.registry_order else None
    with Attempts(options.state).counted():
        token = Token(module=options.module, name=options.token, pin=pin)
    token.places = options.token_places
    try:
        signer = Signer(
            token=token, registry=registry, state=options.state, clock=time.time, order=order, listens=listens
        )
    except BaseException:
        token.close()
        raise
    gc.collect()  # before it is said to be ready: a signal that comes in a finaliser is lost
    gc.freeze()  # what is here now stays: the collector need not walk it again while it signs
    return signer


def enter(token: Token, options: argparse.Namespace, pin: str) -> None:
    """The PIN for a running signer whose token refused the one before."""
    counted = Attempts(options.state).counted()(token.enter)  # also where the token says so too late
    token.in_time(lambda: counted(pin))
