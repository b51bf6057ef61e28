"""The PKCS#11 module with locking: python-pkcs11 asks for none by itself, and threads crash inside it."""

from __future__ import annotations

import ctypes
import os
from typing import Final

import pkcs11
from pkcs11 import _pkcs11

_OS_LOCKING_OK: Final = 2


class _Arguments(ctypes.Structure):
    _fields_ = [("locks", ctypes.c_void_p * 4), ("flags", ctypes.c_ulong), ("reserved", ctypes.c_void_p)]


class LockingLibrary(_pkcs11.lib):
    """The module, initialised with locking; one per process."""

    _process: int | None = None

    def initialize(self) -> None:
        if self._process == os.getpid():
            return
        code = ctypes.CDLL(self.so).C_Initialize(ctypes.byref(_Arguments(flags=_OS_LOCKING_OK)))
        if code:
            # 0x191 would mean that somebody else initialised it, perhaps without locks: not good enough.
            raise pkcs11.PKCS11Error(f"C_Initialize 0x{code:x}")
        self._process = os.getpid()

    def finalize(self) -> None:
        if self._process == os.getpid():  # never what somebody else initialised
            ctypes.CDLL(self.so).C_Finalize(None)
        self._process = None

    def end_sessions(self, slot: int) -> None:
        """Close all of this process's sessions there, and so log out. Where it fails, there is no token."""
        ctypes.CDLL(self.so).C_CloseAllSessions(ctypes.c_ulong(slot))

    initialized = property(lambda self: self._process == os.getpid())

    def unload(self) -> None:
        """The module stays loaded for the life of the process."""
