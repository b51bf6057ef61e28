"""Settings of the test suite: the same, on databases and Redis keys of its own."""

import os

from backoffice.settings import *  # noqa: F403
from backoffice.settings import CHANNEL_LAYERS, DATABASES
from backoffice.settings.environment import LIMITS

DEPLOYMENT = "test"
DATABASES["default"]["TEST"] = {"NAME": f"test_{os.environ.get('TEST_DB', 'countersign')}"}
DATABASES["default"]["SESSIONS"] = 64  # threads that race each other have one each
# A test is one transaction, which on a busy machine may well wait for its own process, or others for it.
_PATIENT = {"statement_timeout": "120s", "lock_timeout": "60s", "idle_in_transaction_session_timeout": "0"}
DATABASES["default"]["OPTIONS"]["options"] = " ".join(  # type: ignore[index]
    f"-c {name}={limit}" for name, limit in (LIMITS | _PATIENT).items()
)
# Workers that test side by side hear nothing of each other.
_OURS = f"test-{os.environ.get('TEST_DB', '')}-{os.environ.get('PYTEST_XDIST_WORKER', '')}"
CHANNEL_LAYERS["default"]["CONFIG"]["prefix"] = _OURS  # type: ignore[index]
CACHES = {"default": {"BACKEND": "django.core.cache.backends.locmem.LocMemCache"}}
PASSWORD_HASHERS = [
    "django.contrib.auth.hashers.MD5PasswordHasher"
]  # quick; the real one has a test of its own
