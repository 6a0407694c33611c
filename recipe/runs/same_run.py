"""Whether a run that is gone on with is still the same: settings, data, code, versions, each named where not.

No torch is imported here.
"""

from __future__ import annotations

import hashlib
import json
import platform
import time
import uuid
from collections.abc import Iterator
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

from protocol.language import tr
from protocol.strict import ConfigError
from recipe import plugins
from recipe.config import Config
from recipe.data.table import Table
from recipe.runs.folder import read_about
from recipe.system.atomic import CheckpointError, write_json
from recipe.system.console import DIARY, say
from recipe.system.machine import commit

RECIPE = Path(__file__).resolve().parent.parent
BESIDE = {"audit", "report", "tune", "sweep", "commands"}  # rooms that come beside or after a run: no result has them
LOG = "run.log"  # every line that the run said, and those of --verbose
NAMED = 5  # changed files that are named; the others are counted
REARRANGED = 0.5  # of the files gone: they were moved, and naming each says nothing

FREE = {  # settings of the machine: they do not belong to a run's result
    "device",
    "precision",
    "memory_format",
    "micro_batch",
    "workers",
    "cache_mb",
    "cache_disk_mb",
    "threads",
    "retime",
    "compile",
    "save_seconds",
    "save_steps",
    "minutes",
    "hidden_pictures",
    "trackers",
}
ADJUSTABLE = {  # settings that a state can go on under, where one accepts a result that no single command repeats
    "lr",
    "freeze_lr",
    "warmup_epochs",
    "epochs",
    "patience",
    "clip_grad",
    "augment",
    "mix",
    "mix_off_epochs",
    "loss",
    "reduction",
    "l1",
    "views",
    "snapshot_steps",
    "snapshot_keep",
}


def open_run(
    folder: Path, config: Config, table: Table, resume: bool, anyway: bool = False, competition: Any = None
) -> str:
    """Writes run.json; returns the run's number. An earlier run is moved aside, never overwritten; with `resume` it
    must have the same settings and data. `competition` says what was entered, by which columns and metric.

    Raises:
        ConfigError: nothing to go on with, or something else lies there.
    """
    path = folder / "run.json"
    here: dict[str, Any] = {
        "config": config.model_dump(),
        "classes": list(table.classes),
        "fingerprint": table.fingerprint,
    }
    here |= {"code": code(), "versions": versions()}
    if resume:
        number = _gone_on_with(path, here, anyway)
        DIARY.keep(folder / LOG)
        return number
    if path.exists():
        aside = folder.with_name(
            f"{folder.name}-{time.strftime('%Y%m%d-%H%M%S', time.localtime(path.stat().st_mtime))}"
        )
        try:
            folder.rename(aside)
        except OSError as error:
            raise CheckpointError(
                tr(
                    "cannot move the earlier run in {folder} aside: {strerror}. Choose another --output.",
                    folder=folder,
                    strerror=error.strerror,
                )
            ) from error
        say(tr("the earlier run was moved to {aside}", aside=aside))
    origin = {"source": str(table.source), "commit": commit(), "machine": platform.platform(), "began": time.time()}
    origin |= {"competition": competition or {}}
    write_json(path, here | {"values": list(table.values), "run": (number := uuid.uuid4().hex)} | origin)
    DIARY.keep(folder / LOG)
    return number


def _gone_on_with(path: Path, here: dict[str, Any], anyway: bool) -> str:
    """The number of the run that is gone on with; run.json then holds what it goes on under."""
    if not path.exists():
        raise ConfigError(
            tr("--resume: {parent} holds no run to go on with; leave --resume out to begin one.", parent=path.parent)
        )
    try:
        there = read_about(path.parent)
        changed = check_same_run(path.parent, there, here, anyway)
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        if isinstance(error, ConfigError):
            raise
        raise ConfigError(
            tr(
                "--resume: {path} is damaged ({error}); leave --resume out to begin anew beside it.",
                path=path,
                error=error,
            )
        ) from None
    if changed:
        say(tr("--resume-anyway: goes on in spite of {changed}", changed=", ".join(changed)))
        write_json(path, there | here | {"changed": [*there.get("changed", []), *changed]})
    return str(there.get("run", ""))


