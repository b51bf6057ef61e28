"""The table of processes, in its four parts."""

from __future__ import annotations

from devstack.environment import Environment
from devstack.processes.application import Application
from devstack.processes.backing import Backing
from devstack.processes.outside import Outside
from devstack.processes.trusted import Trusted
from devstack.users import Accounts


class Table:
    """Builds each process of one stack."""

    def __init__(self, environment: Environment, accounts: Accounts) -> None:
        self.backing = Backing(environment, accounts)
        self.trusted = Trusted(environment, accounts)
        self.application = Application(environment, accounts)
        self.outside = Outside(environment, accounts)
