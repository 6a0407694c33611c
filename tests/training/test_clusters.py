"""Folds on clusters that the tests start themselves: Ray's own test cluster, and a Slurm of two nodes on this machine.

`pytest -m cluster` runs them where Ray and Slurm are installed; Slurm's daemons want root. What is lost goes on
elsewhere, and the answers out of fold are byte for byte those of a run here. The seconds are printed, not judged.
"""

from __future__ import annotations

import contextlib
import importlib.util
import os
import shutil
import signal
import socket
import subprocess
import threading
import time
from pathlib import Path

import pytest
from run_lab import FAST, run

from recipe.app import App, Competition
from recipe.cli import Options
from recipe.data.reading import read
from recipe.models.start import start
from recipe.pictures.cache import Pictures
from recipe.pictures.preprocessing import short_side
from recipe.training.run import Prepared
from recipe.training.tasks import coordinator, folds, slurm
from recipe.training.tasks.spec import newest

pytestmark = [pytest.mark.slow, pytest.mark.cluster]
LONG = 600.0  # seconds after which something hangs
CONFIG = FAST.model_copy(update={"epochs": 6, "folds": 3, "save_steps": 1, "export": "none"})


def until(looks):
    """What is looked at, once it is true."""
    end = time.monotonic() + LONG
    while not (seen := looks()):
        assert time.monotonic() < end, "it did not come"
        time.sleep(0.02)
    return seen


def trained(competition, folder, on, config=CONFIG, **how):
    """The folds of a run as tasks."""
    table, entered = read(competition), Competition(id="Tiny")
    begun = start(config, len(table.classes))
    prepared = Prepared(begun, table, Pictures(table.paths, short_side(begun.preprocessing)), entered)
    return folds.train_elsewhere(
        prepared, Options(App(competition=entered), config, "", "", report=False, on=on, **how), folder
    )


KEPT: list[bytes] = []


@pytest.fixture
def whole(competition, tmp_path):
    """The out-of-fold answers of the same run in this process: trained once, since the pictures are the same."""
    if not KEPT:
        run(competition, tmp_path / "whole", CONFIG)
        KEPT.append((tmp_path / "whole" / "oof.csv").read_bytes())
    return KEPT[0]


class Watched:
    """A run in a thread, and what can be seen of it from outside."""

    def __init__(self, competition, folder, on, **how):
        self.folder, self.error = folder, None

        def work():
            try:
                trained(competition, folder, on, **how)
            except BaseException as error:
                self.error = error

        self.thread = threading.Thread(target=work)
        self.thread.start()

    def at_work(self, fold="fold0", number=1):
        """The process of an attempt that has saved a state."""

        def looks():
            assert self.thread.is_alive(), self.error
            attempt = newest(self.folder / "tasks" / fold)
            saved = attempt and attempt.number >= number and list(attempt.folder.glob("fold*/last/*.safetensors"))
            return attempt if saved and attempt.beat.get("attempt") == attempt.number else None

        return until(looks)

    def steps_again(self, fold, number, since):
        """Waits for the first state that a later attempt saves itself, and prints the seconds from the loss to it."""
        until(lambda: newest(self.folder / "tasks" / fold).number > number)
        noticed = time.monotonic() - since
        begun = self.at_work(fold, number + 1)
        before = set(begun.folder.glob("fold*/last/*.safetensors"))
        until(lambda: set(begun.folder.glob("fold*/last/*.safetensors")) - before or begun.end)
        print(
            f"{fold}: {time.monotonic() - since:.1f} s from the loss to the first step elsewhere, "
            f"{noticed:.1f} of them until the next attempt begins; load {os.getloadavg()[0]:.0f}",
            flush=True,
        )

    def end(self):
        self.thread.join(LONG)
        assert self.error is None, self.error
        return (self.folder / "oof.csv").read_bytes()


def ancestors(pid):
    """Processes above one, the nearest first."""
    while pid > 1:
        pid = int(Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[1])
        yield pid


# Ray


@contextlib.contextmanager
def ray_of(cores_of_head, nodes):
    """A cluster on this machine: a head, and so many nodes of one core each."""
    from ray.cluster_utils import Cluster

    try:
        cluster = Cluster(initialize_head=True, head_node_args={"num_cpus": cores_of_head, "include_dashboard": False})
        cluster.nodes = [cluster.add_node(num_cpus=1) for _ in range(nodes)]
    except Exception as error:  # no network of its own, too little shared memory: nothing of ours has been tried
        pytest.skip(f"Ray starts no cluster on this machine: {error}")
    yield cluster
    cluster.shutdown()


@pytest.fixture(autouse=True)
def quiet_ray(monkeypatch):
    """Ray's tasks are not starved beside other programs, and it calls nobody."""
    for name, value in {"worker_niceness": "0", "DISABLE_IMPORT_WARNING": "1", "USAGE_STATS_ENABLED": "0"}.items():
        monkeypatch.setenv(f"RAY_{name}", value)


