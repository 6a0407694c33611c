"""What a contest promises: nothing private before the reveal, one row each, the first byte's time, tries that count."""

from __future__ import annotations

import re
from datetime import timedelta

import pytest
from a_site import body, close, ended, make_contest, person, token, told, upload
from django.test import Client
from django.urls import get_resolver
from django.utils import timezone

from flyai_local.errors import UserError
from flyai_local.states import Code, State
from flyai_site import queue, standings, tries
from flyai_site.models import Contest, Participant, Run, Submission

pytest_plugins = ["a_site"]
SECRETS = ("87.31", "88.42", "86.2")  # private score, and the per-class figures that `ended` makes of it
TOTAL = "70.5"


def every_address(contest, run):
    """Every GET address of the site with this contest's, submission's and run's numbers put in."""
    values = {"slug": contest.slug, "number": run.submission_id, "run": run.pk, "attempt": run.attempt, "deed": "again",
              "tag": "x", "name": "site.css", "sha256": contest.data_sha256}  # fmt: skip
    found = []
    for pattern in get_resolver().url_patterns:
        route = str(pattern.pattern)
        found.append("/" + re.sub(r"<(?:\w+:)?(\w+)>", lambda m: str(values[m[1]]), route))
    return found


@pytest.fixture
def scored(contest):
    ada = person("ada", contest)
    run = upload(ada.user, contest)
    detail = "with the right type the score would be 87.31 instead of 70.5"
    return ended(run, 31.25, 87.31, code=Code.LABEL_TYPE.value, detail=detail), ada


def test_no_address_tells_a_private_score_before_the_reveal(contest, scored):
    run, ada = scored
    olga = person("olga")
    headers = token(ada.user)
    seen = 0
    for where in every_address(contest, run):
        for ask in (ada.get, Client().get, olga.get, lambda path: Client().get(path, **headers)):
            response = ask(where)
            text = body(response) + str(dict(response.headers))
            assert not any(secret in text for secret in (*SECRETS, TOTAL)), where
            seen += "31.25" in text
    assert seen > 5  # the public score is there, so the crawl did see figures


def test_after_the_reveal_the_private_score_ranks_and_is_shown(contest, scored):
    run, ada = scored
    close(contest, revealed=True)
    for where in (f"/c/{contest.slug}/board", f"/s/{run.submission_id}", f"/api/c/{contest.slug}/board"):
        assert "87.31" in body(ada.get(where)), where
    assert "87.31" in body(person("olga").get(f"/organise/{contest.slug}/export.csv"))


def test_a_reveal_that_is_set_before_the_close_waits_for_it(contest, scored):
    Contest.objects.filter(pk=contest.pk).update(reveals=timezone.now() - timedelta(days=1))
    assert "87.31" not in body(Client().get(f"/c/{contest.slug}/board"))
    refused = person("olga").post(f"/organise/{contest.slug}/reveal")
    assert refused.status_code == 409


def test_only_reveal_reads_what_is_private():
    from flyai_site.settings import PACKAGE

    readers = set()
    for path in PACKAGE.rglob("*.py"):
        text = path.read_text(encoding="utf-8")
        if re.search(r"score\w*\.(private|total|per_class)\b", text) and "worker" not in path.parts:
            readers.add(path.name)
    assert readers == {"reveal.py"}


def test_one_row_per_participant_with_the_best(contest):
    ada, bob = person("ada", contest), person("bob", contest)
    for who, public in ((ada, 40.0), (bob, 55.0), (ada, 70.0), (ada, 60.0)):
        ended(upload(who.user, contest, str(public).encode()), public, 50.0)
    rows = standings.standings(contest)
    assert [(row.rank, row.name, row.public, row.tries) for row in rows] == [(1, "ada", 70.0, 3), (2, "bob", 55.0, 1)]


def test_equal_scores_share_a_rank_and_the_earlier_stands_first(contest):
    for name, public in (("late", 50.0), ("early", 50.0), ("last", 10.0)):
        run = ended(upload(person(name, contest).user, contest), public, 1.0)
        if name == "early":
            Submission.objects.filter(pk=run.submission_id).update(arrived=timezone.now() - timedelta(hours=1))
    assert [(row.rank, row.name) for row in standings.standings(contest)] == [(1, "early"), (1, "late"), (3, "last")]


