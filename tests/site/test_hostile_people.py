"""People who mean harm: names with scripts, foreign numbers, tokens of the wrong kind, two tabs, bombs, odd clocks."""

from __future__ import annotations

import io
import json
import re
import threading
import zipfile
from datetime import timedelta

import pytest
from a_site import PASSWORD, body, close, ended, make_contest, person, token, told, upload, worker
from django.contrib.auth.models import User
from django.db import connection, connections, transaction
from django.db.utils import DatabaseError
from django.test import Client
from django.utils import timezone

from flyai_local.errors import UserError
from flyai_local.states import Code, State
from flyai_site import queue, rates, runlogs, storage
from flyai_site.models import Audit, Contest, Member, Participant, Run, Submission, Tally, Token, Worker
from flyai_site.words import hashed

pytest_plugins = ["a_site"]
SCRIPT = "<script>alert(1)</script>"


def test_scripts_in_names_labels_files_and_logs_are_text(contest):
    ada = person("ada", contest)
    Participant.objects.filter(name="ada").update(name=SCRIPT)
    Contest.objects.update(title=SCRIPT, rules=SCRIPT)
    run = ended(upload(ada.user, contest), state="failed", code=Code.TRAINING_FAILED.value, detail=SCRIPT)
    Submission.objects.update(label=SCRIPT)
    runlogs.path(run).write_text(SCRIPT)
    Run.objects.update(log_bytes=len(SCRIPT))
    olga = person("olga")
    for who, where in (
        (ada, f"/c/{contest.slug}"), (ada, f"/c/{contest.slug}/board"), (ada, f"/c/{contest.slug}/mine"),
        (ada, f"/s/{run.submission_id}"), (olga, f"/organise/{contest.slug}"),
        (olga, f"/organise/{contest.slug}/audit"),
    ):  # fmt: skip
        text = body(who.get(where))
        assert SCRIPT not in text and "&lt;script&gt;" in text, where
    log = ada.get(f"/s/{run.submission_id}/log")
    assert body(log) == SCRIPT
    assert log["Content-Type"].startswith("text/plain") and log["X-Content-Type-Options"] == "nosniff"


def test_every_page_forbids_inline_script_and_frames(contest):
    for where in ("/", f"/c/{contest.slug}", "/login", "/nowhere", "/api/contests"):
        response = Client().get(where)
        policy = response["Content-Security-Policy"]
        assert "script-src 'self'" in policy and "unsafe" not in policy and "frame-ancestors 'none'" in policy
        assert response["X-Frame-Options"] == "DENY"
        assert not re.search(r"<script(?![^>]*\ssrc=)|\son\w+=|\sstyle=|javascript:", body(response))


def test_a_report_is_shut_in(contest):
    ada = person("ada", contest)
    run = ended(upload(ada.user, contest))
    runlogs.report(run).write_text(SCRIPT)
    Run.objects.update(has_report=True)
    response = ada.get(f"/s/{run.submission_id}/report")
    assert response["Content-Security-Policy"].startswith("sandbox; default-src 'none'")
    assert "X-Frame-Options" not in response.headers and body(response) == SCRIPT
    assert 'sandbox=""' in body(ada.get(f"/s/{run.submission_id}"))
    assert person("eve", contest).get(f"/s/{run.submission_id}/report").status_code == 404


def test_forms_of_other_sites_are_refused(contest):
    strict = Client(enforce_csrf_checks=True)
    person("ada", contest, strict)
    for where in ("/logout", f"/c/{contest.slug}/choose", f"/c/{contest.slug}/join", "/me", "/language", "/login"):
        assert strict.post(where, {"name": "x"}).status_code == 403, where
    response = strict.post(f"/api/c/{contest.slug}/submissions", b"zip", content_type="application/octet-stream")
    assert response.status_code == 401 and not Submission.objects.exists()  # a cookie opens no door of the API


def test_logging_in_gives_the_session_a_new_key(site):
    User.objects.create_user("ada", password=PASSWORD)
    browser = Client()
    browser.post("/register", {"name": "x", "password": ""})
    session = browser.session
    session["known"] = "by the attacker"
    session.save()
    before = session.session_key
    browser.cookies["sessionid"] = before
    browser.post("/login", {"name": "ada", "password": PASSWORD})
    assert browser.cookies["sessionid"].value != before
    cookie = browser.cookies["sessionid"]
    assert cookie["httponly"] and cookie["samesite"] == "Lax"


