"""A site in this process: Django on a fresh SQLite file for every test, copied from one that was migrated once.

Its fixtures come by `pytest_plugins = ["a_site"]` (a second conftest.py would hide the first); its name
puts it before Django in the order of imports, which it must set up. PYTEST_DONT_REWRITE
"""

from __future__ import annotations

import atexit
import hashlib
import json
import shutil
import tempfile
import time
import zipfile
from datetime import timedelta
from pathlib import Path

import pytest

from flyai_site.settings import Options, configure

PASSWORD = "a-long-enough-word"
FOLDER = Path(tempfile.mkdtemp(prefix="flyai-site-"))
configure(Options(FOLDER, max_upload_mb=8, lease_seconds=600.0))  # models can be imported from here on
atexit.register(shutil.rmtree, FOLDER, ignore_errors=True)


@pytest.fixture(scope="session")
def django_ready():
    """Django, set up once; the migrated database that every test begins with."""
    from django.conf import settings
    from django.core.management import call_command
    from django.db import connection
    from django.test.utils import setup_test_environment
    from django.utils import timezone

    setup_test_environment()
    settings.TIME_ZONE = _noon()
    timezone.get_default_timezone.cache_clear()
    settings.PASSWORD_HASHERS = ["django.contrib.auth.hashers.MD5PasswordHasher"]  # argon2 is slow on purpose
    call_command("migrate", verbosity=0)
    connection.close()
    template = FOLDER / "template.sqlite"
    (FOLDER / "site.sqlite").rename(template)
    return template


def _noon() -> str:
    """A zone in which it is noon: no test meets midnight, where tries of a day begin anew."""
    return f"Etc/GMT{time.gmtime().tm_hour - 12:+d}"


@pytest.fixture(scope="session")
def server():
    """The URL of a PostgreSQL of these tests' own, or None where there is none."""
    from benchmarks.site_postgres import postgres

    with postgres() as url:
        yield url


@pytest.fixture
def site(django_ready, tmp_path, settings_of, monkeypatch):
    """A fresh site: an empty database and folder, in a minute that does not end, where guesses are counted."""
    from flyai_site import rates

    monkeypatch.setattr(rates, "this_minute", lambda: 30_000_000)
    return settings_of(tmp_path / "site")


@pytest.fixture
def settings_of(django_ready):
    """Point Django at another folder; returns the options."""
    from dataclasses import replace

    from django.conf import settings
    from django.db import connections
    from django.utils import translation

    from flyai_site import standings

    def point(folder: Path, database: Path | None = None) -> Options:
        folder.mkdir(parents=True, exist_ok=True)
        connections.close_all()
        if not (folder / "site.sqlite").exists():
            shutil.copyfile(django_ready, folder / "site.sqlite")
        connections["default"].settings_dict["NAME"] = str(folder / "site.sqlite")
        (folder / "secret").write_text("only-for-tests")
        settings.SITE = replace(settings.SITE, folder=folder)
        standings._boards.clear()
        translation.activate("en")  # whatever the last request of another test was in
        return settings.SITE

    yield point
    connections.close_all()


@pytest.fixture
def pictures(tmp_path):
    """A CSV of 40 rows of two classes, and the zip of its pictures (the smallest PNG there is, one byte different)."""
    table = tmp_path / "train.csv"
    rows = [(f"{at:02d}.png", at % 2) for at in range(40)]
    table.write_text("image_path,label\n" + "".join(f"{name},{label}\n" for name, label in rows))
    archive = tmp_path / "pictures.zip"
    with zipfile.ZipFile(archive, "w") as opened:
        for name, label in rows:
            opened.writestr(name, picture(name, label))
    return table, archive


def picture(name: str, label: int) -> bytes:
    """A PNG of 8 x 8 pixels whose grey tells the class, with a little noise of its own."""
    import cv2
    import numpy as np

    rng = np.random.default_rng(int(name[:2]))
    pixels = (60 + 120 * label + rng.integers(0, 30, (8, 8, 3))).astype(np.uint8)
    return cv2.imencode(".png", pixels)[1].tobytes()


@pytest.fixture
def organiser(site):
    """The site's organiser."""
    from django.contrib.auth.models import User

    return User.objects.create_superuser("olga", password=PASSWORD)


@pytest.fixture
def contest(organiser, pictures):
    """A code contest of the pictures, open now."""
    return make_contest(organiser, pictures)


def make_contest(owner, pictures, slug="class", kind="code", **wished):
    from flyai_site import contests

    table, archive = pictures
    with contests.from_upload(table, archive, 0.5, ("image_path", "label"), "accuracy") as card:
        return contests.create(slug, card, kind, owner, **wished)


def person(name, contest=None, client=None):
    """A person with a browser, in the contest where one is given."""
    from django.contrib.auth.models import User
    from django.test import Client

    from flyai_site.models import Member, Participant

    user = User.objects.filter(username=name).first() or User.objects.create_user(name, password=PASSWORD)
    browser = client or Client()
    browser.force_login(user)
    browser.user = user
    if contest is not None and not Member.objects.filter(contest=contest, user=user).exists():
        who = Participant.objects.create(contest=contest, name=name)
        Member.objects.create(contest=contest, participant=who, user=user)
    return browser


def token(user) -> dict[str, str]:
    """The header of a new personal token."""
    from flyai_site.pages.account import make_token

    return {"HTTP_AUTHORIZATION": f"Bearer {make_token(user, 'test')}"}


def worker(name="one") -> dict[str, str]:
    """The header of a new worker's token."""
    from flyai_site.pages.organise import make_worker

    return {"HTTP_AUTHORIZATION": f"Bearer {make_worker('test', name)}"}


def upload(user, contest, content=b"", arrived=None):
    """Put an upload into the queue, as the views do."""
    from django.utils import timezone

    from flyai_site import storage, tries

    content = content or hashlib.sha256(str(user).encode()).digest()
    return tries.take(contest, user, storage.arrive([content], 2**20), arrived or timezone.now(), "")


def ended(run, public=50.0, private=60.0, state="scored", name="one", code="", detail=""):
    """Claim runs until this one comes and end it with a score, as a worker does."""
    from flyai_local.states import Code, State
    from flyai_site import queue
    from flyai_site.models import Worker

    machine = Worker.objects.get_or_create(name=name, defaults={"token_hash": f"no token {name}"})[0]
    held = queue.claim(machine)
    assert held is not None and held.pk == run.pk, f"run {held and held.pk} came, not {run.pk}"
    score = {
        "metric": "accuracy",
        "total": round((public * 3 + private * 7) / 10, 2),
        "public": public,
        "private": private,
        "per_class": {"0": round(private + 1.11, 2), "1": round(private - 1.11, 2)},
        "public_per_class": {"0": public, "1": public},
    }
    queue.finish(
        run.pk, held.attempt, machine, State(state), Code(code) if code else None, detail, 1.5, 20.0,
        score if state == "scored" else None,
    )  # fmt: skip
    run.refresh_from_db()
    return run


def close(contest, revealed=False):
    """Let the contest be over, and revealed where wished."""
    from django.utils import timezone

    now = timezone.now()
    contest.opens, contest.closes = now - timedelta(days=9), now - timedelta(seconds=1)
    contest.reveals = contest.closes if revealed else now + timedelta(days=1)
    contest.version += 1
    contest.save()


def body(response) -> str:
    """The text of an answer, streamed or not."""
    content = b"".join(response.streaming_content) if response.streaming else response.content
    return content.decode("utf-8", "replace")


def told(response):
    """The JSON of an answer."""
    return json.loads(body(response))
