"""A closer look at a failure: its code and words made more exact by the source, requirements.txt, and the log."""

from __future__ import annotations

import importlib.util
import re
from collections.abc import Sequence
from pathlib import Path

from flyai_local.run import place, requirements
from flyai_local.run.blame import LONGEST_DETAIL
from flyai_local.run.diagnose import RunError
from flyai_local.run.place import NOWHERE, Place
from flyai_local.states import Code
from flyai_local.submission.baseline import BASELINE, GONE_FROM_PYTHON
from flyai_local.submission.package_names import brought, packages_of
from flyai_local.terminal import shown
from protocol.language import tr

__all__ = ["looked_into"]

UNKNOWN_WORD = re.compile(r"(?:(\w+)\.)*(\w+)\(\) got an unexpected keyword argument")
TAKEN = re.compile(r"cannot import name .* from (?:partially initialized module )?'(\w+)")
GENERAL = (Code.TRAINING_FAILED, Code.IMPORT_FAILED, Code.LOAD_FAILED, Code.PREDICT_FAILED)
# How libraries name the pretrained file that they went for: torch hub, Hugging Face hub, any address of a file.
WANTED = (
    re.compile(r'Downloading: "[^"]*/([^"/]+)" to '),
    re.compile(r"huggingface\.co/([\w.-]+/[\w.-]+)/resolve/[^/\s]+/([\w./-]*\w)"),
    re.compile(r"https?://\S*/([\w.|-]+\.(?:pth|pt|h5|hdf5|bin|safetensors|npz|zip|tar|gz|pdparams|params|onnx))\b"),
)

LONGEST_PLACE = 120  # of the line that is named


def looked_into(error: RunError, project: Path, log: Path | None) -> tuple[RunError, Place]:
    """The same error, more exact by what lies around it, and the submission's innermost line, which it then names.

    Nothing that a submission left in its folder makes this fail: then the error stays as it was.
    """
    try:
        lines = place.last_lines(log)
        own = Code.TRAINING_FAILED if log is not None and log.name == "train.log" else Code.IMPORT_FAILED
        code, detail = _exact(error.code, error.detail, own, project, lines)
        found = place.innermost(lines, project)
    except (OSError, ValueError, RuntimeError):
        return error, NOWHERE
    where = tr(", at {found}", found=shown(found, LONGEST_PLACE)) if found.file else ""
    return RunError(code, shown(detail, LONGEST_DETAIL - len(where)) + where), found


def _exact(code: Code, detail: str, own: Code, project: Path, lines: Sequence[str]) -> tuple[Code, str]:
    word, taken = UNKNOWN_WORD.search(detail), TAKEN.search(detail)
    if code is Code.OLD_LIBRARY_CALL and taken and place.holds(project, taken[1]):
        return own, detail
    if code in GENERAL and word and not any(place.defines(project, name) for name in word.groups() if name):
        return Code.OLD_LIBRARY_CALL, detail
    if code is Code.MISSING_WEIGHTS and (names := _wanted(lines)):
        where = " or ".join(f"DIR/{name}" for name in names)
        return code, tr(
            "{names} is not here; looked for as {where} of --weights DIR ({detail})",
            names=names[0],
            where=where,
            detail=detail,
        )
    module = re.search(r"No module named '([\w.]+)'", detail)
    return _missing(module[1], detail, project) if code is Code.MISSING_PACKAGE and module else (code, detail)


def _missing(module: str, detail: str, project: Path) -> tuple[Code, str]:
    """What a module that is not there comes to: its package is missing, or the package is there and has changed."""
    top, _, below = module.partition(".")
    if module == "prediction":  # main.py took it away
        return Code.NO_PREDICTION, detail
    if place.holds(project, top):
        return Code.MISSING_PACKAGE, detail
    if top in GONE_FROM_PYTHON or (below and importlib.util.find_spec(top) is not None):
        return Code.OLD_LIBRARY_CALL, detail
    said = _listed(top, project)
    return Code.MISSING_PACKAGE, f"{detail}; {said}" if said else detail


def _wanted(lines: Sequence[str]) -> list[str]:
    """The pretrained files that the last try was for, as they would lie in the folder of --weights."""
    for pattern in WANTED:
        found = ["/".join(match.groups()) for line in lines for match in pattern.finditer(line)]
        if found:
            last = found[-1].rpartition("/")[0]  # of the hub, one network in several forms
            return list(dict.fromkeys(name for name in found if last and name.rpartition("/")[0] == last)) or found[-1:]
    return []


def _listed(module: str, project: Path) -> str:
    """What to do about a module whose package the platform would have had; empty for any other."""
    listed = [line.text for line in requirements.lines(project / "requirements.txt") if not line.skip]
    names = packages_of(module)
    if any(name in brought(listed) for name in names):
        return tr(
            "requirements.txt names {names}, and this interpreter lacks it: --fresh-env installs it", names=names[0]
        )
    if any(name in BASELINE for name in names):
        return tr(
            "the platform had {names}, and this interpreter lacks it: install it here, or list it for --fresh-env",
            names=names[0],
        )
    return ""
