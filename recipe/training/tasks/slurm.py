"""Tasks as jobs of a Slurm cluster, by its own commands.

What a site wants beside (a time limit, GPUs, an account) is given by Slurm's own variables, such as SBATCH_TIMELIMIT,
SBATCH_GRES and SBATCH_ACCOUNT. A minute before a time limit the task is asked for an end and saves; Slurm itself puts a
job back into the queue only where its node was lost, so the coordinator looks after all others. A job that is put back
counts as gone: Slurm would begin it anew after two minutes at the earliest.
"""

from __future__ import annotations

import shlex
import shutil
import subprocess
from pathlib import Path

from protocol.errors import UserError
from protocol.language import tr
from protocol.strict import ConfigError
from recipe.training.tasks.transport import PROJECT, command

BEFORE = 60  # seconds before its time is over that a job hears of it
SECONDS = 60  # that a command of Slurm may take
ENDED = ("COMPLETED", "FAILED", "CANCELLED", "TIMEOUT", "NODE_FAIL", "OUT_OF_MEMORY", "BOOT_FAIL", "DEADLINE")


class Slurm:
    """Jobs in a partition, or in the site's default one."""

    slots, poll = 1000, 1.0  # the cluster has a queue of its own

    def __init__(self, partition: str) -> None:
        self.partition = partition
        self.ran: set[str] = set()  # jobs that were seen at work

    def submit(self, spec: Path) -> str:
        """One job; its name is its number."""
        words = ["sbatch", "--parsable", "--requeue", "--open-mode=append", f"--signal=B:TERM@{BEFORE}"]
        words += [f"--partition={self.partition}"] if self.partition else []
        words += [f"--job-name={spec.parent.name}", f"--output={spec.parent / 'slurm.txt'}", f"--chdir={PROJECT}"]
        return _said([*words, f"--wrap=exec {shlex.join(command(spec))}"]).split(";")[0].strip()

    def gone(self, names: list[str]) -> set[str]:
        """Those that the queue no longer holds, or holds again."""
        if not names:
            return set()
        lines = [line.split() for line in _said(["squeue", "--noheader", "--me", "--format=%i %T"]).splitlines()]
        states = {line[0]: line[1] for line in lines if len(line) == 2 and line[1] not in ENDED}
        self.ran |= {name for name, state in states.items() if state == "RUNNING"}
        return {name for name in names if name not in states or (states[name] == "PENDING" and name in self.ran)}

    def cancel(self, names: list[str]) -> None:
        """SIGTERM, then the site's KillWait (30 seconds) to save; one that Slurm has put back leaves the queue."""
        if names:
            _said(["scancel", *names], refuses=False)

    def close(self) -> None:
        """Slurm keeps its own accounts."""


def transport(rest: str) -> Slurm:
    """`slurm` or `slurm:PARTITION`.

    Raises:
        ConfigError: this machine has no Slurm.
    """
    if shutil.which("sbatch") is None:
        raise ConfigError(tr("--on slurm: there is no sbatch here; start it on the login node of the cluster."))
    return Slurm(rest)


def _said(words: list[str], refuses: bool = True) -> str:
    """What a command of Slurm prints.

    Raises:
        UserError: it refuses, or does not answer.
    """
    try:
        done = subprocess.run(words, capture_output=True, text=True, timeout=SECONDS, check=False)
    except subprocess.TimeoutExpired:
        raise UserError(
            tr("{program} has not answered for {seconds} seconds: is the cluster's controller up?",
               program=words[0], seconds=SECONDS)
        ) from None  # fmt: skip
    if done.returncode and refuses:
        why = " ".join(done.stderr.split()) or str(done.returncode)
        raise UserError(tr("{program} refuses: {why}", program=words[0], why=why))
    return done.stdout