needs_ray = pytest.mark.skipif(
    importlib.util.find_spec("ray") is None, reason="Ray is not installed here: pip install -r requirements-ray.txt"
)


@pytest.fixture
def ray_cluster():
    """A head without cores and two nodes."""
    with ray_of(0, 2) as cluster:
        yield cluster


def address(cluster):
    return f"ray://{cluster.address}"


def a_killed_one_is_made_good(competition, folder, cluster):
    run = Watched(competition, folder, address(cluster))
    lost = run.at_work()
    os.kill(lost.beat["pid"], signal.SIGKILL)
    run.steps_again("fold0", lost.number, time.monotonic())
    return run.end()


@needs_ray
def test_folds_on_one_machine_of_ray(competition, tmp_path, whole):
    """The shortest proof of this transport, which every check of the project runs."""
    with ray_of(2, 0) as cluster:
        assert a_killed_one_is_made_good(competition, tmp_path / "run", cluster) == whole


@needs_ray
def test_folds_on_ray_are_those_of_a_run_here_and_a_killed_one_is_made_good(competition, tmp_path, whole, ray_cluster):
    assert a_killed_one_is_made_good(competition, tmp_path / "run", ray_cluster) == whole


@needs_ray
def test_a_node_of_ray_that_goes_without_grace_is_made_good(competition, tmp_path, whole, ray_cluster):
    run = Watched(competition, tmp_path / "run", address(ray_cluster))
    lost = run.at_work()
    above = set(ancestors(lost.beat["pid"]))
    node = next(each for each in ray_cluster.nodes if each.all_processes["raylet"][0].process.pid in above)
    began = time.monotonic()
    ray_cluster.remove_node(node, allow_graceful=False)
    run.steps_again("fold0", lost.number, began)
    assert run.end() == whole


# Slurm


CONF = """
ClusterName=flyai
SlurmctldHost={host}(127.0.0.1)
SlurmctldPort={ports[0]}
AuthType=auth/munge
AuthInfo=socket={folder}/munge.socket
CredType=cred/munge
SlurmUser=root
SlurmdUser=root
MpiDefault=none
ProctrackType=proctrack/linuxproc
TaskPlugin=task/none
SelectType=select/cons_tres
SelectTypeParameters=CR_Core
StateSaveLocation={folder}/state
SlurmdSpoolDir={folder}/spool-%n
SlurmctldPidFile={folder}/ctld.pid
SlurmdPidFile={folder}/%n.pid
SlurmctldLogFile={folder}/ctld.log
SlurmdLogFile={folder}/%n.log
SlurmdTimeout=10
KillWait=30
ReturnToService=2
JobAcctGatherType=jobacct_gather/none
AccountingStorageType=accounting_storage/none
NodeName=n1 NodeHostname={host} NodeAddr=127.0.0.1 Port={ports[1]} CPUs=1
NodeName=n2 NodeHostname={host} NodeAddr=127.0.0.1 Port={ports[2]} CPUs=1
PartitionName=main Nodes=n1,n2 Default=YES MaxTime=INFINITE State=UP
"""


class SlurmCluster:
    """munged, slurmctld and two slurmd of this test's own; its commands find them by SLURM_CONF."""

    def __init__(self, folder, environment):
        self.folder, self.environment, self.daemons = folder, environment, {}
        folder.chmod(0o755)
        (folder / "state").mkdir()
        with contextlib.ExitStack() as probes:
            sockets = [probes.enter_context(socket.create_server(("127.0.0.1", 0))) for _ in range(3)]
            ports = [each.getsockname()[1] for each in sockets]
        conf = CONF.format(host=socket.gethostname().partition(".")[0], ports=ports, folder=folder)
        (folder / "slurm.conf").write_text(conf)
        key = folder / "munge.key"
        key.write_bytes(os.urandom(128))
        key.chmod(0o400)
        munge = ["--socket", folder / "munge.socket", "--key-file", key, "--pid-file", folder / "munge.pid"]
        munge += ["--log-file", folder / "munge.log", "--seed-file", folder / "munge.seed"]
        self.start("munge", "munged", "--foreground", "--force", *munge)
        until((folder / "munge.socket").exists)
        self.start("ctld", "slurmctld", "-D")
        for node in ("n1", "n2"):
            (folder / f"spool-{node}").mkdir()
            self.start(node, "slurmd", "-D", "-N", node)
        until(lambda: self.said("sinfo", "-h", "-o", "%T %D").split() == ["idle", "2"])

    def start(self, name, program, *words):
        path = shutil.which(program, path=f"{os.environ['PATH']}:/usr/sbin")
        self.daemons[name] = subprocess.Popen(
            [path, *map(str, words)], env=self.environment, start_new_session=True,
            stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL,
        )  # fmt: skip

    def said(self, *words):
        return subprocess.run(words, env=self.environment, capture_output=True, text=True, check=False).stdout

    def job_of(self, fold):
        """Number and node of the running job of a fold."""
        line = until(lambda: self.said("squeue", "-h", "-n", fold, "-t", "RUNNING", "-o", "%i %N"))
        return line.split()

    def lose(self, node, pid):
        """The node goes with all that runs on it."""
        above = [each for each in ancestors(pid) if b"slurmstepd" in Path(f"/proc/{each}/cmdline").read_bytes()]
        for each in (self.daemons[node].pid, *above, pid):
            with contextlib.suppress(ProcessLookupError):
                os.kill(each, signal.SIGKILL)

    def stop(self):
        """Ends the daemons, and whatever of theirs waits for one that has ended before."""
        self.said("scancel", "--me")
        for daemon in reversed(list(self.daemons.values())):
            daemon.terminate()
        mark = f"SLURM_CONF={self.environment['SLURM_CONF']}".encode()
        for place in Path("/proc").glob("[0-9]*"):
            with contextlib.suppress(OSError):
                if mark in (place / "environ").read_bytes():
                    os.kill(int(place.name), signal.SIGKILL)
        for daemon in self.daemons.values():
            daemon.wait(LONG)


