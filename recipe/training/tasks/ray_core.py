"""Tasks as tasks of a Ray cluster: Ray places a process for each, and the coordinator looks after them.

Ray's own retries are off: a task that was lost is given again from its last saved state, and one that was refused by a
sentence is not. A Ray port has no access control: it must never leave the laboratory's network.
"""

from __future__ import annotations

import contextlib
import os
import socket
from pathlib import Path
from typing import Any

from protocol.language import tr
from protocol.strict import ConfigError
from recipe.training.tasks.transport import PROJECT, command

LOOPBACK = ("127.0.0.1", "localhost")  # Ray takes the machine's own address in their place, and must be found there
SECONDS = 5.0  # for the head to answer: ray.init itself would try for minutes


class RayCluster:
    """One core for each task, and a GPU where the cluster has some."""

    poll = 0.25

    def __init__(self, ray: Any, address: str) -> None:
        self.ray, self.jobs, self.count = ray, {}, 0  # type: ignore[var-annotated]
        ray.init(address=address, log_to_driver=False, logging_level="ERROR")
        self.takes = "GPU" if ray.cluster_resources().get("GPU") else "CPU"
        self.task = ray.remote(num_cpus=1, num_gpus=int(self.takes == "GPU"), max_retries=0)(_carried)

    @property
    def slots(self) -> int:
        """As many as the cluster can run now: its queue has no places, so what is lost would wait behind all others."""
        return max(1, int(self.ray.cluster_resources().get(self.takes, 0)))

    def submit(self, spec: Path) -> str:
        """Gives it to the cluster."""
        self.count += 1
        self.jobs[str(self.count)] = self.task.remote(command(spec), str(PROJECT))
        return str(self.count)

    def gone(self, names: list[str]) -> set[str]:
        """Those whose process has ended, or whose worker or node is dead."""
        waited = [self.jobs[name] for name in names if name in self.jobs]
        ready, _ = self.ray.wait(waited, num_returns=len(waited), timeout=0) if waited else ([], [])
        return {name for name in names if name not in self.jobs or self.jobs[name] in ready}

    def cancel(self, names: list[str]) -> None:
        """The worker passes the end on to its process."""
        for name in names:
            with contextlib.suppress(Exception):
                self.ray.cancel(self.jobs[name])

    def close(self) -> None:
        """Leaves the cluster."""
        self.ray.shutdown()


def _carried(words: list[str], project: str) -> int:
    """Runs in a worker of Ray: the process, which ends when its worker does."""
    import subprocess

    process = subprocess.Popen(words, cwd=project, env={**os.environ, "FLYAI_PARENT": str(os.getpid())})
    try:
        return process.wait()
    finally:
        if process.poll() is None:
            process.terminate()
            process.wait()


def transport(rest: str) -> RayCluster:
    """`ray://HOST:PORT`, the address of the cluster's head.

    Raises:
        ConfigError: ray is not installed, or nothing answers there.
    """
    host, _, port = rest.removeprefix("//").rpartition(":")
    if not host or not port.isdigit():
        raise ConfigError(
            tr("--on ray:{rest} is refused: the address of the head, such as ray://192.0.2.1:6379.", rest=rest)
        )
    try:
        import ray
    except ImportError:
        raise ConfigError(tr("--on ray:// needs Ray: pip install -r requirements-ray.txt, on every machine.")) from None
    try:
        for address in {host, ray.util.get_node_ip_address() if host in LOOPBACK else host}:
            socket.create_connection((address, int(port)), SECONDS).close()
    except OSError as error:
        raise ConfigError(
            tr("--on ray://{host}:{port}: nothing answers there ({reason}). On the head: ray start --head "
               "--node-ip-address={host} --port={port}; on this and every other machine: ray start "
               "--address={host}:{port}.", host=host, port=port, reason=error.strerror or error)
        ) from None  # fmt: skip
    return RayCluster(ray, f"{host}:{port}")