def test_foreign_submissions_look_as_if_there_were_none(contest):
    run = ended(upload(person("ada", contest).user, contest))
    runlogs.path(run).write_text("secret")
    eve = person("eve", contest)
    headers = token(eve.user)
    for number in (run.submission_id, 10**9):
        for where in (f"/s/{number}", f"/s/{number}/log", f"/s/{number}/live", f"/s/{number}/report"):
            assert eve.get(where).status_code == 404 and Client().get(where).status_code == 404
        assert Client().get(f"/api/s/{number}", **headers).status_code == 404
        assert Client().get(f"/api/s/{number}/log", **headers).status_code == 404
    assert eve.post(f"/organise/{contest.slug}/r/{run.pk}/again").status_code == 403


def test_an_organiser_of_one_contest_is_nobody_in_another(contest, organiser, pictures):
    run = ended(upload(person("ada", contest).user, contest))
    teacher = person("teacher")
    User.objects.filter(username="teacher").update(is_staff=True)
    Contest.objects.create(**{**_fields(contest), "slug": "own", "owner": teacher.user})
    assert teacher.get("/organise/own").status_code == 200
    for where in (f"/organise/{contest.slug}", f"/organise/{contest.slug}/export.csv"):
        assert teacher.get(where).status_code == 403
    assert teacher.get(f"/s/{run.submission_id}").status_code == 404
    for deed in ("cancel", "again", "first"):  # a foreign run under the own contest's address
        assert teacher.post(f"/organise/own/r/{run.pk}/{deed}").status_code == 404
    who = Participant.objects.get(name="ada")
    assert teacher.post(f"/organise/own/p/{who.pk}", {"deed": "disqualify", "reason": "x"}).status_code == 404
    assert teacher.get("/organise/workers").status_code == 403


def _fields(contest):
    return {f.name: getattr(contest, f.name) for f in Contest._meta.fields if f.name != "id"}


def test_tokens_open_their_own_doors_only(contest):
    ada = person("ada", contest)
    run = upload(ada.user, contest)
    mine, machine = token(ada.user), worker()
    for where in ("/api/worker/claim", f"/api/worker/runs/{run.pk}/1/beat", f"/api/worker/runs/{run.pk}/1/finish"):
        assert Client().post(where, **mine).status_code == 401 and Client().post(where).status_code == 401
    for where in (f"/api/blobs/{contest.data_sha256}", f"/api/blobs/{run.submission.sha256}"):
        assert Client().get(where, **mine).status_code == 401
    for where in (f"/api/s/{run.submission_id}", "/api/mine"):
        assert Client().get(where, **machine).status_code == 401
    assert Client().post(f"/api/c/{contest.slug}/submissions", b"x", "application/zip", **machine).status_code == 401
    assert Client().get(f"/s/{run.submission_id}", **mine).status_code == 404  # pages know sessions only


def test_a_worker_gets_only_the_files_of_the_run_it_holds(contest):
    run = upload(person("ada", contest).user, contest)
    other = upload(person("bob", contest).user, contest)
    machine = worker()

    def ask(sha256):
        response = Client().get(f"/api/blobs/{sha256}", **machine)
        return response.status_code if body(response) else None

    assert ask(contest.data_sha256) == ask(run.submission.sha256) == 404
    given = told(Client().post("/api/worker/claim", b'{"isolated": true}', "application/json", **machine))
    assert given["run"] == run.pk and ask(contest.data_sha256) == ask(run.submission.sha256) == 200
    assert ask(other.submission.sha256) == 404 and ask("../secret") == 404 and ask("0" * 64) == 404
    Worker.objects.update(active=False)
    assert ask(contest.data_sha256) == 401


@pytest.mark.parametrize(("rows", "given"), [(20, 10), (64, 32), (63, 31), (1, 1), (1000, 32)])
def test_a_run_of_few_pictures_is_given_a_batch_that_they_fill_twice(contest, rows, given):
    Contest.objects.update(train_rows=rows)
    ada = person("ada", contest)
    upload(ada.user, contest)
    task = told(Client().post("/api/worker/claim", b'{"isolated": true}', "application/json", **worker()))
    assert task["batch"] == given and f"-b={given}</span>" in body(ada.get(f"/c/{contest.slug}"))


