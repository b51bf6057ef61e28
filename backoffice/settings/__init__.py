"""Settings of every process (`backoffice.settings`). Deployments differ by their environment only."""

import base64
import hashlib
from pathlib import Path
from urllib.parse import urlsplit

from csp.constants import NONE, SELF

from backoffice.settings.environment import certificates, database, secret_file, text, whole

BASE_DIR = Path(__file__).resolve().parents[2]
DEBUG = False

# What this deployment is called; it is part of everything that officers sign.
DEPLOYMENT = text("DEPLOYMENT", "development")
DEPLOYMENT_KIND = text("DEPLOYMENT_KIND", "development")  # development | production
NETWORK = text("NETWORK", "regtest")

SECRET_KEY = text("SECRET_KEY", "development only" if DEPLOYMENT_KIND == "development" else None)
FIELD_KEY = base64.b64decode(
    text(
        "FIELD_KEY",
        base64.b64encode(hashlib.sha256(b"development only").digest()).decode()
        if DEPLOYMENT_KIND == "development"
        else None,
    )
)
# Webhook secrets lie under a key of their own: only the process of the hooks door, and who declares the
# endpoints, has it. Elsewhere it is empty, and opens nothing.
HOOKS_KEY = base64.b64decode(
    text(
        "HOOKS_KEY",
        base64.b64encode(hashlib.sha256(b"development hooks only").digest()).decode()
        if DEPLOYMENT_KIND == "development"
        else "",
    )
)

# Doors: each host has its own URLconf, and no privilege is told apart by path.
CONSOLE_ORIGIN = text("CONSOLE_ORIGIN", "http://console.localhost:8000")
SERVICE_ORIGIN = text("SERVICE_ORIGIN", "http://service.localhost:8000")
API_ORIGIN = text("API_ORIGIN", "http://api.localhost:8000")
HOOKS_ORIGIN = text("HOOKS_ORIGIN", "http://hooks.localhost:8000")
APPROVER_ORIGIN = text("APPROVER_ORIGIN", "http://approver.localhost:8000")
APPROVER_RP_ID = text("APPROVER_RP_ID", "approver.localhost")
DOORS = {
    urlsplit(CONSOLE_ORIGIN).hostname: ("console", "backoffice.console.urls"),
    urlsplit(SERVICE_ORIGIN).hostname: ("service", "backoffice.service_urls"),
    urlsplit(API_ORIGIN).hostname: ("api", "trader_api.urls"),
    urlsplit(HOOKS_ORIGIN).hostname: ("hooks", "kyc.api.urls"),
}
# Which doors this process answers: the console and the trader API are two processes with two database roles.
OPEN_DOORS = frozenset(text("OPEN_DOORS", "console service api hooks").split())
ALLOWED_HOSTS = [host for host in DOORS if host]
ROOT_URLCONF = "backoffice.urls"
ASGI_APPLICATION = "backoffice.asgi.console"

ACCESS_TEAM_URL = text("ACCESS_TEAM_URL", "http://127.0.0.1:8000")
ACCESS_CONSOLE_AUD = text("ACCESS_CONSOLE_AUD", "c" * 64)
ACCESS_SERVICE_AUD = text("ACCESS_SERVICE_AUD", "5" * 64)

# The header in which the edge was told to put the client's network number; empty where it was not.
ASN_HEADER = text("ASN_HEADER", "")

# What the edge's answers about devices and groups mean here (core/access/postures.py).
POSTURE_RULES = {
    "managed": frozenset(text("POSTURE_MANAGED_RULES", "").split()),
    "disk_encryption": frozenset(text("POSTURE_DISK_RULES", "").split()),
}
POSTURE_AGE_S = whole("POSTURE_AGE_S", 3600, least=1)
STAFF_GROUPS = frozenset(group.strip() for group in text("STAFF_GROUPS", "").split(",") if group.strip())

INSTALLED_APPS = [
    "django.contrib.contenttypes",
    "django.contrib.sessions",
    "django.contrib.messages",
    "django.contrib.staticfiles",
    "django_otp",
    "django_htmx",
    "template_partials",
    "channels",
    "rest_framework",
    "core.audit.apps.AuditConfig",
    "core.outbox.apps.OutboxConfig",
    "core.ledger.apps.LedgerConfig",
    "core.access",
    "core.approvals",
    "core.freezes",
    "core.staff",
    "core.factors",
    "core.health",
    "customers",
    "kyc",
    "engine_bridge",
    "custody",
    "trader_api",
    "backoffice.console",
]