def test_the_chosen_count_at_the_end_and_the_best_public_ones_fill_up(contest):
    ada = person("ada", contest)
    scores = [(90.0, 10.0), (80.0, 20.0), (70.0, 99.0), (60.0, 30.0)]
    runs = [ended(upload(ada.user, contest, bytes([at])), *both) for at, both in enumerate(scores)]
    close(contest, revealed=True)
    assert standings.standings(contest)[0].private == 20.0  # best two of the public score
    Submission.objects.filter(pk=runs[3].submission_id).update(chosen=True)
    assert standings.standings(contest)[0].private == 30.0  # the chosen one and the best public one


def test_more_than_the_allowed_number_cannot_be_chosen_nor_any_after_the_close(contest):
    ada = person("ada", contest)
    runs = [ended(upload(ada.user, contest, bytes([at]))) for at in range(3)]
    numbers = [run.submission_id for run in runs]
    assert ada.post(f"/c/{contest.slug}/choose", {"chosen": numbers}).status_code == 409
    assert ada.post(f"/c/{contest.slug}/choose", {"chosen": numbers[:2]}).status_code == 302
    assert Submission.objects.filter(chosen=True).count() == 2
    close(contest)
    assert ada.post(f"/c/{contest.slug}/choose", {"chosen": numbers[2:]}).status_code == 409


def test_nobody_chooses_what_another_uploaded(contest):
    ada, bob = person("ada", contest), person("bob", contest)
    other = ended(upload(bob.user, contest))
    ada.post(f"/c/{contest.slug}/choose", {"chosen": [other.submission_id]})
    assert not Submission.objects.get(pk=other.submission_id).chosen


def test_the_first_byte_decides(contest):
    ada = person("ada", contest)
    now = timezone.now()
    contest.opens, contest.closes = now - timedelta(days=1), now - timedelta(minutes=1)
    contest.save()
    assert upload(ada.user, contest, arrived=contest.closes - timedelta(seconds=1)).state == "queued"
    contest.reveals = now + timedelta(days=1)
    contest.save()
    with pytest.raises(UserError, match="closed"):
        upload(ada.user, contest, b"2", arrived=contest.closes)
    with pytest.raises(UserError, match="15 minutes"):
        tries.refuse_closed(contest, timezone.now() - tries.SLOWEST - timedelta(seconds=1))
    contest.opens = contest.closes
    with pytest.raises(UserError, match="not opened"):
        tries.refuse_closed(contest, contest.opens - timedelta(seconds=1))


def test_a_header_cannot_name_the_time_of_arrival(contest):
    close(contest)
    ada = person("ada", contest)
    headers = {**token(ada.user), "HTTP_FLYAI_ARRIVED": "0", "HTTP_X_ARRIVED": "0"}
    response = ada.generic("POST", f"/api/c/{contest.slug}/submissions", b"zip", **headers)
    assert response.status_code == 409 and Submission.objects.count() == 0


def test_tries_are_counted_and_faults_of_the_platform_are_free(contest):
    contest.per_day, contest.in_total = 2, 3
    contest.save()
    ada = person("ada", contest)
    who = Participant.objects.get(name="ada")
    crashed = ended(upload(ada.user, contest, b"0"), state="crashed", code=Code.PLATFORM_FAULT.value)
    assert tries.left(contest, who) == (2, 3) and not Submission.objects.get(pk=crashed.submission_id).counts
    ended(upload(ada.user, contest, b"1"), state="failed", code=Code.TRAINING_FAILED.value)
    upload(ada.user, contest, b"2")
    with pytest.raises(UserError, match="today"):
        upload(ada.user, contest, b"3")
    Submission.objects.update(arrived=timezone.now() - timedelta(days=2))
    upload(ada.user, contest, b"4")
    with pytest.raises(UserError, match="All 3"):
        upload(ada.user, contest, b"5")


def test_cancelled_while_it_waited_is_free_and_later_is_not(contest):
    from flyai_site.models import Worker

    ada = person("ada", contest)
    waiting = upload(ada.user, contest, b"1")
    assert queue.cancel(waiting.pk) and not Submission.objects.get(pk=waiting.submission_id).counts
    begun = upload(ada.user, contest, b"2")
    machine = Worker.objects.create(name="w", token_hash="w")
    held = queue.claim(machine)
    assert held.pk == begun.pk and queue.cancel(begun.pk) and not queue.cancel(begun.pk)
    assert Submission.objects.get(pk=begun.submission_id).counts
    with pytest.raises(queue.LateError):
        queue.beat(begun.pk, 1, machine)


