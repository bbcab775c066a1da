"""Settings, read from the environment and `.env`. `variables.py` lists every variable with what is allowed in it.

Without DATABASE_URL and REDIS_URL, commands use the servers of a running `scripts/up` (its `.local/up.json`).
"""

import os
import secrets
import tempfile
from pathlib import Path

from csp.constants import NONE, SELF

from app.config.environment import ROOT, environment_require
from app.config.running_stack import running_stack
from app.config.servers import database_settings, redis_url
from app.core.logging import configure, logging_config

given = environment_require()


_stack = running_stack(ROOT / ".local")

DEBUG = given["DEBUG"]
# A key of its own for each start where none is set: sessions end with the process, nothing is shared by accident.
SECRET_KEY_GIVEN = given["SECRET_KEY"]
SECRET_KEY = SECRET_KEY_GIVEN or secrets.token_urlsafe(50)
ALLOWED_HOSTS = given["ALLOWED_HOSTS"]
CSRF_TRUSTED_ORIGINS = given["CSRF_TRUSTED_ORIGINS"]

INSTALLED_APPS = [
    "app.web",  # Before the admin, whose templates some of its own stand for.
    "app.web.admin_site.OrderHistoryConfig",
    "django.contrib.auth",
    "django.contrib.contenttypes",
    "django.contrib.sessions",
    "django.contrib.messages",
    "django.contrib.staticfiles",
    "django.contrib.postgres",
    "rest_framework",
    "rest_framework.authtoken",
    "drf_spectacular",
    "drf_spectacular_sidecar",
    "django_htmx",
    "app.accounts",
    "app.alerts",
    "app.logins",
    "app.market",
    "app.setups",
    "app.executions",
    "app.api",
    "app.config",
]

MIDDLEWARE = [
    "django.middleware.security.SecurityMiddleware",
    "app.web.static_files.whole_files",
    "app.web.static_files.CollectedFiles",
    "csp.middleware.CSPMiddleware",
    "app.web.private_pages.private_pages",
    "django.contrib.sessions.middleware.SessionMiddleware",
    "django.middleware.common.CommonMiddleware",
    "django.middleware.csrf.CsrfViewMiddleware",
    "django.contrib.auth.middleware.AuthenticationMiddleware",
    "app.logins.sessions.SessionLimits",
    "django.contrib.messages.middleware.MessageMiddleware",
    "django.middleware.clickjacking.XFrameOptionsMiddleware",
    "django_htmx.middleware.HtmxMiddleware",
    "app.web.way_back.back_to_the_page",
    "app.web.unseen_signs.unseen_signs_shown",
    "app.web.chosen_rows.readable_choices",
]

ROOT_URLCONF = "app.config.urls"
ASGI_APPLICATION = "app.config.asgi.application"
TEMPLATES = [
    {
        "BACKEND": "django.template.backends.django.DjangoTemplates",
        "APP_DIRS": True,
        "OPTIONS": {
            "context_processors": [
                "django.template.context_processors.request",
                "django.contrib.auth.context_processors.auth",
                "django.contrib.messages.context_processors.messages",
                "app.web.context.trading_mode",
            ],
        },
    },
]

_database = database_settings(
    given["DATABASE_URL"] or _stack.get("database_url", "postgres://trading_analyst@127.0.0.1:5432/trading_analyst"),
    password=given["POSTGRES_PASSWORD"],
)
DATABASES = {
    "default": {
        **_database,
        # The pool is shared by all threads of a process; threads come and go under ASGI and in the workers.
        "OPTIONS": {
            **_database["OPTIONS"],
            "pool": {"min_size": 1, "max_size": given["DATABASE_POOL_SIZE"], "timeout": 10},
            # Nobody waits for ever for a row that a stopped process has locked: its transaction, idle in the middle, is
            # ended, and who waits goes on. Ours take milliseconds.
            #
            # A table that was restored and is not analysed yet looks to the planner as if each value were in thousands
            # of its rows; it would read the whole of it, for what an index finds at once. What a query asks for has an
            # index. A plan that has none is costly by its mark alone, which is no reason to compile it.
            "options": (
                "-c idle_in_transaction_session_timeout=10s -c lock_timeout=20s -c enable_seqscan=off -c jit=off"
            ),
            # The same few statements run for every order: each connection plans them once.
            "server_side_binding": True,
            "prepare_threshold": 2,
        },
    }
}
# Who migrates, where that is another role than the application's (app.config.database_roles).
DATABASE_OWNER = (
    database_settings(given["DATABASE_OWNER_URL"], password=given["POSTGRES_OWNER_PASSWORD"])
    if given["DATABASE_OWNER_URL"]
    else None
)
DEFAULT_AUTO_FIELD = "django.db.models.BigAutoField"

