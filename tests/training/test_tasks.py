"""Trainings elsewhere: an attempt owns its folder, what is lost is given away again, and nothing is done twice."""

from __future__ import annotations

import contextlib
import json
import os
import signal
import socket
import stat
import sys
import time
import types
from pathlib import Path

import numpy as np
import pytest
import torch
from run_lab import FAST, run
from tasks_lab import FORK, Forked, task

from protocol.errors import UserError
from protocol.strict import ConfigError
from recipe.app import App, Competition
from recipe.cli import Options
from recipe.data.reading import read
from recipe.models.start import start
from recipe.pictures.cache import Pictures
from recipe.pictures.preprocessing import short_side
from recipe.system.runtime import Runtime
from recipe.system.stopping import Stopped
from recipe.training.run import Prepared
from recipe.training.tasks import coordinator as looking
from recipe.training.tasks import folds, settled, slurm
from recipe.training.tasks.attempt import begin
from recipe.training.tasks.coordinator import Coordinator
from recipe.training.tasks.spec import END, TaskError, attempts, newest, read_spec
from recipe.training.tasks.transport import command, transport_of

pytestmark = pytest.mark.skipif(not hasattr(os, "fork"), reason="the tasks of these tests are forked")


@pytest.fixture(autouse=True)
def quick(monkeypatch):
    """The lease stays as it is: on a loaded machine a shorter one is over for who lives. Tests of it move the clock."""
    monkeypatch.setattr(looking, "SETTLED", 0.1)


def looked_after(transport, tasks, clock=time.monotonic):
    """Tasks done and failed, by name: what `done` and `failed` were told."""
    done, failed = {}, {}
    Coordinator(
        transport, lambda folder, attempt: done.setdefault(folder.name, []).append(attempt.number),
        lambda folder, sentence: failed.setdefault(folder.name, []).append(sentence), clock,
    ).run(iter(tasks))  # fmt: skip
    return done, failed


def save(folder, step):
    """A state, as a fold saves one."""
    (folder / "fold0" / "last").mkdir(parents=True, exist_ok=True)
    (folder / "fold0" / "last" / f"epoch0000-step{step:06d}.safetensors").write_text(str(step))


def steps(folder):
    return len(list(folder.glob("fold0/last/*")))


def test_every_task_is_done_once_and_no_more_than_there_is_room_for(tmp_path):
    def work(spec, folder):
        running = [each for each in tmp_path.glob("*/attempt1") if not (each / END).exists()]
        return {"score": 1.0, "running": len(running)}

    transport = Forked(work, slots=2)
    tasks = [task(tmp_path, f"fold{number}") for number in range(5)]
    done, failed = looked_after(transport, tasks)
    assert (done, failed) == ({folder.name: [1] for folder in tasks}, {})
    assert sorted(transport.submitted) == [folder.name for folder in tasks]
    assert max(newest(folder).end["running"] for folder in tasks) <= 2


def test_a_task_whose_process_is_killed_goes_on_from_what_it_had_saved(tmp_path):
    def work(spec, folder):
        save(folder, steps(folder))
        if steps(folder) < 7:  # more deaths than are forgiven without a gain
            os.kill(os.getpid(), signal.SIGKILL)
        return {"score": 0.5, "steps": steps(folder)}

    done, failed = looked_after(Forked(work), [task(tmp_path, "fold0")])
    assert (done, failed) == ({"fold0": [7]}, {})
    assert newest(tmp_path / "fold0").end["steps"] == 7


@pytest.mark.parametrize("began", [True, False])
def test_a_task_that_is_lost_again_and_again_fails_with_a_sentence(tmp_path, began):
    def work(spec, folder):
        os.kill(os.getpid(), signal.SIGKILL)

    folder = task(tmp_path, "fold0")
    if not began:
        (folder / "spec.json").unlink()
    transport = Forked(work)
    transport.submit, inner = lambda spec: _quietly(inner, spec), transport.submit
    done, failed = looked_after(transport, [folder])
    assert not done and len(transport.submitted) == 4
    assert ("lost 4 times without getting further" if began else "one folder that all machines share") in failed[
        "fold0"
    ][0]


def _quietly(submit, spec):
    """Without the trace that a forked process prints of a refusal."""
    before = os.dup(2)
    os.dup2(os.open(os.devnull, os.O_WRONLY), 2)
    try:
        return submit(spec)
    finally:
        os.dup2(before, 2)


def test_a_refusal_by_sentence_is_never_tried_again(tmp_path):
    def work(spec, folder):
        raise ConfigError("no such thing")

    transport = Forked(work)
    assert looked_after(transport, [task(tmp_path, "fold0")]) == ({}, {"fold0": ["no such thing"]})
    assert transport.submitted == ["fold0"]


