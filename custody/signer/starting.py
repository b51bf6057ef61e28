"""Starting a signer from its command line: the PIN from standard input, everything else from arguments."""

from __future__ import annotations

import argparse
import ctypes
import getpass
import os
import resource
import sys
import time
from pathlib import Path
from typing import Final

from custody.signer.signing import Signer
from custody.signer.succession import read, read_order
from custody.signer.tokens import Token

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


def start(options: argparse.Namespace) -> Signer:
    """A signer that has logged in, checked its keys and read its memory."""
    registry = read(options.registry)
    order = read_order(options.registry_order) if options.registry_order else None
    token = Token(module=options.module, name=options.token, pin=read_pin())
    return Signer(token=token, registry=registry, state=options.state, clock=time.time, order=order)
