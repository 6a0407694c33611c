"""Attacks by participants who read the source: edges of a day, halves of characters, masks, remnants."""

from __future__ import annotations

import copy
import io
import json
import re
import threading
import zipfile
from datetime import datetime, timedelta

import pytest
from a_site import PASSWORD, body, ended, make_contest, person, token, told, upload, worker
from django.contrib.auth.models import User
from django.db import connections
from django.test import Client
from django.utils import timezone

from flyai_local.errors import UserError
from flyai_local.remote import told as terminal
from flyai_site import backup, doors, queue, runlogs, storage, tries
from flyai_site.models import Contest, Member, Participant, Run, Submission, Worker
from flyai_site.pages import account
from flyai_site.pages.tries import listed
from flyai_site.plain import one_line, plain, whole

pytest_plugins = ["a_site"]
UNKEPT = "a\x00b\ud800c"  # PostgreSQL keeps no NUL, and nothing keeps half a character


def test_uploads_that_are_held_over_midnight_are_tries_of_the_day_before(contest, monkeypatch):
    contest.per_day, contest.opens = 2, timezone.now() - timedelta(days=3)
    contest.save()
    ada = person("ada", contest)
    midnight = timezone.localtime().replace(hour=0, minute=0, second=0, microsecond=0)
    monkeypatch.setattr(timezone, "now", lambda: midnight - timedelta(seconds=30))
    for at in range(2):
        upload(ada.user, contest, bytes([at]), arrived=midnight - timedelta(minutes=1))
    monkeypatch.setattr(timezone, "now", lambda: midnight + timedelta(minutes=2))  # the last bytes of the next ones
    with pytest.raises(UserError, match="today"):
        upload(ada.user, contest, b"held", arrived=midnight - timedelta(seconds=1))
    assert tries.left(contest, Participant.objects.get()) == (2, 98)
    upload(ada.user, contest, b"of the new day", arrived=midnight)


def test_a_day_of_25_hours_is_one_day(contest, monkeypatch):
    monkeypatch.setattr(timezone, "get_current_timezone", lambda: __import__("zoneinfo").ZoneInfo("Europe/Berlin"))
    contest.per_day = 1
    contest.opens, contest.closes = (
        datetime.fromisoformat(f"{day}T00:00:00+00:00") for day in ("2025-10-01", "2099-01-01")
    )
    contest.save()
    ada = person("ada", contest)
    first, last = (datetime.fromisoformat(text) for text in ("2025-10-26T00:05:00+02:00", "2025-10-26T23:55:00+01:00"))
    run = upload(ada.user, contest, b"1")
    Submission.objects.filter(pk=run.submission_id).update(arrived=first)
    who = Participant.objects.get()
    assert tries.left(contest, who, last)[0] == 0 and tries.left(contest, who, last + timedelta(minutes=6))[0] == 1


def test_what_is_refused_leaves_no_file_by_page_or_program(contest):
    contest.per_day = 1
    contest.save()
    ada = person("ada", contest)
    upload(ada.user, contest, b"the only try")
    before = sorted(storage.folder("blobs").rglob("*"))
    read = []

    class Body(io.BytesIO):
        def read(self, *given):
            read.append(given)
            return super().read(*given)

    where, own = f"/api/c/{contest.slug}/submissions", token(ada.user)
    assert ada.generic("POST", where, b"x" * 10, **own).status_code == 409
    for at in range(3):
        file = io.BytesIO(b"garbage" * at + b"!")
        file.name = "x.zip"
        assert ada.post(f"/c/{contest.slug}/submit", {"file": file}).status_code == 409
    assert sorted(storage.folder("blobs").rglob("*")) == before and not list(storage.folder("incoming").iterdir())
    answer = Client().post(where, **{**own, "wsgi.input": Body(b"x" * 10), "CONTENT_LENGTH": "10"})
    assert answer.status_code == 409 and not read  # used up: not a byte is read


