"""The rows of a sweep as tasks: nothing twice and nothing lost, whoever is killed, and a journal that stays cheap."""

from __future__ import annotations

import json
import os
import signal
import time

import pytest
from tasks_lab import FORK, Forked

from protocol.strict import ConfigError
from recipe.sweep import elsewhere
from recipe.sweep import journal as journals
from recipe.sweep.elsewhere import Elsewhere
from recipe.sweep.engine import Sweep
from recipe.sweep.file import SweepFile
from recipe.sweep.journal import SweepJournal
from recipe.sweep.objective import objective_of
from recipe.training.tasks import coordinator

RATES = [round(0.001 * number, 3) for number in range(1, 13)]


def sweep_of(competition, folder, **how):
    content = {"name": "rates", "data": str(competition), "search": "grid", "space": {"lr": RATES}, **how}
    file = SweepFile.model_validate(content)
    return Sweep(file, folder, objective_of(file))


def scored(spec, folder):
    """What a row gives: its rate; it takes a moment."""
    time.sleep(0.15)
    (folder / "run.json").write_text("{}")
    return {"score": spec.config.lr, "scores": [spec.config.lr], "seconds": 0.1, "epochs": 1, "device": "cpu",
            "precision": "float32"}  # fmt: skip


def given_away(sweep):
    """The sweep in a process of its own, as a command runs it."""
    coordinator.SETTLED = 0.1
    elsewhere.transport_of = lambda text: Forked(scored, slots=2)
    Elsewhere(sweep, "local:2").run()


def lines(sweep, event):
    return [
        line for text in sweep.journal.path.read_text().splitlines() if (line := json.loads(text))["event"] == event
    ]


def test_a_coordinator_killed_half_way_loses_nothing_and_does_nothing_twice(competition, tmp_path):
    sweep = sweep_of(competition, tmp_path / "sweep")
    first = FORK.Process(target=given_away, args=(sweep,))
    first.start()
    while not sweep.journal.path.exists() or len(lines(sweep, "done")) < 5:
        time.sleep(0.02)
    os.kill(first.pid, signal.SIGKILL)
    first.join()
    second = FORK.Process(target=given_away, args=(sweep,))
    second.start()
    second.join()
    assert second.exitcode == 0
    done = lines(sweep, "done")
    assert sorted(line["score"] for line in done) == RATES
    assert len({line["task"] for line in done}) == 12 and all(line["precision"] == "float32" for line in done)
    assert len(list((sweep.folder / "rows").iterdir())) == 12
    third = FORK.Process(target=given_away, args=(sweep,))
    third.start()
    third.join()
    assert lines(sweep, "done") == done


def test_rows_that_must_hear_of_each_other_are_not_given_away(competition, tmp_path):
    with pytest.raises(ConfigError, match="leave prune out"):
        Elsewhere(sweep_of(competition, tmp_path, prune={"after_rows": 2, "after_epochs": 1}), "local")


def test_the_journal_is_read_once_however_long_it_is(tmp_path, monkeypatch):
    applied = []
    apply = journals._apply
    monkeypatch.setattr(journals, "_apply", lambda state, line: (applied.append(line), apply(state, line)))
    journal, other = SweepJournal(tmp_path), SweepJournal(tmp_path)
    text = "".join(f'{{"event": "claim", "task": "{number}", "row": "r", "seed": 0}}\n' for number in range(10_000))
    journal.path.write_text(text)
    assert len(journal.read().tasks) == 10_000
    applied.clear()
    other.append("claim", task="new", row="r", seed=1)
    journal.append("claim", task="newer", row="r", seed=1)
    assert journal.read().tasks["newer"].seed == 1 and len(applied) == 2
    with journal.path.open("ab") as stream:
        stream.write(b'{"event": "cla')  # who wrote it died
    assert len(journal.read().tasks) == 10_002
    journal.append("claim", task="newest", row="r", seed=2)
    assert set(journal.read().tasks) == set(SweepJournal(tmp_path).read().tasks)
    assert len(journal.path.read_text().splitlines()) == 10_003
    journal.path.write_text(text[: text.index("\n") + 1])  # another journal in its place
    assert list(journal.read().tasks) == ["0"]
    journal.path.unlink()
    assert journal.read().tasks == {}
