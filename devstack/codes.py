"""The authenticator apps of the development staff: their codes let a person in a browser into the console.

The officers' passkeys are software that no browser holds. An app's code starts a session and confirms what
moves no money, so whoever runs the stack can be anybody of the cast, and approves nothing with it.
"""

from __future__ import annotations

import base64
import json
import os
import secrets
import shlex
import sys
import time
from collections.abc import Sequence
from typing import Final

from devstack import layout as layouts
from devstack.layout import Layout
from fixtures.authenticator import App

FILE: Final = "console-apps.json"
STEP_S: Final = 30
SECRET_BYTES: Final = 20


class NobodyOfThatName(LookupError):
    """No member of staff has an app by that name; the text lists who has."""


def of_staff(where: Layout, emails: Sequence[str]) -> dict[str, str]:
    """Each one's secret in base32 by their e-mail, made where the file has none yet."""
    path = where.secrets / FILE
    known: dict[str, str] = json.loads(path.read_text()) if path.exists() else {}
    apps = {email: known.get(email) or _fresh() for email in emails}
    descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
    with os.fdopen(descriptor, "w") as file:
        json.dump(apps, file, indent=1)
    return apps


def shown(where: Layout, name: str, *, at: float) -> str:
    """The six digits that this person's app shows at that Unix time; NobodyOfThatName."""
    path = where.secrets / FILE
    if not path.exists():
        raise NobodyOfThatName(f"{where.shown()} has no authenticator apps: start anew with make demo")
    apps: dict[str, str] = json.loads(path.read_text())
    by_name = {email.partition("@")[0]: secret for email, secret in apps.items()}
    if name.lower() not in by_name:
        raise NobodyOfThatName(f"who shall it be? make code WHO=… knows {', '.join(by_name)}")
    return App(base64.b32decode(by_name[name.lower()])).code(at)


def hint(console_origin: str) -> str:
    """How a person in a browser comes in; said wherever the console's address is."""
    var = os.environ.get("COUNTERSIGN_VAR")
    command = f"COUNTERSIGN_VAR={shlex.quote(var)} make code WHO=ana" if var else "make code WHO=ana"
    return (
        f"The console is up at {console_origin}\n"
        "  Choose who you are on the first page, and start your session with the code of your app:\n"
        f"  `{command}` in another terminal tells Ana's (or whom you chose: ben, cy, dot, sam)."
    )


def run(name: str) -> int:
    """Print whose code it is and for how long."""
    now = time.time()
    try:
        digits = shown(layouts.layout(), name, at=now)
    except NobodyOfThatName as error:
        print(error, file=sys.stderr)
        return 1
    left = STEP_S - int(now) % STEP_S
    print(f"{digits}  (for {left} s, and once; it starts a session and moves no money)")
    return 0


def _fresh() -> str:
    return base64.b32encode(secrets.token_bytes(SECRET_BYTES)).decode()