def test_parallel_uploads_neither_pass_the_quota_nor_leave_files(contest):
    contest.in_total = 2
    contest.save()
    ada, results = person("ada", contest), []

    def send(at):
        try:
            upload(ada.user, contest, bytes([at]) * 1000)
            results.append("taken")
        except UserError:
            results.append("refused")
        finally:
            connections.close_all()

    threads = [threading.Thread(target=send, args=(at,)) for at in range(6)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    files = [file for file in storage.folder("blobs").rglob("*") if file.is_file()]
    hashes = set(Submission.objects.values_list("sha256", flat=True)) | {contest.data_sha256, contest.public_sha256}
    assert results.count("taken") == 2 and {file.name for file in files} == hashes
    assert not list(storage.folder("incoming").iterdir())


def test_last_words_that_no_database_keeps_still_end_the_run(contest):
    run = upload(person("ada", contest).user, contest)
    machine = worker()
    able = {"isolated": True, "note": UNKEPT}
    Client().post("/api/worker/claim", json.dumps(able), "application/json", **machine)
    end = {
        "state": "scored",
        "detail": UNKEPT,
        "code": None,
        "score": {"metric": UNKEPT, "total": 1.0, "per_class": {UNKEPT: 1.0}, "public_per_class": {UNKEPT: 2.0}},
    }
    answer = Client().post(f"/api/worker/runs/{run.pk}/1/finish", json.dumps(end), "application/json", **machine)
    run.refresh_from_db()
    assert answer.status_code == 200 and run.state == "scored" and run.detail == "a\ufffdb\ufffdc"
    assert body(person("ada", contest).get(f"/s/{run.submission_id}"))


def test_text_that_no_database_keeps_is_a_sentence_at_every_door(contest):
    ada = person("ada", contest)
    assert Client().post("/login", {"name": "a\x00b", "password": "x\x00"}).status_code == 400
    given = json.dumps({"name": UNKEPT, "password": UNKEPT})
    assert Client().post("/api/login", given, "application/json").status_code == 409
    eve = Client()
    eve.cookies.load('sessionid="a\\000b"')
    assert eve.get("/").status_code == 200 and eve.get("/me").status_code == 302
    person("bob").post(f"/c/{contest.slug}/join", {"name": "b\x00ob", "word": "\x00"})
    assert Participant.objects.filter(name="bob").exists()
    assert (
        ada.generic(
            "POST", f"/api/c/{contest.slug}/submissions", b"x", HTTP_X_LABEL="%00%ED%A0%80", **token(ada.user)
        ).status_code
        == 201
    )


def test_plain_text_is_plain_whatever_holds_it():
    assert plain([UNKEPT, {"k\x00": (UNKEPT, 1)}]) == ["a\ufffdb\ufffdc", {"k\ufffd": ("a\ufffdb\ufffdc", 1)}]
    assert plain(b"\x00") == b"\x00" and plain(None) is None and plain("完全") == "完全"


@pytest.mark.parametrize("number", ["²", "9" * 5000, "9" * 19, "-1", "+1", " 1", "１", "", "0x1", "1e3"])
def test_numbers_that_are_none_are_no_fault_of_the_site(contest, number):
    ada = person("ada", contest)
    run = upload(ada.user, contest)
    assert ada.post(f"/c/{contest.slug}/choose", {"chosen": [number]}).status_code == 302
    assert ada.get(f"/api/s/{run.submission_id}/log", {"from": number}, **token(ada.user)).status_code == 200
    where = f"/api/worker/runs/{run.pk}/1/log?from={number.strip() or 'x'}"
    assert Client().post(where, b"x", "application/octet-stream", **worker()).status_code in (404, 409)
    assert whole(number) is None


@pytest.mark.parametrize(
    "mask", ["Ada\u200b", "ADA", "A\u0000da", "\u202eAda", "A\u0301da"[:1] + "da\ufeff", " Ada ", "Ada\u2028"]
)
def test_nobody_wears_the_name_of_another(contest, mask):
    Participant.objects.create(contest=contest, name="Ada")
    eve = person("eve")
    assert eve.post(f"/c/{contest.slug}/join", {"name": mask}).status_code == 409
    assert not Member.objects.exists()


def test_a_name_is_one_line_that_shows_all_it_holds():
    assert one_line("王\u200b 小\t\u202e明\x1b[31m") == "王 小 明[31m" and one_line("e\u0301") == "é"
    assert one_line("\u200b") == ""


def test_strangers_send_no_large_bodies_and_members_do(contest):
    ada = person("ada", contest)
    mine, machine = token(ada.user), worker()
    assert doors.is_known({"AUTHORIZATION": mine["HTTP_AUTHORIZATION"]})
    assert doors.is_known({"AUTHORIZATION": machine["HTTP_AUTHORIZATION"]})
    assert doors.is_known({"COOKIE": "x=1; sessionid=" + ada.cookies["sessionid"].value})
    Worker.objects.update(active=False)
    for headers in (
        {},
        {"AUTHORIZATION": "Bearer fp_wrong"},
        {"AUTHORIZATION": "Bearer "},
        {"AUTHORIZATION": "Basic x"},
        {"COOKIE": "sessionid="},
        {"COOKIE": "sessionid=x"},
        {"COOKIE": 'sessionid="\\000"'},
        {"AUTHORIZATION": machine["HTTP_AUTHORIZATION"]},
    ):
        assert not doors.is_known(headers), headers


def test_a_team_pools_no_tries(contest):
    contest.per_day, contest.team_size = 1, 3
    contest.save()
    ada, bob, eve = person("ada", contest), person("bob"), person("eve", contest)
    word = re.search(r"ft_[\w-]+", body(ada.post(f"/c/{contest.slug}/team", follow=True)))[0]
    bob.post(f"/c/{contest.slug}/join", {"word": word})
    upload(ada.user, contest, b"1")
    with pytest.raises(UserError, match="today"):
        upload(bob.user, contest, b"2")
    assert eve.post(f"/c/{contest.slug}/join", {"word": word}).status_code == 409  # has a place, and keeps it
    upload(eve.user, contest, b"3")


def test_the_order_before_the_reveal_tells_nothing_of_the_private_score(contest):
    boards = []
    for high in ("ada", "bob"):
        for name in ("ada", "bob"):
            public, private = 50.0, 99.0 if name == high else 1.0
            ended(upload(person(name, contest).user, contest, f"{name}{high}".encode()), public, private)
        boards.append(
            [
                name
                for _, name, _ in re.findall(
                    r'id="p(\d+)".*?name">(\w+)</td>.*?>(50\.00)<', body(Client().get(f"/c/{contest.slug}/board/rows"))
                )
            ]
        )
    assert boards[0] == boards[1] == ["ada", "bob"]


def test_tags_and_lengths_do_not_depend_on_the_private_score(contest):
    seen = []
    run = ended(upload(person("ada", contest).user, contest), 50.0, 1.0)
    from flyai_site import standings
    from flyai_site.models import Score

    for private in (1.0, 100.0):
        Score.objects.filter(run=run).update(private=private, total=private, per_class={"0": private})
        standings._boards.clear()
        ada = person("ada", contest)
        paths = (f"/c/{contest.slug}/board/rows", f"/api/c/{contest.slug}/board", f"/s/{run.submission_id}/live")
        answers = [ada.get(path) for path in paths] + [ada.get(f"/api/s/{run.submission_id}", **token(ada.user))]
        answers.append(person("olga").get(f"/organise/{contest.slug}/export.csv"))
        seen.append([(body(one), one.headers.get("ETag")) for one in answers])
    assert seen[0] == seen[1]


def test_a_strangers_log_and_name_do_nothing_to_a_terminal():
    escape = "\x1b]0;owned\x07\x1b[2J"
    text = terminal.log(f"one\r\ntwo {escape}\rthree\n")
    assert text == "one\ntwo \\x1b]0;owned\\x07\\x1b[2J\nthree\n"
    board = {"contest": "c", "metric": "accuracy", "revealed": False,
             "rows": [{"rank": 1, "name": escape, "public": 1.0, "tries": 1, "at": "2026-01-01T00:00"}]}  # fmt: skip
    end = {"id": 1, "state": "failed", "code": "training-failed", "detail": escape, "public": None, "per_class": {}}
    assert "\x1b" not in terminal.board(board) and "\x1b" not in terminal.ending(end)


def test_a_formula_in_the_hosts_own_export_is_text(contest, tmp_path):
    ada = person("ada", contest)
    Participant.objects.update(name="=cmd|' /C calc'!A0")
    ended(upload(ada.user, contest))
    backup.export(contest.slug, tmp_path / "b.csv")
    assert ",'=cmd" in (tmp_path / "b.csv").read_text(encoding="utf-8-sig")


def test_pages_that_show_a_secret_are_kept_by_no_browser(contest):
    Contest.objects.update(team_size=2)
    ada, olga = person("ada", contest), person("olga")
    shown = [
        ada.post("/me", {"label": "x"}),
        olga.post(f"/organise/{contest.slug}/invite", {"labels": "A"}),
        olga.post("/organise/workers", {"name": "w"}),
        ada.post(f"/c/{contest.slug}/team", follow=True),
    ]
    for response in shown:
        assert re.search(r"f[pitw]_[\w-]{20}", body(response)) and response["Cache-Control"] == "no-store"
    assert ada.get("/me")["Cache-Control"] != "no-store"


def test_a_session_that_was_made_up_is_not_taken_over(site):
    User.objects.create_user("ada", password=PASSWORD)
    browser = Client()
    browser.cookies["sessionid"] = "x" * 32
    for where, given in (
        ("/login", {"name": "ada", "password": PASSWORD}),
        ("/register", {"name": "new", "password": PASSWORD}),
    ):
        browser.post(where, given)
        assert browser.cookies["sessionid"].value != "x" * 32
    inside = browser.cookies["sessionid"].value
    browser.post("/logout")
    thief = Client()
    thief.cookies["sessionid"] = inside
    assert thief.get("/me").status_code == 302  # a session that has ended opens nothing


def test_forms_of_a_thousand_fields_or_many_megabytes_are_sentences(contest):
    ada = person("ada", contest)
    many = ada.post(f"/c/{contest.slug}/join", {f"f{at}": "x" for at in range(1200)})
    huge = ada.post(f"/c/{contest.slug}/join", {"name": "x" * 3_000_000})
    odd = Client().generic("POST", "/login", b"--x\r\n" * 1000, "multipart/form-data; boundary=x")
    host = Client().get("/", headers={"host": "a b<c>"})
    for response in (many, huge, host):
        assert response.status_code == 400 and "understands" in body(response), response.status_code
    assert odd.status_code in (200, 400, 403) and "Traceback" not in body(odd)


def test_a_bomb_among_the_pictures_of_a_contest_is_refused_and_leaves_nothing(organiser, tmp_path):
    table, archive = tmp_path / "t.csv", tmp_path / "p.zip"
    table.write_text("image_path,label\na.png,0\nb.png,1\n")
    with zipfile.ZipFile(archive, "w", zipfile.ZIP_DEFLATED) as opened:
        opened.writestr("0.png", bytes(2**25))
        for at in range(1, 1000):  # every name leads to the same bytes
            twin = copy.copy(opened.filelist[0])
            twin.filename = f"{at}.png"
            opened.filelist.append(twin)
    assert archive.stat().st_size < 2**20
    olga = person("olga")
    with table.open("rb") as csv, archive.open("rb") as pictures:
        response = olga.post("/organise/new", {"csv": csv, "pictures": pictures, "slug": "bomb", "hidden": "0.5"})
    assert response.status_code == 409 and not Contest.objects.exists()
    assert not list(storage.folder("incoming").iterdir())


def test_a_log_piece_far_beyond_the_log_is_not_there(contest):
    ada = person("ada", contest)
    run = upload(ada.user, contest)
    machine = Worker.objects.create(name="w", token_hash="w")
    held = queue.claim(machine)
    assert runlogs.add(held, machine, 10**17, b"x") == 0 and not runlogs.path(held).exists()
    given = told(ada.get(f"/api/s/{run.submission_id}/log", {"from": 10**17}, **token(ada.user)))
    assert given["text"] == "" and Run.objects.get().log_bytes == 0


def test_nobody_shuts_another_out_by_guessing_at_the_name(site, monkeypatch):
    monkeypatch.setattr(account, "FOR_ONE_NAME_FROM_ALL", 25)
    User.objects.create_user("ada", password=PASSWORD)
    for at in range(15):  # more than one place may
        given = {"name": "ada", "password": f"wrong {at}"}
        assert Client().post("/login", given, REMOTE_ADDR="10.0.0.66").status_code == 400
    own = {"name": "ada", "password": PASSWORD}
    assert Client().post("/login", own, REMOTE_ADDR="10.0.0.66").status_code == 400
    assert Client().post("/login", own, REMOTE_ADDR="10.0.0.1").status_code == 302
    for place in range(3):  # guessing from many places ends too
        for _ in range(5):
            Client().post("/api/login", '{"name": "ada"}', "application/json", REMOTE_ADDR=f"10.0.1.{place}")
    assert Client().post("/login", own, REMOTE_ADDR="10.0.0.2").status_code == 400


def test_an_upload_whose_clock_was_put_back_is_taken_and_counted(contest, monkeypatch):
    contest.per_day = 1
    contest.save()
    ada, real = person("ada", contest), timezone.now()
    midday = timezone.localtime(real).replace(hour=12)
    monkeypatch.setattr(timezone, "now", lambda: midday)
    Contest.objects.update(opens=midday - timedelta(days=1), closes=midday + timedelta(days=1))
    Contest.objects.update(reveals=midday + timedelta(days=2))
    assert upload(ada.user, contest, b"1", arrived=midday + timedelta(hours=1)).state == "queued"  # "later" than now
    with pytest.raises(UserError, match="today"):
        upload(ada.user, contest, b"2", arrived=midday)


def test_the_platforms_own_words_on_its_fault_are_for_who_organises(contest):
    ada, said = person("ada", contest), "ValueError: the hidden label 7 is none of ..."
    run = ended(upload(ada.user, contest), state="crashed", code="platform-fault", detail=said)
    where = f"/s/{run.submission_id}"
    assert "hidden label" not in body(ada.get(where)) + body(ada.get(f"{where}/live"))
    assert "hidden label" not in body(ada.get(f"/api{where}", **token(ada.user)))
    assert "hidden label" in body(person("olga").get(where))


def test_the_newest_uploads_are_listed_each_with_its_newest_run(contest):
    ada = person("ada", contest)
    runs = [ended(upload(ada.user, contest, bytes([at])), 10.0 * at, 1.0) for at in range(1, 4)]
    ended(queue.again(runs[0].submission), 77.0, 1.0)
    listing = listed(contest, most=2)
    assert [row["submission"].pk for row in listing] == [run.submission_id for run in runs[:0:-1]]
    assert [row["figures"].public for row in listed(contest)] == [30.0, 20.0, 77.0]


def test_an_unfinished_contest_name_is_not_reused(organiser, pictures, contest):
    with pytest.raises(UserError, match="already"):
        make_contest(organiser, pictures, contest.slug.upper())
