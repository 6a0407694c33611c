"""Records, queue, board and logs, with real processes that are killed in every state."""

from __future__ import annotations

import json
import os
import signal
import sqlite3
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from flyai_local.__main__ import main
from flyai_local.board import owner, records
from flyai_local.board.board import ranking, tries
from flyai_local.board.records import Records, Run
from flyai_local.errors import UserError
from flyai_local.home import home, records_file, runs_folder
from flyai_local.states import Code, State

ROOT = Path(__file__).resolve().parents[3]
UNFINISHED = [State.QUEUED, State.PACKING, State.INSTALLING, State.TRAINING, State.EVALUATING]
PATIENCE = 600  # however busy the machine


def start(
    book: Records, name: str = "mine", command: str = "train", sha256: str = "ab", competition: str = "Digits"
) -> int:
    return book.start_run(name, competition, command, sha256, 2**20)


def scored(
    book: Records, score: float, private: float | None = None, name: str = "mine", command: str = "train"
) -> int:
    run_id = start(book, name, command, sha256=name)
    book.finish(run_id, State.SCORED, None, score, score, private, {"0": score, "7": 12.5}, seconds=61.0, peak_mb=321.5)
    return run_id


@pytest.fixture
def scripts() -> Iterator[list[subprocess.Popen[str]]]:
    """Processes that a test has started; what is left of them is ended."""
    started: list[subprocess.Popen[str]] = []
    yield started
    for process in started:
        if process.poll() is None:
            process.kill()
        process.communicate()


