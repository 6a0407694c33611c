"""Settings of Django, made of the few things that a host chooses; everything else is decided here, for safety first."""

from __future__ import annotations

import os
import secrets
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import unquote, urlsplit

from flyai_local.errors import UserError
from protocol.language import tr

PACKAGE = Path(__file__).resolve().parent
MB = 2**20
NETWORK_DRIVES = ("nfs", "nfs4", "cifs", "smb3", "smbfs", "fuse.sshfs", "9p", "ceph", "lustre", "afs")


@dataclass(frozen=True)
class Options:
    """What a host chooses.

    Args:
        folder: database (SQLite), uploads, logs and the secret key.
        database: postgresql://USER:PASSWORD@HOST:PORT/NAME, or "" for SQLite in the folder.
        hosts: names under which the site answers; ("*",) for any.
        https: cookies travel over HTTPS only; for a site behind a proxy that speaks it.
        admin: mount Django's admin at /admin/.
        max_upload_mb: the largest body of an upload.
        lease_seconds: how long a worker's word holds; a worker that is silent for longer has lost its run.
    """

    folder: Path
    database: str = ""
    hosts: tuple[str, ...] = ("*",)
    https: bool = False
    admin: bool = False
    max_upload_mb: int = 512
    lease_seconds: float = 30.0


def configure(options: Options) -> None:
    """Set Django up, once per process.

    Raises:
        UserError: the database cannot be used as it is named.
    """
    import django
    from django.conf import settings

    options.folder.mkdir(parents=True, exist_ok=True)
    options.folder.chmod(0o700)
    settings.configure(**values(options))
    django.setup()


def values(options: Options) -> dict[str, Any]:
    """The settings as a dict."""
    admin = ["django.contrib.admin", "django.contrib.messages", "django.contrib.staticfiles"] if options.admin else []
    return {
        "SECRET_KEY": _secret(options.folder),
        "DEBUG": False,
        "ALLOWED_HOSTS": [*options.hosts, "127.0.0.1", "localhost"],  # a worker of this machine asks there
        "DATABASES": {"default": database(options)},
        "INSTALLED_APPS": ["django.contrib.auth", "django.contrib.contenttypes", "django.contrib.sessions",
                           *admin, "flyai_site.apps.Site"],
        "MIDDLEWARE": [
            "flyai_site.guard.headers",
            "django.middleware.security.SecurityMiddleware",
            "django.contrib.sessions.middleware.SessionMiddleware",
            "django.middleware.locale.LocaleMiddleware",
            "django.middleware.common.CommonMiddleware",
            "django.middleware.csrf.CsrfViewMiddleware",
            "django.contrib.auth.middleware.AuthenticationMiddleware",
            *(["django.contrib.messages.middleware.MessageMiddleware"] if options.admin else []),
            "django.middleware.clickjacking.XFrameOptionsMiddleware",
            "flyai_site.guard.sentences",
        ],
        "TEMPLATES": [_templates(options.admin)],
        "ROOT_URLCONF": "flyai_site.urls",
        "DEFAULT_AUTO_FIELD": "django.db.models.BigAutoField",
        "PASSWORD_HASHERS": ["flyai_site.passwords.Argon2"],
        "AUTH_PASSWORD_VALIDATORS": [
            {"NAME": f"django.contrib.auth.password_validation.{name}"}
            for name in ("MinimumLengthValidator", "CommonPasswordValidator", "UserAttributeSimilarityValidator")
        ],
        "LOGIN_URL": "/login",
        "LOGIN_REDIRECT_URL": "/",
        "USE_TZ": True,
        "TIME_ZONE": os.environ.get("TZ") or "UTC",
        "USE_I18N": True,
        "LANGUAGE_CODE": "en",
        "LANGUAGES": [("en", "English"), ("zh-hans", "中文")],
        "LOCALE_PATHS": [str(PACKAGE / "locale")],
        "STATIC_URL": "/static/",
        "SESSION_COOKIE_HTTPONLY": True,
        "SESSION_COOKIE_SAMESITE": "Lax",
        "SESSION_COOKIE_SECURE": options.https,
        "CSRF_COOKIE_SECURE": options.https,
        "CSRF_COOKIE_HTTPONLY": True,
        "CSRF_COOKIE_SAMESITE": "Lax",
        "CSRF_FAILURE_VIEW": "flyai_site.guard.refused_form",
        "CSRF_TRUSTED_ORIGINS": [f"https://{name}" for name in options.hosts if name != "*"] if options.https else [],
        "SECURE_PROXY_SSL_HEADER": ("HTTP_X_FORWARDED_PROTO", "https") if options.https else None,
        "SECURE_CONTENT_TYPE_NOSNIFF": True,
        "SECURE_REFERRER_POLICY": "same-origin",
        "X_FRAME_OPTIONS": "DENY",
        "FILE_UPLOAD_HANDLERS": ["flyai_site.uploads.ToStorage"],
        "DATA_UPLOAD_MAX_MEMORY_SIZE": 2 * MB,  # text fields of a form; files go to the disk
        "DATA_UPLOAD_MAX_NUMBER_FILES": 4,
        "LOGGING": _logging(),
        "SITE": options,
    }  # fmt: skip