@pytest.fixture
def slurm_cluster(tmp_path, monkeypatch):
    """A Slurm of two nodes on this machine."""
    path = f"{os.environ['PATH']}:/usr/sbin"
    if os.getuid() or not all(shutil.which(name, path=path) for name in ("slurmctld", "slurmd", "munged", "sbatch")):
        pytest.skip("Slurm's daemons are not installed (slurm-wlm, munge), or this is not root")
    folder = tmp_path / "slurm"
    folder.mkdir()
    monkeypatch.setenv("SLURM_CONF", str(folder / "slurm.conf"))
    cluster = SlurmCluster(folder, dict(os.environ))
    try:
        yield cluster
    finally:
        cluster.stop()


def test_folds_on_slurm_are_those_of_a_run_here_and_a_killed_one_is_made_good(
    competition, tmp_path, whole, slurm_cluster
):
    run = Watched(competition, tmp_path / "run", "slurm")
    lost = run.at_work()
    os.kill(lost.beat["pid"], signal.SIGKILL)  # Slurm itself puts nothing back for this
    run.steps_again("fold0", lost.number, time.monotonic())
    assert run.end() == whole


def test_a_node_of_slurm_that_is_lost_is_made_good(competition, tmp_path, whole, slurm_cluster):
    """The node of the last fold, so that the other one has room for it."""
    run = Watched(competition, tmp_path / "run", "slurm:main")
    lost = run.at_work("fold2")
    until(lambda: (run.folder / "fold0").exists() and (run.folder / "fold1").exists())
    began = time.monotonic()
    slurm_cluster.lose(slurm_cluster.job_of("fold2")[1], lost.beat["pid"])
    run.steps_again("fold2", lost.number, began)
    assert run.end() == whole


def test_a_job_that_slurm_puts_back_goes_on_from_its_last_state(competition, tmp_path, whole, slurm_cluster):
    run = Watched(competition, tmp_path / "run", "slurm")
    lost = run.at_work()
    began = time.monotonic()
    slurm_cluster.said("scontrol", "requeue", slurm_cluster.job_of("fold0")[0])
    run.steps_again("fold0", lost.number, began)
    assert run.end() == whole


def test_a_job_that_hears_of_its_time_limit_saves_and_goes_on(competition, tmp_path, whole, slurm_cluster):
    """By the signal that Slurm sends a minute before the limit."""
    run = Watched(competition, tmp_path / "run", "slurm")
    lost = run.at_work()
    began = time.monotonic()
    slurm_cluster.said("scancel", "--batch", "--signal=TERM", slurm_cluster.job_of("fold0")[0])
    run.steps_again("fold0", lost.number, began)
    assert lost.end["state"] == "again" and run.end() == whole


def test_a_job_whose_time_is_over_saves_and_goes_on(competition, tmp_path, whole, slurm_cluster, monkeypatch):
    """A limit of a minute that really runs out: this one is asleep, and is not told before."""
    monkeypatch.setenv("SBATCH_TIMELIMIT", "1")
    monkeypatch.setattr(slurm, "BEFORE", 0)
    monkeypatch.setattr(coordinator, "LEASE", LONG)  # it sleeps longer than a lease
    run = Watched(competition, tmp_path / "run", "slurm")
    lost = run.at_work()
    os.kill(lost.beat["pid"], signal.SIGSTOP)
    until(lambda: lost.end)
    began = time.monotonic()
    assert lost.end["state"] == "again"
    assert "DUE TO TIME LIMIT" in (run.folder / "tasks" / "fold0" / "slurm.txt").read_text()
    run.steps_again("fold0", lost.number, began)
    assert run.end() == whole