def test_the_old_score_stands_until_the_new_run_ends(contest):
    ada = person("ada", contest)
    run = ended(upload(ada.user, contest), 40.0, 50.0)
    again = queue.again(run.submission)
    assert standings.standings(contest)[0].public == 40.0
    fresh = upload(ada.user, contest, b"fresh")
    ended(fresh, 30.0, 1.0)  # a fresh one goes before a second run
    ended(again, 20.0, 2.0)
    assert [row.public for row in standings.standings(contest)] == [30.0]
    assert tries.left(contest, Participant.objects.get(name="ada"))[1] == contest.in_total - 2


def test_a_second_run_that_the_platform_breaks_leaves_score_and_try(contest):
    ada = person("ada", contest)
    run = ended(upload(ada.user, contest), 40.0, 50.0)
    again = queue.again(run.submission)
    ended(again, state="crashed", code=Code.PLATFORM_FAULT.value)
    assert standings.standings(contest)[0].public == 40.0
    assert Submission.objects.get(pk=run.submission_id).counts


def test_the_disqualified_leave_the_board_and_read_why(contest, scored):
    _run, ada = scored
    who = Participant.objects.get(name="ada")
    olga = person("olga")
    assert olga.post(f"/organise/{contest.slug}/p/{who.pk}", {"deed": "disqualify"}).status_code == 409
    olga.post(f"/organise/{contest.slug}/p/{who.pk}", {"deed": "disqualify", "reason": "two accounts"})
    assert standings.standings(contest) == []
    assert "two accounts" in body(ada.get(f"/c/{contest.slug}"))
    assert ada.get(f"/c/{contest.slug}/submit").status_code == 409
    olga.post(f"/organise/{contest.slug}/p/{who.pk}", {"deed": "readmit"})
    assert len(standings.standings(contest)) == 1


def test_identical_archives_are_shown_to_the_organiser_alone(contest):
    ada, bob = person("ada", contest), person("bob", contest)
    upload(ada.user, contest, b"the same")
    run = upload(bob.user, contest, b"the same")
    page = body(person("olga").get(f"/organise/{contest.slug}"))
    assert run.submission.sha256[:16] in page and "ada, bob" in page
    assert ada.get(f"/organise/{contest.slug}").status_code == 403


def test_the_cached_board_is_the_same_for_all_and_follows_the_scores(contest, scored):
    _run, ada = scored
    path = f"/c/{contest.slug}/board/rows"
    first = ada.get(path)
    assert body(first) == body(Client().get(path)) and "own" not in body(first)
    assert Client().get(path, HTTP_IF_NONE_MATCH=first["ETag"]).status_code == 304
    ended(upload(ada.user, contest, b"better"), 99.0, 1.0)
    standings._boards.clear()  # a second goes by
    assert Client().get(path, HTTP_IF_NONE_MATCH=first["ETag"]).status_code == 200


def test_the_board_is_written_once_for_each_language_and_marks_the_own_row_by_a_style(contest, scored):
    _run, ada = scored
    path = f"/c/{contest.slug}/board/rows"
    english, chinese = (Client().get(path, HTTP_ACCEPT_LANGUAGE=language) for language in ("en", "zh-hans"))
    assert "Rank" in body(english) and "名次" in body(chinese) and english["ETag"] != chinese["ETag"]
    who = Participant.objects.get(name="ada").pk
    page = body(ada.get(f"/c/{contest.slug}/board"))
    style = f"/c/{contest.slug}/row/{who}.css"
    assert body(english) in page and style in page and style not in body(Client().get(f"/c/{contest.slug}/board"))
    assert f"#p{who} {{" in body(ada.get(style)) and f'id="p{who}"' in page


def test_the_cached_board_turns_at_the_reveal_and_back_without_a_new_version(contest, scored):
    _run, ada = scored
    paths = [f"/c/{contest.slug}/board/rows", f"/c/{contest.slug}/board", f"/api/c/{contest.slug}/board"]
    past = timezone.now() - timedelta(days=1)
    for closes, shown in ((contest.closes, False), (past, True), (contest.closes, False)):
        Contest.objects.filter(pk=contest.pk).update(opens=past - timedelta(days=9), closes=closes, reveals=closes)
        assert all(("87.31" in body(ada.get(path))) is shown for path in paths), (closes, shown)


def test_the_chart_climbs_from_the_first_score_to_the_best_and_one_score_lies_on_an_axis_with_a_length(contest):
    from flyai_site.chart import HEIGHT, chart

    ada = person("ada", contest)
    assert chart(standings.newest(contest), None) is None
    for content, public in ((b"1", 40.0), (b"2", 30.0), (b"3", 60.0)):
        ended(upload(ada.user, contest, content), public, 1.0)
        standings._boards.clear()
        drawn = chart(standings.newest(contest), Participant.objects.get().pk)
        heights = [float(point.split(",")[1]) for point in drawn.lines[0].points.split()]
        assert drawn.low < drawn.high and drawn.lines[0].own and 0 <= min(heights) <= max(heights) <= HEIGHT
        assert heights == sorted(heights, reverse=True)  # the best so far never falls
    assert (drawn.low, drawn.high, heights[-1]) == (40.0, 60.0, 0.0)


