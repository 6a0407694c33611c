"""What a host needs beside the sandbox: disk that comes back, limits in the card, other engines."""

from __future__ import annotations

import os
import sys
from dataclasses import replace
from pathlib import Path

import pytest
from conftest import ROOT
from lab import SMALL

from flyai_local.__main__ import main
from flyai_local.board import records
from flyai_local.box import engine, isolate
from flyai_local.box.isolate import Box
from flyai_local.box.logs import Log
from flyai_local.box.protections import protections
from flyai_local.contest.competitions import competition as card_of
from flyai_local.contest.register import add
from flyai_local.home import runs_folder
from flyai_local.run import launch
from flyai_local.run.pruning import prune
from flyai_local.states import Code, State

pytestmark = pytest.mark.skipif(os.name == "nt", reason="written for POSIX systems")


def ended(score: float | None, name: str = "mine") -> int:
    book = records.open()
    run = book.start_run(name, "Digits", "train", name, 1)
    state = State.FAILED if score is None else State.SCORED
    book.finish(run, state, None if score else Code.KILLED, score=score, public_score=score, metric="accuracy")
    (runs_folder() / str(run) / "project").mkdir(parents=True)
    (runs_folder() / str(run) / "project" / "model").write_bytes(bytes(2**20))
    (runs_folder() / str(run) / "train.log").write_text("log", encoding="utf-8")
    return run


def kept() -> list[int]:
    return sorted(int(path.parent.name) for path in runs_folder().glob("*/project"))


def test_old_runs_give_their_disk_back_and_those_on_the_board_stay(capsys):
    best, worse, failed = ended(90.0), ended(80.0), ended(None, "other")
    newest = [ended(None, f"new {at}") for at in range(2)]
    would = prune(records.open(), runs_folder(), keep=2, pretend=True)
    assert [one.run for one in would] == [worse, failed] and all(one.bytes >= 2**20 for one in would)
    assert kept() == [best, worse, failed, *newest]
    assert main(["prune", "--keep", "2"]) == 0
    assert "2 runs gave back 2.0" in capsys.readouterr().out
    assert kept() == [best, *newest]
    assert (runs_folder() / str(failed) / "train.log").exists()
    assert prune(records.open(), runs_folder(), keep=0) and kept() == [best]


def test_a_contests_own_limits_hold_and_an_option_goes_before_them(competition, monkeypatch):
    card = add("Tiny", competition / "train.csv", competition, hidden=1 / 3, memory_mb=512, disk_mb=64, processes=40)
    assert card_of("Tiny") == card
    jobs = []
    monkeypatch.setattr(launch, "execute", lambda job, progress: jobs.append(job) or pytest.exit)
    monkeypatch.setattr(launch, "_report", lambda result, chosen: 0)
    words = ["train", "--submission", str(ROOT), "--competition", "Tiny"]
    assert main(words) == 0 and main([*words, "--memory-limit", "256"]) == 0
    for job in jobs:
        assert (job.train_limits.disk_mb, job.evaluate_limits.processes) == (64, 40)
    assert [job.train_limits.memory_mb for job in jobs] == [512, 256]


STAND_IN = """#!{python}
import sys
with open({record!r}, "a") as file:
    file.write(repr(sys.argv[1:]) + "\\n")
if sys.argv[1] == "run":
    print("ran in the container")
"""


@pytest.fixture
def recorded(tmp_path, monkeypatch):
    """A stand-in of podman that writes down how it was called."""
    folder, record = tmp_path / "bin", tmp_path / "record"
    folder.mkdir()
    (folder / "podman").write_text(STAND_IN.format(python=sys.executable, record=str(record)), encoding="utf-8")
    (folder / "podman").chmod(0o755)
    monkeypatch.setenv("PATH", str(folder), prepend=os.pathsep)
    engine.program.cache_clear()
    yield record
    engine.program.cache_clear()


def calls(record: Path) -> list[list[str]]:
    import ast

    return [ast.literal_eval(line) for line in record.read_text(encoding="utf-8").splitlines()]


def test_an_engine_locks_in_by_its_own_options_and_its_container_is_removed(tmp_path, recorded, monkeypatch):
    monkeypatch.setenv("MY_API_TOKEN", "zebra")
    found = engine.program("podman")
    assert found is not None
    (tmp_path / "project").mkdir()
    chamber = Box(tmp_path / "project", tmp_path / "private", True, engine=found, image="contest:1")
    log = Log(tmp_path / "train.log", 1)
    outcome = isolate.run(chamber, [str(chamber.layout().python), "main.py"], replace(SMALL, memory_mb=512), log)
    log.close()
    assert outcome.returncode == 0 and "ran in the container" in (tmp_path / "train.log").read_text()
    started, removed = calls(recorded)[1:]
    assert {"--network=none", "--read-only", "--cap-drop=ALL", "--security-opt=no-new-privileges", "--memory=512m",
            "--memory-swap=512m", "--pids-limit=320", "--rm", "--pull=never"} <= set(started)  # fmt: skip
    assert started[-3:] == ["contest:1", "python3", "main.py"]
    assert f"--volume={tmp_path / 'project'}:/flyai/project:rw" in started
    assert [word for word in started if word.startswith("--volume=") and word.endswith(":rw")] == [
        f"--volume={tmp_path / 'project'}:/flyai/project:rw",
        f"--volume={tmp_path / 'private' / 'tmp'}:/tmp:rw",
        f"--volume={tmp_path / 'private' / 'home'}:/flyai/home:rw",
    ]
    assert removed == ["rm", "--force", f"flyai-{chamber.mark}"]
    assert not any("zebra" in word for word in started)
    assert "podman" in protections(chamber)[0] and "contest:1" in protections(chamber)[0]


def test_an_engine_that_is_absent_or_has_no_image_is_refused(competition, recorded, capsys, monkeypatch):
    add("Tiny", competition / "train.csv", competition, hidden=1 / 3)
    words = ["train", "--submission", str(ROOT), "--competition", "Tiny"]
    assert main([*words, "--engine", "podman"]) == 1
    assert "--image" in capsys.readouterr().err
    monkeypatch.setenv("PATH", "/nowhere")
    engine.program.cache_clear()
    assert main([*words, "--engine", "docker", "--image", "x"]) == 1
    assert "absent" in capsys.readouterr().err