def database(options: Options) -> dict[str, Any]:
    """Django's entry for the database.

    Raises:
        UserError: the URL is none of PostgreSQL, or SQLite would lie on a network drive.
    """
    if not options.database:
        _refuse_network_drive(options.folder)
        return {
            "ENGINE": "django.db.backends.sqlite3",
            "NAME": str(options.folder / "site.sqlite"),
            "CONN_MAX_AGE": None,
            "OPTIONS": {
                "timeout": 30,
                "transaction_mode": "IMMEDIATE",  # two that would write the same rows wait for each other
                "init_command": "PRAGMA journal_mode=WAL; PRAGMA synchronous=NORMAL;",
            },
        }
    url = urlsplit(options.database)
    if url.scheme not in ("postgresql", "postgres") or not url.path.strip("/"):
        shown = url._replace(netloc=url.hostname or "").geturl()  # never a password
        raise UserError(
            tr(
                "--database {url!r} is not known: give postgresql://USER:PASSWORD@HOST:PORT/NAME, or leave it out for "
                "SQLite in the site's folder",
                url=shown,
            )
        )
    return {
        "ENGINE": "django.db.backends.postgresql",
        "NAME": unquote(url.path.strip("/")),
        "USER": unquote(url.username or ""),
        "PASSWORD": unquote(url.password or ""),
        "HOST": url.hostname or "",
        "PORT": str(url.port or ""),
        "CONN_MAX_AGE": None,
        "CONN_HEALTH_CHECKS": True,
    }


def _secret(folder: Path) -> str:
    """The key that signs sessions: made once, readable by the host alone."""
    file = folder / "secret"
    if not file.is_file():
        folder.mkdir(parents=True, exist_ok=True)
        with open(os.open(file, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "w", encoding="ascii") as sink:
            sink.write(secrets.token_urlsafe(48))
    return file.read_text(encoding="ascii")


def _templates(admin: bool) -> dict[str, Any]:
    processors = ["django.template.context_processors.request", "django.contrib.auth.context_processors.auth",
                  "flyai_site.pages.frame.common"]  # fmt: skip
    if admin:
        processors.append("django.contrib.messages.context_processors.messages")
    return {
        "BACKEND": "django.template.backends.django.DjangoTemplates",
        "DIRS": [str(PACKAGE / "templates")],
        "APP_DIRS": admin,
        "OPTIONS": {"context_processors": processors, "builtins": ["django.templatetags.i18n", "flyai_site.shown"]},
    }


def _logging() -> dict[str, Any]:
    return {
        "version": 1,
        "disable_existing_loggers": False,
        "handlers": {"stderr": {"class": "logging.StreamHandler"}},
        "loggers": {
            "django": {"handlers": ["stderr"], "level": "ERROR", "propagate": False},
            "waitress.queue": {"level": "ERROR"},  # it warns of every request that waits for a thread
        },
    }


def _refuse_network_drive(folder: Path) -> None:
    """SQLite's locks are not kept by network drives: two processes would write over each other."""
    try:
        mounts = [line.split() for line in Path("/proc/mounts").read_text(encoding="utf-8").splitlines()]
    except OSError:
        return
    above = [(mount[1], mount[2]) for mount in mounts if folder.absolute().is_relative_to(mount[1])]
    place, kind = max(above, key=lambda mount: len(mount[0]), default=("/", ""))
    if kind in NETWORK_DRIVES:
        raise UserError(
            tr(
                "{folder!r} lies on the network drive {place!r} ({kind}), where SQLite loses data: choose a local "
                "folder by --folder, or PostgreSQL by --database",
                folder=str(folder),
                place=place,
                kind=kind,
            )
        )