def spawn(scripts: list[subprocess.Popen[str]], body: str, *arguments: object) -> subprocess.Popen[str]:
    """A Python process with the records open as `book`."""
    script = (
        "import sys, time; from pathlib import Path; from flyai_local.board import records\n"
        "from flyai_local.states import Code, State\nbook = records.open()\n" + body
    )
    process = subprocess.Popen(
        [sys.executable, "-c", script, *map(str, arguments)],
        cwd=ROOT,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    scripts.append(process)
    return process


def said(process: subprocess.Popen[str]) -> str:
    """The next line of a process."""
    assert process.stdout is not None
    return process.stdout.readline().strip()


# --- one process ------------------------------------------------------------------------------------------------------


def test_a_run_is_kept_with_all_that_is_known_of_it() -> None:
    book = records.open()
    run_id = start(book, "蘑菇")
    book.set_state(run_id, State.TRAINING)
    assert book.run(run_id).state is State.TRAINING
    assert not book.run(run_id).counts
    book.finish(run_id, State.SCORED, Code.LABEL_TYPE, 88.84, 90.0, None, {"蘑": 1.5}, 12.5, 100.25, detail="as text")
    run = records.open().run(run_id)
    assert (run.name, run.competition, run.command, run.sha256, run.size_bytes) == (
        "蘑菇",
        "Digits",
        "train",
        "ab",
        2**20,
    )
    assert (run.state, run.code, run.detail, run.counts) == (State.SCORED, Code.LABEL_TYPE, "as text", True)
    assert (run.score, run.public_score, run.private_score, run.per_class) == (88.84, 90.0, None, {"蘑": 1.5})
    assert (run.seconds, run.peak_mb) == (12.5, 100.25)
    assert run.ended is not None
    assert run.ended >= run.queued


def test_what_has_ended_stays_as_it_is() -> None:
    book = records.open()
    run_id = scored(book, 50.0)
    book.set_state(run_id, State.TRAINING)
    book.finish(run_id, State.CRASHED, Code.PLATFORM_FAULT, score=99.0)
    assert (book.run(run_id).state, book.run(run_id).score) == (State.SCORED, 50.0)


def test_the_same_submission_is_one_submission() -> None:
    book = records.open()
    for _ in range(3):
        book.finish(start(book), State.FAILED, Code.NO_MAIN)
    with sqlite3.connect(records_file()) as connection:
        assert connection.execute("SELECT COUNT(*) FROM submissions").fetchone()[0] == 1
        assert connection.execute("PRAGMA journal_mode").fetchone()[0] == "wal"
    connection.close()


def test_logs_are_found_after_the_folder_has_moved(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    book = records.open()
    run_id = start(book)
    outside = tmp_path / "elsewhere.log"
    book.add_log(run_id, "train", runs_folder() / "1" / "train.log")
    book.add_log(run_id, "evaluate", outside)
    old = home()
    old.rename(tmp_path / "moved")
    monkeypatch.setenv("FLYAI_LOCAL_HOME", str(tmp_path / "moved"))
    assert records.open().logs(run_id) == {
        "train": tmp_path / "moved" / "runs" / "1" / "train.log",
        "evaluate": outside,
    }


def test_records_that_cannot_be_used_are_a_sentence(capsys: pytest.CaptureFixture[str]) -> None:
    records_file().write_bytes(b"this is no database" * 100)
    assert main(["board"]) == 1
    assert "records.sqlite" in capsys.readouterr().err
    records_file().unlink()
    records.open()
    with sqlite3.connect(records_file()) as connection:
        connection.execute("PRAGMA user_version = 99")
    connection.close()
    with pytest.raises(UserError, match="version 99"):
        records.open()


def test_an_interrupted_body_releases_the_turn() -> None:
    book = records.open()
    first, second = start(book), start(book)
    with pytest.raises(KeyboardInterrupt), book.turn(first):
        raise KeyboardInterrupt
    assert (book.run(first).state, book.run(first).code, book.run(first).counts) == (
        State.CRASHED,
        Code.INTERRUPTED,
        False,
    )
    with book.turn(second):
        book.finish(second, State.SCORED, None, 1.0)


def test_marks_tell_processes_apart() -> None:
    pid, mark = owner.own_mark()
    assert pid == os.getpid()
    assert owner.alive(pid, mark)
    assert not owner.alive(pid, mark + "0")
    child = subprocess.Popen([sys.executable, "-c", "pass"], stdin=subprocess.PIPE)
    child_mark = owner.process_mark(child.pid)
    if hasattr(os, "waitid"):
        os.waitid(os.P_PID, child.pid, os.WEXITED | os.WNOWAIT)  # type: ignore[attr-defined]
        assert owner.process_mark(child.pid) is None, "a zombie is gone"
    child.communicate()
    assert owner.process_mark(child.pid) is None
    assert child_mark != mark


def in_another_container(mark: str) -> str:
    """The mark as a process writes it that sees other processes than this one."""
    return " ".join([*mark.split()[:2], "1"])


@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="containers are Linux's")
def test_a_platform_in_another_container_counts_as_alive_as_long_as_it_is() -> None:
    """Its processes cannot be seen from here: its lock can, and ends with it, killed or not."""
    code = (
        "import os, sys, time\nfrom flyai_local.board import owner, presence\n"
        "pid, mark = owner.own_mark()\nmark = ' '.join([*mark.split()[:2], '1'])\n"
        "presence.hold(owner._name(pid, mark))\nprint(mark, flush=True)\ntime.sleep(60)"
    )
    with subprocess.Popen([sys.executable, "-c", code], stdout=subprocess.PIPE, text=True, cwd=ROOT) as child:
        mark = child.stdout.readline().strip()
        try:
            assert owner.process_mark(child.pid) != mark  # by what is seen here, there is no such process
            assert owner.alive(child.pid, mark) and owner.alive(child.pid, mark)  # asking takes nothing away
            assert not owner.alive(child.pid, mark.replace(mark.split()[0], "another-boot"))
        finally:
            child.kill()
        child.wait()
    assert not owner.alive(child.pid, mark)
    pid, own = owner.own_mark()
    assert not owner.alive(pid, in_another_container(own)), "the same id in another container is another process"


@pytest.mark.skipif(not Path("/bin/ps").exists(), reason="this machine has no ps")
def test_the_answer_of_ps_serves_where_there_is_no_proc() -> None:
    pid = os.getpid()
    assert owner._posix(pid) == owner._posix(pid)
    assert str(time.localtime().tm_year) in str(owner._posix(pid))
    assert owner._posix(2**22 + 1) is None


# --- several processes ------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("state", UNFINISHED, ids=lambda state: state.value)
def test_kill_in_any_state_is_a_crash_and_no_try(
    scripts: list[subprocess.Popen[str]], capsys: pytest.CaptureFixture[str], state: State
) -> None:
    body = (
        "run = book.start_run('mine', 'Digits', 'train', 'ab', 5)\n"
        "log = Path(sys.argv[2]); log.write_text('epoch 1\\nepoch 2\\n', encoding='utf-8'); book.add_log(run, "
        "'train', log)\n"
        "state = State(sys.argv[1])\n"
        "if state is State.QUEUED: print(run, flush=True); time.sleep(600)\n"
        "with book.turn(run): book.set_state(run, state); print(run, flush=True); time.sleep(600)\n"
    )
    process = spawn(scripts, body, state.value, home() / "train.log")
    run_id = int(said(process))
    book = records.open()
    assert book.run(run_id).state is state, "a run whose process lives is left alone"
    process.kill()  # SIGKILL; nothing of it can run on
    process.wait(PATIENCE)
    book = records.open()
    run = book.run(run_id)
    assert (run.state, run.code, run.counts) == (State.CRASHED, Code.ABANDONED, False)
    assert state.value in run.detail
    assert tries(book.runs(), run) == 0
    assert main(["board"]) == 0
    assert "crashed  abandoned  no try" in capsys.readouterr().out
    assert main(["log", str(run_id)]) == 0
    text = capsys.readouterr().out
    assert "epoch 2" in text
    assert "abandoned" in text
    after = start(book)
    with book.turn(after):  # the dead one does not hold the queue
        assert book.mark_abandoned() == []


def test_a_process_killed_after_its_end_keeps_its_score(scripts: list[subprocess.Popen[str]]) -> None:
    body = (
        "run = book.start_run('mine', 'Digits', 'train', 'ab', 5)\n"
        "with book.turn(run): book.finish(run, State.SCORED, None, 77.0); print(run, flush=True); time.sleep(600)\n"
    )
    process = spawn(scripts, body)
    run_id = int(said(process))
    process.kill()
    process.wait(PATIENCE)
    book = records.open()
    assert (book.run(run_id).state, book.run(run_id).score) == (State.SCORED, 77.0)
    with book.turn(start(book)):
        pass


def test_queued_runs_go_one_after_another_in_their_order(scripts: list[subprocess.Popen[str]], tmp_path: Path) -> None:
    trace = tmp_path / "trace"
    body = (
        "run = book.start_run('mine', 'Digits', 'train', 'ab', 5); print(run, flush=True); sys.stdin.readline()\n"
        "def note(word):\n"
        "    with open(sys.argv[1], 'a', encoding='utf-8') as file: file.write(f'{run} {word}\\n')\n"
        "with book.turn(run):\n"
        "    note('begins'); time.sleep(0.15); note('ends'); book.finish(run, State.SCORED, None, 1.0)\n"
    )
    book = records.open()
    first = start(book)
    with book.turn(first):
        waiting = [spawn(scripts, body.replace("sys.stdin.readline()", "pass"), trace) for _ in range(4)]
        numbers = [int(said(process)) for process in waiting]
        time.sleep(0.5)
        assert not trace.exists(), "nobody begins while the first run has the turn"
        book.finish(first, State.SCORED, None, 1.0)
    for process in waiting:
        process.communicate(timeout=PATIENCE)
        assert process.returncode == 0
    expected = [f"{number} {word}" for number in sorted(numbers) for word in ("begins", "ends")]
    assert trace.read_text(encoding="utf-8").split("\n")[:-1] == expected


def test_the_next_in_the_queue_goes_on_when_the_one_at_work_is_killed(scripts: list[subprocess.Popen[str]]) -> None:
    book = records.open()
    at_work = spawn(
        scripts,
        "run = book.start_run('mine', 'Digits', 'train', 'ab', 5)\n"
        "with book.turn(run): book.set_state(run, State.TRAINING); print(run, flush=True); time.sleep(600)\n",
    )
    ahead = int(said(at_work))
    mine, waited = start(book), list[int]()

    def told(number: int) -> None:
        waited.append(number)
        os.kill(at_work.pid, signal.SIGTERM if os.name == "nt" else signal.SIGKILL)

    with book.turn(mine, on_wait=told):
        assert waited == [ahead]
    assert book.run(ahead).code is Code.ABANDONED


def test_many_processes_write_at_once_and_nothing_is_lost(scripts: list[subprocess.Popen[str]]) -> None:
    body = (
        "for number in range(15):\n"
        "    run = book.start_run(f'mine {number % 3}', 'Digits', 'train', 'ab', 5)\n"
        "    book.set_state(run, State.TRAINING); book.add_log(run, 'train', Path('x.log'))\n"
        "    book.finish(run, State.SCORED, None, float(number), 1.0, 2.0, {'0': 3.0})\n"
    )
    both = [spawn(scripts, body) for _ in range(4)]  # they also make the file at the same moment
    for process in both:
        _, complaint = process.communicate(timeout=PATIENCE)
        assert process.returncode == 0, complaint
    book = records.open()
    runs = book.runs("Digits")
    assert [run.id for run in runs] == list(range(1, 61))
    assert sorted(run.score or 0 for run in runs) == sorted([float(number) for number in range(15)] * 4)
    assert all(run.state is State.SCORED and book.logs(run.id).keys() == {"train"} for run in runs)
    with sqlite3.connect(records_file()) as connection:
        assert connection.execute("PRAGMA integrity_check").fetchone()[0] == "ok"
        assert connection.execute("PRAGMA journal_mode").fetchone()[0] == "wal"
    connection.close()


def test_killed_while_writing_leaves_whole_records(scripts: list[subprocess.Popen[str]]) -> None:
    body = (
        "while True:\n"
        "    run = book.start_run('mine', 'Digits', 'train', 'ab', 5)\n"
        "    book.finish(run, State.SCORED, None, 5.0, 5.0, 5.0, {'0': 3.0})\n"
        "    print('written', flush=True)\n"
    )
    for times in range(1, 5):
        process = spawn(scripts, body)
        for _ in range(times):
            said(process)
        process.kill()
        process.wait(PATIENCE)
    runs = records.open().runs()
    assert sum(run.state is State.SCORED for run in runs) >= 1 + 2 + 3 + 4
    assert all((run.state is State.SCORED) == (run.score is not None) for run in runs)
    assert sum(run.state is State.CRASHED for run in runs) <= 4
    assert {run.state for run in runs} <= {State.SCORED, State.CRASHED}


def test_threads_may_share_the_records() -> None:
    book = records.open()
    threads = [threading.Thread(target=scored, args=(book, float(number))) for number in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sorted(run.score or 0 for run in book.runs()) == [float(number) for number in range(8)]


# --- the board --------------------------------------------------------------------------------------------------------


def test_equal_scores_share_a_rank() -> None:
    book = records.open()
    for name, score in (("a", 70.0), ("b", 80.0), ("c", 80.0), ("d", 90.0), ("e", 70.0)):
        scored(book, score, name=name)
    entries = ranking(book.runs("Digits"))
    assert [(entry.rank, entry.run.name) for entry in entries] == [(1, "d"), (2, "b"), (2, "c"), (4, "a"), (4, "e")]


def test_a_submission_stands_once_with_its_best_run() -> None:
    book = records.open()
    scored(book, 70.0)
    best = scored(book, 75.0)
    scored(book, 75.0)
    scored(book, 99.0, command="test")
    book.finish(start(book, sha256="mine"), State.FAILED, Code.NO_CHECKPOINT)
    book.finish(start(book, sha256="mine"), State.CRASHED, Code.PLATFORM_FAULT)
    (entry,) = ranking(book.runs())
    assert (entry.run.id, entry.tries) == (best, 4)


def test_public_and_private_rank_apart() -> None:
    book = records.open()
    scored(book, 80.0, 60.0, "overfitted")
    scored(book, 75.0, 74.0, "honest")
    scored(book, 10.0, None, "tiny")
    assert [entry.run.name for entry in ranking(book.runs(), "public")] == ["overfitted", "honest", "tiny"]
    assert [entry.run.name for entry in ranking(book.runs(), "private")] == ["honest", "overfitted", "tiny"]
    with pytest.raises(ValueError, match="'total'"):
        ranking(book.runs(), "total")


@given(st.lists(st.integers(0, 5), max_size=12))
def test_a_rank_is_one_more_than_the_number_of_better_ones(points: list[int]) -> None:
    runs = [
        Run(
            at,
            "C",
            str(at),
            "train",
            State.SCORED,
            None,
            "",
            "",
            0,
            at,
            at,
            1.0,
            1.0,
            float(score),
            float(score),
            float(score),
        )
        for at, score in enumerate(points)
    ]
    entries = ranking(runs)
    assert len(entries) == len(points)
    for entry in entries:
        assert entry.rank == 1 + sum(score > (entry.run.score or 0) for score in points)
    assert [entry.rank for entry in entries] == sorted(entry.rank for entry in entries)


def test_board_and_detail_on_the_command_line(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["board"]) == 0
    assert "No runs yet" in capsys.readouterr().out
    book = records.open()
    run_id = scored(book, 88.84, 80.0, "蘑菇")
    book.finish(start(book), State.FAILED, Code.NO_MAIN, detail="main.py is absent")
    assert main(["board", "--competition", "Digits"]) == 0
    text = capsys.readouterr().out
    assert "88.84" in text
    assert "1 min 01 s" in text
    assert "no-main  a try" in text
    assert main(["board", "--detail", str(run_id)]) == 0
    text = capsys.readouterr().out
    assert all(word in text for word in ("class 7", "12.50", "321.5 MB", "1.0 MB", "1 min 01 s", "80.00"))
    assert main(["board", "--json"]) == 0
    board = json.loads(capsys.readouterr().out)["Digits"]
    assert [(line["rank"], line["name"], line["private_score"]) for line in board["ranked"]] == [(1, "蘑菇", 80.0)]
    assert [(line["code"], line["counts"]) for line in board["other"]] == [("no-main", True)]
    assert main(["board", "--detail", "99"]) == 1
    assert "no run 99" in capsys.readouterr().err
    assert main(["board", "--competition", "Digitz"]) == 1
    assert "known: MushroomSketch, Digits" in capsys.readouterr().err


# --- the log ----------------------------------------------------------------------------------------------------------


def test_log_shows_phases_and_the_reason(capsys: pytest.CaptureFixture[str]) -> None:
    book = records.open()
    run_id = start(book)
    for phase in ("train", "evaluate"):
        path = runs_folder() / str(run_id) / f"{phase}.log"
        path.parent.mkdir(exist_ok=True)
        path.write_bytes("".join(f"{phase} line {number}\n" for number in range(5)).encode() + b"\xff broken\n")
        book.add_log(run_id, phase, path)
    (runs_folder() / str(run_id) / "platform.log").write_text("hidden label 7", encoding="utf-8")
    book.finish(run_id, State.FAILED, Code.NO_CHECKPOINT, detail="no best.pth")
    assert main(["log", str(run_id)]) == 0
    text = capsys.readouterr().out
    assert (
        text.index("train line 4")
        < text.index("evaluate line 0")
        < text.index("no-checkpoint")
        < text.index("no best.pth")
    )
    assert "hidden label" not in text
    assert main(["log", str(run_id), "--phase", "evaluate", "--tail", "2"]) == 0
    text = capsys.readouterr().out
    assert "evaluate line 4" in text
    assert "evaluate line 3" not in text
    assert "train line" not in text
    assert main(["log", str(run_id), "--json"]) == 0
    told = json.loads(capsys.readouterr().out)
    assert (told["state"], told["code"], len(told["logs"]["train"])) == ("failed", "no-checkpoint", 6)
    assert main(["log", str(run_id), "--phase", "platform"]) == 1
    assert "it has: train, evaluate" in capsys.readouterr().err
    (runs_folder() / str(run_id) / "train.log").unlink()
    assert main(["log", str(run_id)]) == 1
    assert "is gone" in capsys.readouterr().err
    assert main(["log", "77"]) == 1
