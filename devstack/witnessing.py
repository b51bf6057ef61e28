"""`python -m devstack witnesses`: the witnesses, under a supervisor that runs nothing else.

The stack's own supervisor starts this one beside itself and cannot reach into it: it knows none of the
witnesses. In production each belongs to another owner altogether (docs/runbooks/audit-log-broken.md).
"""

from __future__ import annotations

import signal
from typing import NoReturn

from devstack import kept, layout, users
from devstack.environment import Environment
from devstack.processes.trusted import Trusted
from devstack.supervisor import Supervisor


def run() -> int:
    """Up until a termination signal."""

    def interrupt(_number: int, _frame: object) -> NoReturn:
        raise KeyboardInterrupt

    signal.signal(signal.SIGTERM, interrupt)
    where = layout.layout()
    made = Environment(where, kept.load_secrets(where, port=None))
    try:
        with Supervisor(log_folder=where.logs, echo=True) as supervisor:
            supervisor.start(*Trusted(made, users.prepare()).witnesses())
            print("witnesses are up", flush=True)
            supervisor.wait()
    except KeyboardInterrupt:
        print("witnesses stopped", flush=True)
    return 0