REDIS_URL = redis_url(
    given["REDIS_URL"] or _stack.get("redis_url", "redis://127.0.0.1:6379/0"), password=given["REDIS_PASSWORD"]
)
CACHES = {"default": {"BACKEND": "django.core.cache.backends.redis.RedisCache", "LOCATION": REDIS_URL}}

CELERY_BROKER_URL = REDIS_URL
CELERY_RESULT_BACKEND = REDIS_URL
CELERY_TASK_IGNORE_RESULT = True
# A request that needs an answer of a worker fails fast while Redis is away.
CELERY_RESULT_BACKEND_TRANSPORT_OPTIONS = {
    "retry_policy": {"max_retries": 1, "interval_start": 0, "interval_step": 0.1, "interval_max": 0.2}
}
CELERY_RESULT_EXPIRES = 3600
CELERY_TASK_DEFAULT_QUEUE = "default"
CELERY_WORKER_PREFETCH_MULTIPLIER = 1
CELERY_WORKER_HIJACK_ROOT_LOGGER = False
CELERY_BROKER_CONNECTION_RETRY_ON_STARTUP = True
# A Redis that answers and refuses (its disk or its memory is full) is waited for like one that is away. Without this it
# would end the workers, and with the broker worker the guard, which needs no queue.
CELERY_BROKER_CHANNEL_ERROR_RETRY = True
CELERY_BROKER_CONNECTION_MAX_RETRIES = None
# Redis is transport only: a message lost with it is sent again by the sweep, so publishing never waits for long.
CELERY_TASK_PUBLISH_RETRY_POLICY = {"max_retries": 1, "interval_start": 0.1, "interval_max": 0.2}
# One that hangs takes the connection and answers nothing. Longer than the second for which a worker asks it to wait.
CELERY_BROKER_TRANSPORT_OPTIONS = {
    "visibility_timeout": 3600,
    "socket_connect_timeout": 2,
    "socket_timeout": 3,
    "socket_keepalive": True,
}
CELERY_REDIS_SOCKET_TIMEOUT = 3.0
CELERY_REDIS_SOCKET_CONNECT_TIMEOUT = 2.0
CELERY_BEAT_SCHEDULE = {
    task: {"task": task, "schedule": 5.0, "options": {"expires": 5}}
    for task in ("executions.sweep", "alerts.watch", "alerts.deliver")
}

BROKER_TYPE = given["BROKER_TYPE"]
IB_HOST = given["IB_HOST"]
IB_PORT = given["IB_PORT"]
IB_CLIENT_ID = given["IB_CLIENT_ID"]
IB_DATA_CLIENT_ID = given["IB_DATA_CLIENT_ID"]
IB_ACCOUNT = given["IB_ACCOUNT"]
IB_TRADING_MODE = given["IB_TRADING_MODE"]
IB_MESSAGES_PER_SECOND = given["IB_MESSAGES_PER_SECOND"]
IB_TIME_ZONE = given["IB_TIME_ZONE"]
ACCOUNT_USE = given["ACCOUNT_USE"]
OTHERS_CLIENT_IDS = given["OTHERS_CLIENT_IDS"]
MARKET_ENTRY_RETAKE_SECONDS = given["MARKET_ENTRY_RETAKE_SECONDS"]
ORDERS_PER_CONTRACT_MAX = given["ORDERS_PER_CONTRACT_MAX"]
CLOSE_ROAD = given["CLOSE_ROAD"]
# Windows in which no new entry is begun.
GATEWAY_MAINTENANCE = given["GATEWAY_MAINTENANCE"]

# Where alerts are sent: Apprise addresses. They hold secrets.
ALERT_URLS = given["ALERT_URLS"]

AUTHENTICATION_BACKENDS = ["app.logins.backend.CountedBackend"]
# The longest a session lasts; `app.logins.sessions` ends it earlier where nobody acts.
SESSION_COOKIE_AGE = 7 * 24 * 3600
AUTH_PASSWORD_VALIDATORS = [
    {"NAME": "django.contrib.auth.password_validation.MinimumLengthValidator"},
    {"NAME": "django.contrib.auth.password_validation.CommonPasswordValidator"},
]
LOGIN_URL = "web:login"
LOGIN_REDIRECT_URL = "web:setup-list"
LOGOUT_REDIRECT_URL = "web:login"

LANGUAGE_CODE = "en-us"
TIME_ZONE = "UTC"
USE_TZ = True
FORMAT_MODULE_PATH = ["app.config.formats"]