def test_tries_on_the_board_are_those_that_ended(contest, scored):
    _run, ada = scored
    upload(ada.user, contest, b"waits")
    assert standings.standings(contest)[0].tries == 1  # a cached board and a fresh one say the same
    ended(Run.objects.latest("pk"), state="failed", code=Code.TRAINING_FAILED.value)
    assert standings.standings(contest)[0].tries == 2


def test_nothing_that_is_held_back_is_taken_after_the_reveal(contest, scored):
    run, ada = scored
    before = timezone.now() - timedelta(minutes=2)
    contest.opens, contest.closes, contest.reveals = before - timedelta(days=1), before, before
    contest.save()
    with pytest.raises(UserError, match="shown already"):
        upload(ada.user, contest, b"held back", arrived=before - timedelta(seconds=1))
    held_back = {"flyai.arrived": (before - timedelta(seconds=1)).timestamp()}
    answer = ada.post(f"/c/{contest.slug}/choose", {"chosen": [run.submission_id]}, **held_back)
    assert answer.status_code == 409 and not Submission.objects.get(pk=run.submission_id).chosen
    contest.reveals = timezone.now() + timedelta(minutes=1)
    contest.save()
    assert upload(ada.user, contest, b"in time", arrived=before - timedelta(seconds=1)).state == "queued"
    assert ada.post(f"/c/{contest.slug}/choose", {"chosen": [run.submission_id]}, **held_back).status_code == 409


def test_a_contest_reveals_when_the_last_upload_can_have_come(organiser, pictures):
    end = timezone.now() + timedelta(days=30)
    assert make_contest(organiser, pictures, "later", closes=end).reveals == end + tries.SLOWEST


def test_a_log_of_the_hidden_phase_is_not_told():
    from flyai_site.worker.code import Told

    class Kept(list):
        say = list.append

    kept = Kept()
    progress = Told(kept)
    progress.line("train", "seen")
    progress.line("evaluate", "hidden/1234.png is a 7")
    assert len(kept) == 1 and "seen" in kept[0]


def test_names_of_hidden_pictures_tell_nothing(organiser, pictures):
    import io
    import zipfile

    from flyai_site.storage import blob

    contest = make_contest(organiser, pictures, "quiz", "answers")
    files = [blob(sha256).read_bytes() for sha256 in (contest.data_sha256, contest.public_sha256)]
    data, public = (zipfile.ZipFile(io.BytesIO(file)) for file in files)
    hidden = [name for name in data.namelist() if name.startswith("hidden/")]
    test = [name for name in public.namelist() if name.startswith("test/")]
    train = [name for name in public.namelist() if name.startswith("image/")]
    assert len(hidden) == len(test) == contest.hidden_rows and len(train) == contest.train_rows
    assert not {name.split("/")[1] for name in hidden} & {name.split("/")[1] for name in [*test, *train]}
    assert "hidden.csv" not in public.namelist() and "numbers.csv" not in public.namelist()
    given = {public.read(name) for name in train}
    assert not given & {data.read(name) for name in hidden}
    sample = public.read("sample_submission.csv").decode().split()
    assert sample[0] == "id,label" and len({row.split(",")[1] for row in sample[1:]}) == 1


def test_a_contest_without_public_or_private_rows_is_not_made(organiser, tmp_path):
    from flyai_local.contest.competitions import Competition
    from flyai_site import bundles

    table = tmp_path / "t.csv"
    table.write_text("image_path,label\na.png,0\n")
    (tmp_path / "a.png").write_bytes(b"x")
    card = Competition("x", "image_path", "label", "accuracy", table, tmp_path, table, tmp_path, False)
    with pytest.raises(UserError, match="larger fraction"):
        bundles.make("x", card, "code")


def test_the_api_tells_what_the_pages_tell(contest, scored):
    run, ada = scored
    given = told(ada.get(f"/api/s/{run.submission_id}", **token(ada.user)))
    assert given["public"] == 31.25 and given["detail"] == "" and "private" not in given and given["state"] == "scored"
    assert given["causes"]["zh"][0] and given["per_class"] == {"0": 31.25, "1": 31.25}
    assert State(Run.objects.get(pk=run.pk).state).ended
