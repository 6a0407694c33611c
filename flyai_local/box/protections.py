"""What stands between a run and the machine, in sentences for its report."""

from __future__ import annotations

import os
from pathlib import Path

from flyai_local.box import cgroups, seccomp
from flyai_local.box.isolate import Box, owner_of
from protocol.language import tr

__all__ = ["protections"]


def protections(box: Box) -> list[str]:
    """What stands between a run in this box and the machine, in sentences for the report."""
    always = [tr("environment from an allow-list")]
    if os.name == "nt":
        return [
            tr("not isolated: bubblewrap is for Linux"),
            *always,
            tr("time, log and disk limits; process tree ended"),
        ]
    always += [_held(), _bounded(box), tr("time and log limits; process tree ended"), *_whose(box)]
    if seccomp.program():
        always.append(tr("system calls filtered: no keyrings, namespaces, mounts, other processes, queues of System V"))
    if not box.isolated:
        return [
            tr("not isolated: bubblewrap is absent or does not work; files and network are open to the run"),
            *always,
        ]
    if box.engine is not None:
        told = tr(
            "isolated by {name} in the image {image}: no network, read-only root, no capabilities; memory and "
            "processes held by the container's control group",
            name=Path(box.engine).name,
            image=box.image,
        )
        return [told, *always]
    return [
        tr(
            "isolated by bubblewrap: own network (off), own processes, read-only system, private "
            "home and /tmp, no capabilities"
        ),
        *always,
    ]


def _held() -> str:
    """Who holds memory and processes in this process's runs."""
    ways = {"v2": tr("version 2"), "v1": tr("version 1"), "scope": tr("a scope of systemd")}
    way = cgroups.kind()
    if way:
        return tr("memory and processes held by the kernel (control groups, {ways})", ways=ways[way])
    return tr("memory and processes looked at ten times a second (no control groups here)")


def _bounded(box: Box) -> str:
    """Who holds what a run writes."""
    if box.space is not None:
        return tr("bytes and files held by the kernel (a file system of the run's own)")
    return tr("bytes and files looked at once a second, one file held by the kernel")


def _whose(box: Box) -> list[str]:
    """Whose rights a hole in the sandbox would give, where root runs the platform."""
    if os.geteuid() or box.engine is not None:
        return []
    owner = owner_of(box)
    if owner is None:
        return [tr("its processes are root's outside: interpreter, package and weights are not open to other users")]
    return [tr("its processes are those of the user {owner} outside, who owns nothing else", owner=owner)]