def test_an_attempt_that_was_paused_overwrites_nothing_when_it_wakes_up(tmp_path):
    folder = task(tmp_path, "fold0")

    def work(spec, place):
        if place.name == "attempt1":
            save(place, 1)
            os.kill(os.getpid(), signal.SIGSTOP)
            for late in range(2, 40):  # awake again: it goes on writing until it notices
                save(place, late)
                time.sleep(0.05)
            return {"score": 0.1, "who": "the late one"}
        save(place, 2)
        return {"score": 0.9, "who": "the second"}

    transport = Forked(work)

    def clock():
        """The lease is over once the first attempt sleeps."""
        return time.monotonic() + (2 * looking.LEASE if _sleeps(next(iter(transport.processes), None)) else 0)

    done, _ = looked_after(transport, [folder], clock)
    assert done == {"fold0": [2]}
    kept = {path: path.read_bytes() for path in (folder / "attempt2").rglob("*") if path.is_file()}
    first = next(iter(transport.processes))
    os.kill(int(first), signal.SIGCONT)
    transport.processes[first].join(20)
    assert transport.processes[first].exitcode is not None
    assert {path: path.read_bytes() for path in (folder / "attempt2").rglob("*") if path.is_file()} == kept
    assert newest(folder).end["who"] == "the second"
    assert attempts(folder)[0].end.get("state") in (None, "again")


def _sleeps(pid):
    """Whether a process is stopped by SIGSTOP."""
    return pid is not None and Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] == "T"


def test_a_coordinator_that_is_started_again_waits_for_who_lives_and_takes_over_what_is_done(tmp_path):
    def work(spec, folder):
        time.sleep(0.6)
        return {"score": 1.0}

    living, done_before, dead = (task(tmp_path, f"fold{number}") for number in range(3))
    earlier, later = Forked(work), Forked(work, slots=3)
    for folder in (living, done_before):
        earlier.submit(folder / "spec.json")
    while not (newest(done_before) and newest(done_before).end and newest(living) and newest(living).beat):
        time.sleep(0.05)
    (living / "attempt1" / END).unlink(missing_ok=True)
    begin(dead)  # and then its machine went
    beats = living / "attempt1" / "beat.json"
    process = FORK.Process(target=_beats, args=(beats, dead / "attempt2"))
    process.start()
    done, failed = looked_after(later, [living, done_before, dead], Beaten(beats))
    process.join()
    assert (done, failed) == ({"fold0": [1], "fold1": [1], "fold2": [2]}, {})
    assert later.submitted == ["fold2"]


FIRST = 1000


def _beats(beats, until):
    """Signs of life, until the other is at work again; then it is done."""
    count = FIRST
    while not until.exists():
        beats.write_text(json.dumps({"count": count}))
        time.sleep(0.02)
        count += 1
    (beats.parent / END).write_text(json.dumps({"state": "done", "score": 1.0}))


class Beaten:
    """A clock that goes by the beats of one who lives: three are the lease of whoever is silent."""

    def __init__(self, beats):
        self.beats, self.count = beats, FIRST

    def __call__(self):
        with contextlib.suppress(OSError, ValueError):
            self.count = max(self.count, json.loads(self.beats.read_text())["count"])
        return 0.4 * looking.LEASE * (self.count - FIRST)


def test_a_signal_stops_the_tasks_with_time_to_save(tmp_path):
    def work(spec, folder):
        try:
            time.sleep(0.2)
            os.kill(os.getppid(), signal.SIGTERM)
            time.sleep(30)
        finally:
            save(folder, 1)

    folder = task(tmp_path, "fold0")
    with pytest.raises(Stopped):
        looked_after(Forked(work), [folder])
    assert newest(folder).end["state"] == "again" and steps(folder / "attempt1") == 1


def test_of_many_that_begin_at_once_each_gets_a_folder_of_its_own(tmp_path):
    folder = task(tmp_path, "fold0")
    processes = [FORK.Process(target=begin, args=(folder,)) for _ in range(8)]
    for process in processes:
        process.start()
    for process in processes:
        process.join()
    assert [attempt.number for attempt in attempts(folder)] == list(range(1, 9))


# The folds of a run