def test_a_worker_cannot_write_to_another_workers_run(contest):
    run = upload(person("ada", contest).user, contest)
    one, two = worker("one"), worker("two")
    Client().post("/api/worker/claim", b'{"isolated": true}', "application/json", **one)
    score = {"metric": "accuracy", "total": 100.0, "public": 100.0, "private": 100.0}
    end = json.dumps({"state": "scored", "score": score}).encode()
    for word, content in (("beat", b"{}"), ("finish", end), ("log?from=0", b"x"), ("state", b'{"state": "training"}')):
        assert (
            Client().post(f"/api/worker/runs/{run.pk}/1/{word}", content, "application/json", **two).status_code == 409
        )
    assert Client().put(f"/api/worker/runs/{run.pk}/1/report", b"x", **two).status_code == 409
    assert Run.objects.get(pk=run.pk).state == "packing"


@pytest.mark.parametrize(
    "end",
    [{"state": "queued"}, {"state": "scored"}, {"state": "failed", "score": {"total": 1}}, {"state": "nonsense"}, {},
     {"state": "scored", "score": {"total": "NaN"}}, {"state": "failed", "seconds": "x"},
     {"state": "scored", "score": [1]}, {"state": "failed", "code": "no-such-code"}],
)  # fmt: skip
def test_an_end_that_is_none_is_refused_and_the_run_goes_on(contest, end):
    run = upload(person("ada", contest).user, contest)
    machine = worker()
    Client().post("/api/worker/claim", b'{"isolated": true}', "application/json", **machine)
    where = f"/api/worker/runs/{run.pk}/1/finish"
    assert Client().post(where, json.dumps(end).encode(), "application/json", **machine).status_code == 409
    assert Run.objects.get(pk=run.pk).state == "packing"


def test_not_a_number_in_json_is_no_score(contest):
    run = upload(person("ada", contest).user, contest)
    machine = worker()
    Client().post("/api/worker/claim", b'{"isolated": true}', "application/json", **machine)
    for value in ("NaN", "Infinity", "true", "null"):
        text = f'{{"state": "scored", "score": {{"total": {value}}}}}'.encode()
        where = f"/api/worker/runs/{run.pk}/1/finish"
        assert Client().post(where, text, "application/json", **machine).status_code == 409