MIDDLEWARE = [
    "django.middleware.security.SecurityMiddleware",
    "backoffice.middleware.DoorMiddleware",
    "csp.middleware.CSPMiddleware",
    "django.contrib.sessions.middleware.SessionMiddleware",
    "django.middleware.csrf.CsrfViewMiddleware",
    "core.access.middleware.AccessMiddleware",
    "backoffice.middleware.BusyMiddleware",
    "django_otp.middleware.OTPMiddleware",
    "django.contrib.messages.middleware.MessageMiddleware",
    "django_htmx.middleware.HtmxMiddleware",
    "django.middleware.clickjacking.XFrameOptionsMiddleware",
]

TEMPLATES = [
    {
        "BACKEND": "django.template.backends.django.DjangoTemplates",
        "DIRS": [BASE_DIR / "templates"],
        "APP_DIRS": True,
        "OPTIONS": {
            "context_processors": [
                "django.template.context_processors.request",
                "django.contrib.messages.context_processors.messages",
            ]
        },
    }
]

DATABASES = {"default": database(text("DATABASE_URL", "postgresql:///countersign?host=var/run/postgres"))}
DEFAULT_AUTO_FIELD = "django.db.models.BigAutoField"
REDIS_URL = text("REDIS_URL", "unix://var/run/redis.sock")
CACHES = {"default": {"BACKEND": "django.core.cache.backends.redis.RedisCache", "LOCATION": REDIS_URL}}
CHANNEL_LAYERS = {
    "default": {
        "BACKEND": "channels_redis.core.RedisChannelLayer",
        # channels-redis blocks for 5 s, redis-py's own socket time-out: without None idle sockets drop.
        "CONFIG": {"hosts": [{"address": REDIS_URL, "socket_timeout": None}]},
    }
}

CELERY_BROKER_URL = REDIS_URL.replace("unix://", "redis+socket://", 1)
CELERY_TASK_IGNORE_RESULT = True
CELERY_TASK_ACKS_LATE = True
CELERY_TASK_SERIALIZER = "json"
CELERY_ACCEPT_CONTENT = ["json"]
CELERY_BROKER_CONNECTION_RETRY_ON_STARTUP = True
CELERY_TASK_DEFAULT_QUEUE = "countersign"

# Which models of passkeys the console admits (any, where empty), and whose certificates vouch for a model.
PASSKEY_AAGUIDS = frozenset(text("PASSKEY_AAGUIDS", "").split())
PASSKEY_ROOTS = certificates(secret_file("PASSKEY_ROOTS_FILE"))

# Who is told of an emergency beside the console: every officer by mail, and one webhook. Empty: nobody.
ALERT_SMTP_URL = text("ALERT_SMTP_URL", "")
ALERT_FROM = text("ALERT_FROM", "countersign@localhost")
ALERT_WEBHOOK_URL = text("ALERT_WEBHOOK_URL", "")
ALERT_WEBHOOK_SECRET = text("ALERT_WEBHOOK_SECRET", "")
# Where nobody outside is told of an emergency, the health screen says so.
ALERTS_EXPECTED = DEPLOYMENT_KIND == "production"

AUTH_USER_MODEL = "access.Identity"
# No password logs anybody in to the console: the edge's token does.
AUTHENTICATION_BACKENDS: list[str] = []
PASSWORD_HASHERS = ["django.contrib.auth.hashers.ScryptPasswordHasher"]

USE_TZ = True
TIME_ZONE = "UTC"
LANGUAGE_CODE = "en-gb"
USE_I18N = False
APPEND_SLASH = False
STATIC_URL = "/static/"
STATICFILES_DIRS = [BASE_DIR / "static"]
FORM_RENDERER = "django.forms.renderers.TemplatesSetting"

DATA_UPLOAD_MAX_MEMORY_SIZE = 1024 * 1024
SECURE = CONSOLE_ORIGIN.startswith("https://")
SESSION_COOKIE_NAME = "__Host-session" if SECURE else "session"
SESSION_COOKIE_SECURE = CSRF_COOKIE_SECURE = SECURE
SESSION_COOKIE_SAMESITE = CSRF_COOKIE_SAMESITE = "Strict"
SESSION_COOKIE_AGE = 8 * 3600
CSRF_COOKIE_NAME = "__Host-csrf" if SECURE else "csrf"
CSRF_COOKIE_HTTPONLY = True
CSRF_TRUSTED_ORIGINS = [CONSOLE_ORIGIN]
SECURE_PROXY_SSL_HEADER = None
# Nothing leaves the origin. "no-referrer" would make browsers send `Origin: null` with our own forms.
SECURE_REFERRER_POLICY = "same-origin"
SECURE_CROSS_ORIGIN_OPENER_POLICY = "same-origin"
X_FRAME_OPTIONS = "DENY"
# The console's; the other doors answer programs, and their policy is nothing at all (backoffice.middleware).
CONTENT_SECURITY_POLICY = {
    "DIRECTIVES": {
        "default-src": [NONE],
        "script-src": [SELF],
        "style-src": [SELF],
        "img-src": [SELF],
        "font-src": [SELF],
        "connect-src": [SELF],
        "object-src": [NONE],
        "base-uri": [NONE],
        "form-action": [SELF],
        "frame-ancestors": [NONE],
    }
}

