"""Two entries, two processes: `console` (console and service doors) and `trader` (api and hooks doors)."""

import gc
import os
import sys

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "backoffice.settings")

import django
from django.contrib.staticfiles.handlers import ASGIStaticFilesHandler

django.setup(set_prefix=False)

from channels.routing import ProtocolTypeRouter, URLRouter  # noqa: E402

from backoffice.bounded import Bounded  # noqa: E402
from backoffice.headed import Headed  # noqa: E402
from backoffice.routing import console_sockets, trader_sockets  # noqa: E402
from backoffice.threaded import Threaded  # noqa: E402

_django = Threaded()

# Static files are the program's own, the same for everybody, and asked for by the page that refuses somebody:
# they alone are given out before anybody is asked who they are.
_with_static = ASGIStaticFilesHandler(_django)
console = ProtocolTypeRouter({"http": Headed(Bounded(_with_static)), "websocket": URLRouter(console_sockets)})
trader = ProtocolTypeRouter({"http": Headed(Bounded(_django)), "websocket": URLRouter(trader_sockets)})

# An order goes through two threads of this process, and each waits for the interpreter again and again while
# another request computes: up to 5 ms each time, unless told otherwise. That made 6 ms of an order, not 2.
sys.setswitchinterval(0.001)
gc.freeze()  # what is loaded stays: to look through it again held every request up for 36 ms now and then