def code(folder: Path = RECIPE) -> dict[str, str]:
    """The first 16 digits of the SHA-256 of every source file below `folder` that a result may depend on, by its name
    there, and of every plugin that settings name: what lies there counts, not what happens to be loaded.
    """
    names = {file: file.relative_to(folder) for file in sorted(folder.rglob("*.py"))}
    files = {f"{folder.name}/{name.as_posix()}": file for file, name in names.items() if name.parts[0] not in BESIDE}
    files |= {file.name: file for file in plugins.files()}
    return {name: hashlib.sha256(file.read_bytes()).hexdigest()[:16] for name, file in files.items()}


def versions() -> dict[str, str]:
    """Versions that a result may depend on."""
    packages = ("torch", "timm", "albumentations", "opencv-python-headless", "numpy", "scikit-learn")
    return {"python": platform.python_version()} | {package: _version(package) for package in packages}


def check_same_run(folder: Path, there: dict[str, Any], here: dict[str, Any], anyway: bool) -> list[str]:
    """What has changed since a run began, for `anyway` to accept.

    Args:
        there: run.json of the run.
        here: the same of the command that wants to go on.

    Raises:
        ConfigError: something has changed and `anyway` is not set, or something that no state can go on under.
    """
    if there["fingerprint"] != here["fingerprint"]:
        raise ConfigError(
            tr(
                "--resume: the pictures or labels have changed since the run in {folder} began; leave --resume out.",
                folder=folder,
            )
        )
    there = there | {"config": _defaults() | there["config"]}  # a setting that came later was at its default
    settings = {
        key: value
        for key, value in _plain(here["config"]).items()
        if key not in FREE and there["config"].get(key) != value
    }
    if fixed := [key for key in settings if key not in ADJUSTABLE]:
        raise ConfigError(
            tr(
                "--resume: the run in {folder} was begun with {was}. Give the same settings, or leave --resume out.",
                folder=folder,
                was=_was(fixed, there, settings),
            )
        )
    changed = [_was([key], there, settings) for key in settings]
    changed += changed_code(there.get("code", {}), here["code"])
    changed += [
        tr("{name} {then} (now {now})", name=name, then=there["versions"][name], now=here["versions"][name])
        for name in _other(there.get("versions", {}), here["versions"])
    ]
    if changed and not anyway:
        raise ConfigError(
            tr(
                "--resume: the run in {folder} was begun with {changed}. Give the same settings, code "
                "and versions, leave --resume out, or accept with --resume-anyway a result that no "
                "single command repeats.",
                folder=folder,
                changed=", ".join(changed),
            )
        )
    return changed


def changed_code(there: dict[str, str], here: dict[str, str]) -> list[str]:
    """Files that are others, gone or new, the first few by name; one sentence where hardly any is still in its place.

    Args:
        there: digests of the files under which a run was begun, by name, as `code` gives them.
        here: those of now.
    """
    if not there:
        return [tr("code that it did not write down")]
    gone = [name for name in there if name not in here]
    if len(gone) >= REARRANGED * len(there):
        return [tr("code that was rearranged since")]
    found = [tr("another {name}", name=name) for name, digest in there.items() if here.get(name, digest) != digest]
    found += [tr("{name} (now gone)", name=name) for name in gone]
    found += [tr("without {name}", name=name) for name in here if name not in there]
    return (
        found if len(found) <= NAMED else [*found[:NAMED], tr("{found} more changed files", found=len(found) - NAMED)]
    )


def _defaults() -> dict[str, Any]:
    return _plain(
        {name: setting.get_default(call_default_factory=True) for name, setting in Config.model_fields.items()}
    )


def _plain(config: dict[str, Any]) -> dict[str, Any]:
    plain: dict[str, Any] = json.loads(json.dumps(config))
    return plain


def _was(keys: list[str], there: dict[str, Any], settings: dict[str, Any]) -> str:
    return ", ".join(
        tr("{key}: {config!r} (now {settings!r})", key=key, config=there["config"].get(key), settings=settings[key])
        for key in keys
    )


def _other(there: dict[str, str], here: dict[str, str]) -> Iterator[str]:
    """Names that both know and that differ: a package that one of them does not ask for says nothing."""
    return (name for name, digest in there.items() if here.get(name, digest) != digest)


def _version(package: str) -> str:
    try:
        return version(package)
    except PackageNotFoundError:
        return "absent"  # for example under another name, as OpenCV has several
