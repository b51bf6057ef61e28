"""The OS users of the stack: one per kind of process, so that one that is taken over cannot read the
others' keys.
"""

from __future__ import annotations

import grp
import os
import pwd
import shutil
import subprocess
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

GROUP: Final = "countersign"
WEB_GROUP: Final = "countersign-web"  # may talk to Redis, and send orders to the engine
DESK_GROUP: Final = "countersign-desk"  # may move balances into the engine and govern its markets
READER_GROUP: Final = "countersign-reader"  # may read what the engine holds

HOT_TOKENS: Final = ("hot-1", "hot-2", "hot-3")
COLD_TOKENS: Final = ("cold-1", "cold-2", "cold-3", "cold-4", "cold-5")
TOKENS: Final = HOT_TOKENS + COLD_TOKENS
NOTARY: Final = "notary"  # the token, and the program, that sign the audit log's heads
WITNESSES: Final = ("witness-1", "witness-2")  # of the audit log; elsewhere they belong to somebody else

USERS: Final = (
    "cs-db",
    "cs-redis",
    "cs-node",  # the regtest node, the stand-ins and the edge: the outside world
    "cs-engine",
    "cs-console",
    "cs-trader",
    "cs-worker",
    "cs-approver",
    "cs-reconciler",  # compares the hot wallet with the books, and signs where they agree
    *(f"cs-{token}" for token in TOKENS),
    *(f"cs-{witness}" for witness in WITNESSES),
    f"cs-{NOTARY}",
    "cs-vault",  # opens personal data, and nothing else does
)
WEB_USERS: Final = frozenset({"cs-console", "cs-trader", "cs-worker"})
_MEMBERS: Final = {
    WEB_GROUP: WEB_USERS,
    DESK_GROUP: frozenset({"cs-worker"}),
    READER_GROUP: frozenset({"cs-reconciler"}),
}

SINGLE_USER_NOTE: Final = (
    "not root: every process runs as you, so the wall between the web tier and the HSM tokens is missing; "
    "run as root to have it"
)


class CannotMakeUsers(RuntimeError):
    """An OS user could not be added; the text is the system's reason."""


@dataclass(frozen=True)
class Account:
    """Whom a process runs as."""

    name: str
    uid: int
    gid: int
    groups: tuple[int, ...]

    def switch(self) -> dict[str, Any]:
        """How `subprocess` starts a program as this account; nothing to switch when not root."""
        if os.geteuid() != 0:
            return {}
        return {"user": self.uid, "group": self.gid, "extra_groups": self.groups}

    def own(self, path: Path, *, mode: int) -> Path:
        """Make the folder if it is missing, and give it to this account with this mode."""
        path.mkdir(parents=True, exist_ok=True)
        if os.geteuid() == 0:
            os.chown(path, self.uid, self.gid)
        path.chmod(mode)
        return path

    def own_file(self, path: Path, *, mode: int) -> Path:
        """Give a file to this account with this mode."""
        if os.geteuid() == 0:
            os.chown(path, self.uid, self.gid)
        path.chmod(mode)
        return path


@dataclass(frozen=True)
class Accounts:
    """The account of each user name; all are the same one when not root."""

    are_separate: bool

    def of(self, name: str) -> Account:
        if name not in USERS:
            raise KeyError(name)
        if not self.are_separate:
            return Account(pwd.getpwuid(os.geteuid()).pw_name, os.geteuid(), os.getegid(), ())
        entry = pwd.getpwnam(name)
        groups = tuple(grp.getgrnam(group).gr_gid for group, members in _MEMBERS.items() if name in members)
        return Account(name, entry.pw_uid, grp.getgrnam(GROUP).gr_gid, groups)

    def gid(self, group: str) -> int:
        """The number of one of the stack's groups."""
        return grp.getgrnam(group).gr_gid if self.are_separate else os.getegid()


def prepare() -> Accounts:
    """The accounts, made if they are missing. Without root there is only the caller's own."""
    if os.geteuid() != 0:
        return Accounts(are_separate=False)
    for group in (GROUP, *_MEMBERS):
        if not _is_known(grp.getgrnam, group):
            _run("groupadd", "--system", group)
    for user in USERS:
        if not _is_known(pwd.getpwnam, user):
            _run(
                *("useradd", "--system", "--gid", GROUP, "--no-create-home", "--home-dir", "/nonexistent"),
                *("--shell", "/usr/sbin/nologin", "--comment", "Countersign development stack", user),
            )
    return Accounts(are_separate=True)


def _is_known(lookup: object, name: str) -> bool:
    assert callable(lookup)
    try:
        lookup(name)
    except KeyError:
        return False
    return True


def _run(*command: str) -> None:
    program = shutil.which(command[0], path="/usr/sbin:/sbin:/usr/bin:/bin")
    if program is None:
        raise CannotMakeUsers(f"{command[0]} is missing (Debian package passwd)")
    done = subprocess.run([program, *command[1:]], capture_output=True, text=True, check=False)
    if done.returncode:
        raise CannotMakeUsers(f"{' '.join(command)}: {done.stderr.strip()}")