def test_folds_trained_as_tasks_are_those_of_a_run_here(competition, tmp_path, monkeypatch):
    config = FAST.model_copy(update={"epochs": 2, "export": "none"})
    table, whole = run(competition, tmp_path / "whole", config)
    transport = Forked()
    monkeypatch.setattr(folds, "transport_of", lambda text: transport)
    begun = start(config, len(table.classes))
    pictures = Pictures(table.paths, short_side(begun.preprocessing))
    entered = Competition(id="Tiny")
    prepared = Prepared(begun, read(competition), pictures, entered)
    asked = Options(App(competition=entered), config, "", "", report=False, on="local:2")
    found = folds.train_elsewhere(prepared, asked, tmp_path / "run")
    ends = [newest(task).end for task in sorted((tmp_path / "run" / "tasks").glob("fold*"))]
    agreed = json.loads((tmp_path / "run" / "tasks" / "settled-cpu.json").read_text())
    assert [{name: end[name] for name in agreed} for end in ends] == [agreed] * 2
    for mine, theirs in zip(found.folds, whole.folds, strict=True):
        assert np.array_equal(mine.view_probs, theirs.view_probs)
    for name in ("oof.csv",):
        assert (tmp_path / "run" / name).read_bytes() == (tmp_path / "whole" / name).read_bytes()
    logs = [(tmp_path / place / "log.jsonl").read_text().splitlines() for place in ("run", "whole")]
    assert [json.loads(line)["epoch"] for line in logs[0]] == [json.loads(line)["epoch"] for line in logs[1]]
    with pytest.raises(ConfigError, match="a clock watches one machine"):
        minutes = config.model_copy(update={"minutes": 1.0})
        folds.train_elsewhere(prepared, Options(asked.app, minutes, "", "", on="local"), tmp_path / "run")


def here(**how):
    return Runtime(torch.device("cpu"), threads=1, **how)


def test_the_first_to_be_timed_settles_precision_and_passes_for_all(tmp_path, monkeypatch):
    monkeypatch.setattr(settled, "precisions_of", lambda device: ["float32", "bf16"])
    auto = FAST.model_copy(update={"batch_size": 64, "precision": "auto"})
    first = here(precision="bf16", micro_batch=16)
    assert settled.settle(tmp_path, first, auto) == first
    later = settled.settle(tmp_path, here(precision="float32", micro_batch=64), auto)
    assert settled.told(later) == {"device": "cpu", "precision": "bf16", "micro_batch": 16} and later.threads == 1
    row = settled.settle(tmp_path, here(precision="float32", micro_batch=64), auto, passes=False)
    assert (row.precision, row.micro_batch) == ("bf16", 64)  # another network: its own passes
    own = auto.model_copy(update={"precision": "float32", "micro_batch": 8})
    asked = here(precision="float32", micro_batch=8)
    assert settled.settle(tmp_path, asked, own) == asked  # what the settings name stands
    small = settled.settle(tmp_path, here(micro_batch=4), auto.model_copy(update={"batch_size": 4}))
    assert small.micro_batch == 4
    monkeypatch.setattr(settled, "precisions_of", lambda device: ["float32"])
    assert settled.settle(tmp_path, here(micro_batch=64), auto).precision == "float32"  # cannot


def test_a_first_that_was_killed_over_its_word_settles_nothing(tmp_path, monkeypatch):
    monkeypatch.setattr(settled, "WAIT", (0.0, 3))
    (tmp_path / "settled-cpu.json").write_text('{"precision": "bf')
    mine = here(micro_batch=32)
    assert settled.settle(tmp_path, mine, FAST) == mine
    assert settled.settle(tmp_path / "absent", mine, FAST) == mine


# Transports


@pytest.mark.parametrize("text", ["", "nowhere", "local:0", "local:x", "local:-1", "ray://", "ray://host", "ray://h:x"])
def test_an_unknown_transport_is_refused(text):
    with pytest.raises(ConfigError, match="--on"):
        transport_of(text)


def test_a_file_that_is_no_task(tmp_path):
    with pytest.raises(TaskError, match="does not see the folder"):
        read_spec(tmp_path / "spec.json")
    (tmp_path / "spec.json").write_text('{"kind": "fold"}')
    with pytest.raises(UserError, match="is missing"):
        read_spec(tmp_path / "spec.json")


class Ray(types.ModuleType):
    """A stand-in for Ray that writes down what it is asked; each task lives until it is told to end."""

    def __init__(self):
        super().__init__("ray")
        self.said, self.ended = [], set()
        self.util = types.SimpleNamespace(get_node_ip_address=lambda: "127.0.0.1")

    def init(self, **how):
        self.said.append(("init", how["address"]))

    def cluster_resources(self):
        return {"CPU": 2.0, "GPU": 1.0}

    def remote(self, **how):
        self.said.append(("remote", how))
        return lambda carried: types.SimpleNamespace(remote=lambda words, project: (words[-1], project))

    def wait(self, jobs, num_returns, timeout):
        assert num_returns == len(jobs) and timeout == 0
        return [job for job in jobs if job in self.ended], [job for job in jobs if job not in self.ended]

    def cancel(self, job):
        self.said.append(("cancel", job))

    def shutdown(self):
        self.said.append(("shutdown",))