def test_two_uploads_at_once_take_one_last_try(contest, settings_of):
    contest.per_day = 1
    contest.save()
    ada = person("ada", contest)
    barrier, ends = threading.Barrier(4), []

    def send(at):
        try:
            barrier.wait()
            ends.append(upload(ada.user, contest, bytes([at])).pk)
        except UserError as error:
            ends.append(str(error))
        finally:
            connections.close_all()

    threads = [threading.Thread(target=send, args=(at,)) for at in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sum(isinstance(end, int) for end in ends) == 1 and Submission.objects.count() == 1


def test_a_body_that_is_too_large_leaves_nothing(contest):
    contest.max_mb = 1
    contest.save()
    ada = person("ada", contest)
    where = f"/api/c/{contest.slug}/submissions"
    large = ada.generic("POST", where, bytes(2**20 + 1), **token(ada.user))
    file = io.BytesIO(bytes(2**20 + 1))
    file.name = "x.zip"
    assert large.status_code == 413 and ada.post(f"/c/{contest.slug}/submit", {"file": file}).status_code == 413
    assert ada.generic("POST", where, b"", **token(ada.user)).status_code == 409
    wrong = ada.generic("POST", where, b"x", HTTP_X_SHA256="0" * 64, **token(ada.user))
    assert wrong.status_code == 409
    assert not list(storage.folder("incoming").iterdir()) and not Submission.objects.exists()


def test_a_form_without_a_file_or_with_many_is_a_sentence(contest):
    ada = person("ada", contest)
    assert ada.post(f"/c/{contest.slug}/submit", {}).status_code == 409
    files = {f"file{at}": io.BytesIO(b"x") for at in range(9)}
    assert ada.post(f"/c/{contest.slug}/submit", files).status_code in (400, 409)
    assert not list(storage.folder("incoming").iterdir())


def bomb(entries):
    text = io.BytesIO()
    with zipfile.ZipFile(text, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, content in entries:
            archive.writestr(name, content)
    return text.getvalue()


@pytest.mark.parametrize("name", ["../out.png", "/abs.png", "a/../../b.png", "c:\\x.png"])
def test_pictures_of_a_contest_stay_in_their_folder(organiser, tmp_path, name):
    table = tmp_path / "t.csv"
    table.write_text("image_path,label\n")
    archive = tmp_path / "p.zip"
    archive.write_bytes(bomb([(name, b"x")]))
    with pytest.raises(UserError):
        make_contest(organiser, (table, archive), "evil")
    assert not Contest.objects.exists() and not list(storage.folder("incoming").iterdir())


def test_a_contest_that_cannot_be_made_leaves_nothing(organiser, pictures):
    from flyai_local.home import competitions_folder

    for slug in ("../up", "new", "", "a b", "x" * 65):
        with pytest.raises(UserError, match="address"):
            make_contest(organiser, pictures, slug)
    with pytest.raises(UserError, match="before it closes"):
        make_contest(organiser, pictures, "good", opens="2026-01-02 00:00", closes="2026-01-01 00:00")
    make_contest(organiser, pictures, "good")
    with pytest.raises(UserError, match="already"):
        make_contest(organiser, pictures, "GOOD")
    assert not list(storage.folder("incoming").iterdir()) and not list(competitions_folder().iterdir())


def test_an_archive_of_any_name_is_stored_by_its_hash_alone(contest):
    ada = person("ada", contest)
    file = io.BytesIO(b"zip")
    file.name = "../../etc/passwd"
    assert ada.post(f"/c/{contest.slug}/submit", {"file": file, "label": "../../x"}).status_code == 302
    own = Submission.objects.get()
    assert storage.blob(own.sha256).read_bytes() == b"zip"
    with pytest.raises(ValueError):
        storage.blob("../../etc/passwd")


def test_guessing_passwords_is_slowed_down_by_name_and_by_address(site):
    User.objects.create_user("ada", password=PASSWORD)
    answers = [Client().post("/login", {"name": "ada", "password": "x"}).status_code for _ in range(11)]
    assert set(answers[:10]) == {400}
    right = Client().post("/login", {"name": "ada", "password": PASSWORD})
    assert right.status_code == 400 and "Too many" in body(right)
    assert Client().post("/login", {"name": "bob", "password": PASSWORD}).status_code == 400
    given = Client().post("/api/login", json.dumps({"name": "ada", "password": PASSWORD}), "application/json")
    assert given.status_code == 429
    Tally.objects.update(minute=0)
    assert Client().post("/login", {"name": "ada", "password": PASSWORD}).status_code == 302


def test_a_rate_is_counted_by_the_minute(site, monkeypatch):
    for _ in range(3):
        rates.tick("k", 3)
    with pytest.raises(rates.TooManyError):
        rates.tick("k", 3)
    rates.tick("other", 3)
    minute = rates.this_minute()
    monkeypatch.setattr(rates, "this_minute", lambda: minute + 1)
    rates.tick("k", 3)


def test_wrong_name_and_wrong_password_read_alike(site):
    User.objects.create_user("ada", password=PASSWORD)
    texts = {
        re.sub(r'value="[^"]*"', "", body(Client().post("/login", {"name": n, "password": "no"})))
        for n in ("ada", "eve")
    }
    assert len(texts) == 1


def test_after_login_nobody_is_sent_to_another_site(site):
    User.objects.create_user("ada", password=PASSWORD)
    for wished in ("https://evil.example/", "//evil.example", "javascript:alert(1)"):
        response = Client().post("/login", {"name": "ada", "password": PASSWORD, "next": wished})
        assert response["Location"] == "/"
    assert Client().post("/language", {"language": "zh-hans", "next": "https://evil.example/"})["Location"] == "/"


def test_tokens_are_shown_once_kept_as_hashes_and_end(contest):
    ada = person("ada", contest)
    word = re.search(r"fp_[\w-]+", body(ada.post("/me", {"label": "laptop"})))[0]
    assert word not in body(ada.get("/me")) and word not in str(list(Token.objects.values()))
    headers = {"HTTP_AUTHORIZATION": f"Bearer {word}"}
    assert Client().get("/api/mine", **headers).status_code == 200
    Token.objects.update(expires=timezone.now())
    assert Client().get("/api/mine", **headers).status_code == 401
    Token.objects.update(expires=timezone.now() + timedelta(days=1))
    User.objects.filter(username="ada").update(is_active=False)
    assert Client().get("/api/mine", **headers).status_code == 401


def test_passwords_are_kept_by_argon2():
    from flyai_site.passwords import Argon2
    from flyai_site.settings import Options, values

    kept = Argon2().encode("word", "salt-salt-salt")
    assert kept.startswith("argon2$argon2id$") and "m=19456,t=2,p=1" in kept and Argon2().verify("word", kept)

    assert values(Options(storage.folder()))["PASSWORD_HASHERS"] == ["flyai_site.passwords.Argon2"]


def test_weak_and_taken_names_and_passwords_are_refused(site):
    for name, password in (("a", PASSWORD), ("<b>", PASSWORD), ("ada", "short"), ("ada", "password1"), ("ada", "")):
        assert Client().post("/register", {"name": name, "password": password}).status_code == 400
    assert Client().post("/register", {"name": "ada", "password": PASSWORD}).status_code == 302
    assert Client().post("/register", {"name": "ADA", "password": PASSWORD}).status_code == 400


def test_invitations_admit_one_person_each(organiser, contest):
    Contest.objects.update(by_invitation=True)
    words = re.findall(
        r"fi_[\w-]+", body(person("olga").post(f"/organise/{contest.slug}/invite", {"labels": "A\nB\n"}))
    )
    ada, eve = person("ada"), person("eve")
    assert len(words) == 2 and eve.post(f"/c/{contest.slug}/join", {"word": "fi_wrong"}).status_code == 409
    assert ada.post(f"/c/{contest.slug}/join", {"word": words[0]}).status_code == 302
    assert eve.post(f"/c/{contest.slug}/join", {"word": words[0]}).status_code == 409
    assert ada.post(f"/c/{contest.slug}/join", {"word": words[1], "name": "second me"}).status_code == 409
    assert Member.objects.count() == 1


def test_a_team_takes_no_more_than_it_may(contest):
    Contest.objects.update(team_size=2)
    ada = person("ada", contest)
    word = re.search(r"ft_[\w-]+", body(ada.post(f"/c/{contest.slug}/team", follow=True)))[0]
    assert person("bob").post(f"/c/{contest.slug}/join", {"word": word}).status_code == 302
    assert person("eve").post(f"/c/{contest.slug}/join", {"word": word}).status_code == 409
    assert Participant.objects.count() == 1 and Member.objects.count() == 2


def test_the_audit_can_only_grow(contest):
    assert Audit.objects.filter(verb="contest-created").exists()
    for deed in (lambda: Audit.objects.update(who="nobody"), lambda: Audit.objects.all().delete()):
        with pytest.raises(DatabaseError, match="append-only"), transaction.atomic():
            deed()


def test_a_clock_that_jumps_neither_sticks_a_run_nor_takes_it_from_a_living_worker(contest, monkeypatch):
    run = upload(person("ada", contest).user, contest)
    one, two = (Worker.objects.create(name=name, token_hash=name) for name in "ab")
    assert queue.claim(one).pk == run.pk and queue.claim(two) is None
    real = queue.now
    monkeypatch.setattr(queue, "now", lambda: real() - timedelta(hours=1))  # the clock was put back: the lease lies
    assert queue.claim(two).pk == run.pk  # an hour ahead, further than any can, and counts as over
    with pytest.raises(queue.LateError):
        queue.beat(run.pk, 1, one)
    monkeypatch.setattr(queue, "now", lambda: real() + timedelta(hours=1))  # put forward: who speaks first keeps it
    queue.beat(run.pk, 2, two)
    assert queue.claim(one) is None


def test_three_lost_workers_end_a_run_free_of_charge(contest, monkeypatch):
    run = upload(person("ada", contest).user, contest)
    machine = Worker.objects.create(name="w", token_hash="w")
    real, hours = queue.now, 0
    for hours in range(3):
        monkeypatch.setattr(queue, "now", lambda hours=hours: real() + timedelta(hours=hours))
        assert queue.claim(machine).attempt == hours + 1
    monkeypatch.setattr(queue, "now", lambda: real() + timedelta(hours=9))
    assert queue.claim(machine) is None
    run.refresh_from_db()
    assert (run.state, run.code) == ("crashed", "worker-lost") and not Submission.objects.get().counts


def test_a_run_whose_worker_was_lost_twice_does_not_hold_up_the_queue(contest, monkeypatch):
    first = upload(person("ada", contest).user, contest)
    second = upload(person("bob", contest).user, contest)
    machine = Worker.objects.create(name="w", token_hash="w")
    Run.objects.filter(pk=first.pk).update(attempt=3, state="training", lease_until=timezone.now() - timedelta(1))
    assert queue.claim(machine).pk == second.pk
    assert Run.objects.get(pk=first.pk).state == "crashed"


def test_a_log_cannot_be_grown_without_end_or_twice(contest):
    run = upload(person("ada", contest).user, contest)
    machine = Worker.objects.create(name="w", token_hash="w")
    held = queue.claim(machine)
    assert runlogs.add(held, machine, 0, b"one\n") == 4
    held.refresh_from_db()
    assert runlogs.add(held, machine, 0, b"one\n") == 4 and runlogs.path(held).read_bytes() == b"one\n"
    Run.objects.update(log_bytes=runlogs.MAX_BYTES - 2)
    held.refresh_from_db()
    assert runlogs.add(held, machine, runlogs.MAX_BYTES - 2, b"12345") == runlogs.MAX_BYTES
    assert run.pk == held.pk


def test_a_formula_in_an_export_is_text(contest):
    ada = person("ada", contest)
    Participant.objects.update(name='=HYPERLINK("http://evil")')
    ended(upload(ada.user, contest))
    text = body(person("olga").get(f"/organise/{contest.slug}/export.csv"))
    assert "'=HYPERLINK" in text and ",=HYPERLINK" not in text and ',"=HYPERLINK' not in text


def test_admin_is_not_there_unless_asked_for(site):
    assert Client().get("/admin/").status_code == 404


def test_errors_are_sentences_not_traces(contest):
    ada = person("ada", contest)
    for response in (
        Client().get("/c/nowhere"), Client().get("/s/1"), ada.get("/organise/new"), Client().post(f"/c/{contest.slug}"),
        Client().post("/api/login", b"not json", "application/json"),
        Client().post("/api/login", b"[1]", "application/json"),
        Client().generic("POST", "/api/login", b"[" * 100000, "application/json"), Client().get("/c/%00/board"),
        ada.get("/s/99999999999999999999999999"), Client().get(f"/c/{contest.slug}/board/rows?x=%ff"),
    ):  # fmt: skip
        assert response.status_code in (200, 400, 403, 404, 405, 409) and "Traceback" not in body(response)


def test_the_code_of_another_organisers_word_is_not_guessable():
    assert hashed("fp_a") != hashed("fp_b") and len(hashed(" fp_a ")) == 64 and hashed(" fp_a ") == hashed("fp_a")


def test_times_and_limits_that_make_no_sense_are_refused(contest):
    olga = person("olga")
    good = {"opens": "2026-01-01T00:00", "closes": "2026-02-01T00:00", "reveals": "2026-02-01T00:00"}
    for wrong in ({"closes": "2025-01-01T00:00"}, {"reveals": "2026-01-15T00:00"}, {"opens": "soon"}, {"per_day": "0"},
                  {"per_day": "1.5"}, {"minutes": "nan"}, {"max_mb": "1e99"}, {"batch": "-1"}):  # fmt: skip
        response = olga.post(f"/organise/{contest.slug}/settings", {**good, **wrong})
        assert response.status_code == 409, wrong
    assert olga.post(f"/organise/{contest.slug}/settings", good).status_code == 302
    row = Audit.objects.filter(verb="contest-changed").get()
    assert row.before["closes"] != row.after["closes"] and row.who == "olga"


def test_after_the_close_every_door_is_shut(contest):
    ada = person("ada", contest)
    close(contest)
    file = io.BytesIO(b"zip")
    file.name = "x.zip"
    assert ada.post(f"/c/{contest.slug}/submit", {"file": file}).status_code == 409
    assert ada.generic("POST", f"/api/c/{contest.slug}/submissions", b"zip", **token(ada.user)).status_code == 409
    assert State.QUEUED.value == "queued" and not Run.objects.exists() and connection.vendor == "sqlite"