REST_FRAMEWORK = {
    "DEFAULT_AUTHENTICATION_CLASSES": [],
    "DEFAULT_PERMISSION_CLASSES": [],
    "DEFAULT_RENDERER_CLASSES": ["rest_framework.renderers.JSONRenderer"],
    "DEFAULT_PARSER_CLASSES": ["rest_framework.parsers.JSONParser"],
    "UNAUTHENTICATED_USER": None,
}

# Outside parts. Each has a documented stand-in for development (docs/configuration.md).
ENGINE_TARGET = text("ENGINE_TARGET", "unix:var/run/engine/orders.sock")
ENGINE_TRANSFERS_TARGET = text("ENGINE_TRANSFERS_TARGET", "unix:var/run/engine/transfers.sock")
ENGINE_ADMIN_TARGET = text("ENGINE_ADMIN_TARGET", "unix:var/run/engine/admin.sock")
ENGINE_READER_TARGET = text("ENGINE_READER_TARGET", "unix:var/run/engine/reader.sock")
ENGINE_LIBRARY = Path(text("ENGINE_LIBRARY", str(BASE_DIR / "engine/target/debug/libcountersign_bridge.so")))
BITCOIN_RPC_URL = text("BITCOIN_RPC_URL", "http://127.0.0.1:18443")
SIGNERS_DIR = Path(text("SIGNERS_DIR", str(BASE_DIR / "var/run/signers")))
RECONCILER_SOCKET = Path(text("RECONCILER_SOCKET", str(BASE_DIR / "var/run/reconciler/reconciler.sock")))
REGISTRY_FILE = Path(text("REGISTRY_FILE", str(BASE_DIR / "var/registry.json")))
AUDIT_KEY_FILE = Path(text("AUDIT_KEY_FILE", str(BASE_DIR / "var/audit-key.txt")))
AUDIT_NOTARY_SOCKET = Path(text("AUDIT_NOTARY_SOCKET", str(BASE_DIR / "var/run/notary/notary.sock")))
AUDIT_ORIGIN = text("AUDIT_ORIGIN", f"countersign/{DEPLOYMENT}/audit")
VAULT_KEY_FILE = Path(text("VAULT_KEY_FILE", str(BASE_DIR / "var/vault-key.txt")))
VAULT_SOCKET = Path(text("VAULT_SOCKET", str(BASE_DIR / "var/run/vault/vault.sock")))
AUDIT_TESTIMONY_SOCKET = secret_file("AUDIT_TESTIMONY_SOCKET")
WATCHED_LOGS_FILE = secret_file("WATCHED_LOGS_FILE")
AUDIT_WITNESSES_FILE = secret_file("AUDIT_WITNESSES_FILE")
SCREENING_LIST = Path(text("SCREENING_LIST", str(BASE_DIR / "fixtures/screening.txt")))
CUSTOMER_FILES_KEPT_YEARS = whole("CUSTOMER_FILES_KEPT_YEARS", 5, least=5)
RAISE_FEES_AFTER_BLOCKS = whole("RAISE_FEES_AFTER_BLOCKS", 3, least=0)
PRICES_URL = text("PRICES_URL", "http://127.0.0.1:8103")
SUMSUB_URL = text("SUMSUB_URL", "http://127.0.0.1:8101")
SUMSUB_APP_TOKEN = text("SUMSUB_APP_TOKEN", "")
SUMSUB_SECRET = text("SUMSUB_SECRET", "")
SUMSUB_WEBHOOK_SECRET = text("SUMSUB_WEBHOOK_SECRET", "")
ONFIDO_URL = text("ONFIDO_URL", "http://127.0.0.1:8102")
ONFIDO_TOKEN = text("ONFIDO_TOKEN", "")
ONFIDO_WEBHOOK_TOKEN = text("ONFIDO_WEBHOOK_TOKEN", "")

LOGGING = {
    "version": 1,
    "disable_existing_loggers": False,
    "formatters": {"line": {"format": "%(levelname)s %(name)s: %(message)s"}},
    "handlers": {"stderr": {"class": "logging.StreamHandler", "formatter": "line"}},
    "root": {"handlers": ["stderr"], "level": "INFO"},
    "loggers": {"httpx": {"level": "WARNING"}, "django.request": {"level": "ERROR"}},
}