# Collected by whoever needs them first, see app.web.static_files; served by the web process.
STATIC_URL = "static/"
# A clone that is mounted for reading, as in the development container, has its own folder beside it.
STATIC_ROOT = (
    ROOT / ".local" / "static"
    if os.access(ROOT, os.W_OK)
    else Path(tempfile.gettempdir()) / f"trading-analyst-static-{os.getuid()}"
)
STORAGES = {
    "default": {"BACKEND": "django.core.files.storage.FileSystemStorage"},
    "staticfiles": {"BACKEND": "app.web.static_files.CollectedStorage"},
}
WHITENOISE_USE_FINDERS = WHITENOISE_AUTOREFRESH = DEBUG
WHITENOISE_SKIP_COMPRESS_EXTENSIONS = ("map", "png", "svg", "woff", "woff2", "gz", "txt")

# Behind a TLS-terminating proxy set SECURE=true: cookies travel over HTTPS only and plain HTTP is redirected.
SECURE = given["SECURE"]
SESSION_COOKIE_SECURE = SECURE
CSRF_COOKIE_SECURE = SECURE
SECURE_SSL_REDIRECT = SECURE
# Health checks ask the process itself, not the proxy before it.
SECURE_REDIRECT_EXEMPT = [r"^healthz$", r"^readyz$", r"^metrics$"]
SECURE_HSTS_SECONDS = given["SECURE_HSTS_SECONDS"] if SECURE else 0
SECURE_PROXY_SSL_HEADER = ("HTTP_X_FORWARDED_PROTO", "https") if SECURE else None
SECURE_CONTENT_TYPE_NOSNIFF = True
# HSTS for subdomains, and the browsers' preload list, are for the owner of the whole domain to decide.
SILENCED_SYSTEM_CHECKS = ["security.W005", "security.W021"]
X_FRAME_OPTIONS = "DENY"
SECURE_REFERRER_POLICY = "same-origin"
# Only files of our own: no inline script, no inline style, no eval, on no page. Scripts may set styles by the CSSOM.
CONTENT_SECURITY_POLICY = {
    "DIRECTIVES": {
        "default-src": [SELF],
        "img-src": [SELF, "data:"],
        "object-src": [NONE],
        "base-uri": [NONE],
        "form-action": [SELF],
        "frame-ancestors": [NONE],
    }
}

# How many proxies of ours add to X-Forwarded-For. Without any, a client's own header must not choose its address.
PROXY_COUNT = given["PROXY_COUNT"]

REST_FRAMEWORK = {
    "DEFAULT_AUTHENTICATION_CLASSES": [
        "rest_framework.authentication.TokenAuthentication",
        "rest_framework.authentication.SessionAuthentication",
    ],
    "DEFAULT_PERMISSION_CLASSES": ["rest_framework.permissions.IsAuthenticated"],
    "DEFAULT_SCHEMA_CLASS": "drf_spectacular.openapi.AutoSchema",
    "DEFAULT_PAGINATION_CLASS": "app.api.pagination.NewestFirstCursor",
    "EXCEPTION_HANDLER": "app.api.exception_handler.handle",
    "DEFAULT_RENDERER_CLASSES": ["rest_framework.renderers.JSONRenderer"],
    "DEFAULT_PARSER_CLASSES": ["app.api.json_parser.StrictJSONParser"],
    "DEFAULT_METADATA_CLASS": "app.api.input_metadata.InputMetadata",
    # The Accept header chooses; `?format=` is no parameter of ours.
    "URL_FORMAT_OVERRIDE": None,
    "COERCE_DECIMAL_TO_STRING": True,
    "TEST_REQUEST_DEFAULT_FORMAT": "json",
    "NUM_PROXIES": PROXY_COUNT,
}
SPECTACULAR_SETTINGS = {
    "TITLE": "Trading Analyst",
    "DESCRIPTION": "Executes a trade setup at Interactive Brokers as a native bracket.",
    "VERSION": "1",
    "SERVE_INCLUDE_SCHEMA": False,
    "SWAGGER_UI_DIST": "SIDECAR",
    "SWAGGER_UI_FAVICON_HREF": "SIDECAR",
    "SCHEMA_PATH_PREFIX": "/api/v1",
    "SERVERS": [{"url": "/", "description": "The system that serves this description."}],
    "COMPONENT_SPLIT_REQUEST": True,
    "PREPROCESSING_HOOKS": ["app.api.schema.with_slash_only"],
    "POSTPROCESSING_HOOKS": [
        "drf_spectacular.hooks.postprocess_schema_enums",
        "app.api.schema.errors_by_status",
    ],
    "ENUM_NAME_OVERRIDES": {
        "OrderTypeEnum": "app.domain.terms.OrderType",
        "OrderStatusEnum": "app.domain.order_status.OrderStatus",
        "ExecutionStatusEnum": "app.domain.execution_status.ExecutionStatus",
        "CommandKindEnum": "app.domain.command.CommandKind",
    },
}

LOGGING = logging_config(level=given["LOG_LEVEL"], routine_tasks=tuple(CELERY_BEAT_SCHEDULE))
configure()