def test_ray_is_asked_for_a_core_and_a_gpu_and_never_retries_by_itself(tmp_path, monkeypatch):
    ray = Ray()
    monkeypatch.setitem(sys.modules, "ray", ray)
    with socket.create_server(("127.0.0.1", 0)) as head:
        address = f"127.0.0.1:{head.getsockname()[1]}"
        made = transport_of(f"ray://{address}")
    assert ray.said == [("init", address), ("remote", {"num_cpus": 1, "num_gpus": 1, "max_retries": 0})]
    assert made.slots == 1  # of one GPU: what waits, waits here, so that what was lost is before it
    names = [made.submit(task(tmp_path, name) / "spec.json") for name in ("fold0", "fold1")]
    assert made.gone(names) == set()
    ray.ended.add(made.jobs[names[0]])  # done, or its worker is dead: the folder says which
    assert made.gone([*names, "unknown"]) == {names[0], "unknown"}
    made.cancel([names[1]])
    made.close()
    assert ray.said[2:] == [("cancel", made.jobs[names[1]]), ("shutdown",)]


def test_a_ray_head_that_does_not_answer_is_a_sentence_within_seconds(monkeypatch):
    monkeypatch.setitem(sys.modules, "ray", Ray())
    with socket.create_server(("127.0.0.1", 0)) as closed:
        port = closed.getsockname()[1]
    with pytest.raises(ConfigError, match=f"nothing answers there .* ray start --address=127.0.0.1:{port}"):
        transport_of(f"ray://127.0.0.1:{port}")
    monkeypatch.setitem(sys.modules, "ray", None)
    with pytest.raises(ConfigError, match="requirements-ray"):
        transport_of(f"ray://127.0.0.1:{port}")


STAND_IN = """#!/bin/sh
echo "$(basename "$0") $*" >> {log}
case "$(basename "$0")" in
  sbatch) [ -e {refuses} ] && {{ echo "sbatch: error: Invalid partition" >&2; exit 1; }}; echo "17;cluster";;
  squeue) cat {states};;
esac
"""


@pytest.fixture
def cluster(tmp_path, monkeypatch):
    """Slurm's commands, which write down how they are called."""
    for name in ("sbatch", "squeue", "scancel"):
        path = tmp_path / "bin" / name
        path.parent.mkdir(exist_ok=True)
        path.write_text(STAND_IN.format(**{name: tmp_path / name for name in ("log", "refuses", "states")}))
        path.chmod(path.stat().st_mode | stat.S_IXUSR)
    (tmp_path / "states").write_text("17 RUNNING\n18 COMPLETED\n20 PENDING\n")
    monkeypatch.setenv("PATH", f"{tmp_path / 'bin'}{os.pathsep}{os.environ['PATH']}")
    return tmp_path


def test_slurm_is_asked_by_its_own_commands(cluster):
    made = transport_of("slurm:gpu")
    spec = task(cluster, "fold 0") / "spec.json"
    assert made.submit(spec) == "17"
    assert made.gone(["17", "18", "19", "20"]) == {"18", "19"} and made.gone([]) == set()
    made.cancel(["17"])
    said = (cluster / "log").read_text().splitlines()
    assert "--partition=gpu" in said[0] and "--requeue" in said[0] and "--signal=B:TERM@60" in said[0]
    assert said[0].endswith(f"-m recipe task '{spec}'") and command(spec)[-1] == str(spec)
    assert said[2:] == ["scancel 17"]


def test_a_job_that_slurm_has_put_back_is_gone_and_one_that_never_ran_waits(cluster):
    made = transport_of("slurm")
    assert made.gone(["17", "20"]) == set()
    for state, gone in (("COMPLETING", set()), ("PENDING", {"17"})):  # its node is lost, or somebody has asked for it
        (cluster / "states").write_text(f"17 {state}\n20 PENDING\n")
        assert made.gone(["17", "20"]) == gone


def test_what_slurm_refuses_is_said_in_its_words(cluster, monkeypatch):
    (cluster / "refuses").touch()
    with pytest.raises(UserError, match="sbatch refuses: sbatch: error: Invalid partition"):
        slurm.Slurm("x").submit(task(cluster, "fold0") / "spec.json")
    monkeypatch.setenv("PATH", str(cluster))
    with pytest.raises(ConfigError, match="no sbatch here"):
        transport_of("slurm")
