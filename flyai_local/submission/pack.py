"""Writes the zip of a submission: an allow-list of files, no top-level folder, the same bytes for the same files."""

from __future__ import annotations

import hashlib
import zipfile
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path, PurePosixPath

from flyai_local.errors import UserError
from flyai_local.submission import appcard
from flyai_local.submission.refusals import MAX_FILE_MB, Refused, examine_file, examine_link
from protocol.language import later, tr
from protocol.streams import is_stream

__all__ = ["Packed", "Selection", "pack", "select"]

# The own project says exactly what it consists of: these, and every Python file beside main.py (plugins and what they
# import).
OWN = ("main.py", "prediction.py", "path.py", "app.yaml", "app.json", "requirements.txt", "LICENSE")
OWN_FOLDERS = (PurePosixPath("recipe"), PurePosixPath("protocol"), PurePosixPath("flyai_local/sdk"))
OWN_ENDINGS = {".py", ".html", ".md", ".mo"}  # code, and the templates of pages and the sentences beside it
# Of any other project, files with these endings: code, cards, tables, and small things that code reads.
CODE_ENDINGS = {".py", ".pyx", ".pyi", ".c", ".cc", ".cpp", ".cu", ".cuh", ".h", ".hpp", ".so", ".sh", ".ipynb"}
TEXT_ENDINGS = {
    ".json",
    ".yaml",
    ".yml",
    ".toml",
    ".cfg",
    ".ini",
    ".txt",
    ".md",
    ".rst",
    ".csv",
    ".tsv",
    ".proto",
    ".prototxt",
}
SMALL_ENDINGS = {".names", ".vocab", ".dict", ".tags", ".npy", ".npz", ".pkl", ".ttf", ".otf", ".jpg", ".jpeg", ".png"}
SMALL_ENDINGS |= {
    ".html",
    ".xml",
    ".lst",
    ".list",
    ".dat",
    ".data",
    ".mat",
    ".pickle",
    ".model",
    ".vec",
    ".bmp",
    ".gif",
}
ENDINGS = CODE_ENDINGS | TEXT_ENDINGS | SMALL_ENDINGS
MODEL_ENDINGS = {".pth", ".pt", ".safetensors", ".h5", ".hdf5", ".keras", ".ckpt", ".onnx", ".pb", ".bin", ".joblib"}
MODEL_ENDINGS |= {".weights", ".pdparams", ".params"}
MODEL_FOLDER = PurePosixPath("data/output/model")
RUN_CARDS = ("run.json", "metrics.json", "fold.json", "ensemble.json", "export.json", "model.xml")
STAYING = {"last": later("state for resuming"), "snapshots": later("weights on the way, for soups")}
LEFT_FOLDERS = {"__pycache__", "node_modules", "build", "dist", "venv", "env", "wandb", "mlruns", "htmlcov"}
ARCHIVE_TIME = (1980, 1, 1, 0, 0, 0)  # the earliest that zip can hold
PLAIN_FILE = 0o100644 << 16


@dataclass
class Selection:
    """What of a folder goes into its archive, what does not and why, and what forbids packing."""

    files: dict[str, Path] = field(default_factory=dict)
    left_out: dict[str, str] = field(default_factory=dict)
    refused: list[Refused] = field(default_factory=list)


@dataclass(frozen=True)
class Packed:
    """An archive that was written."""

    archive: Path
    sha256: str
    size_bytes: int
    names: tuple[str, ...]
    left_out: dict[str, str]


def select(folder: Path, with_model: bool = False, max_mb: float = MAX_FILE_MB) -> Selection:
    """Decide about every file of `folder`. Folders that never travel (data, caches, environments) are not entered.

    Args:
        folder: a project, with main.py at its top.
        with_model: take trained models along, without the state for resuming.
        max_mb: largest single file.
    """
    selection = Selection()
    own = (folder / "recipe").is_dir() and (folder / "flyai_local" / "sdk").is_dir()
    for file in _walk(folder, folder, selection, with_model):
        name = file.relative_to(folder).as_posix()
        reason = _left_out(PurePosixPath(name), own, with_model)
        if reason:
            selection.left_out[name] = reason
            continue
        link = examine_link(name, file, folder) if file.is_symlink() else None
        if link:
            selection.refused.append(link)
            continue
        if not file.is_file():
            selection.left_out[name] = tr("a pipe, a socket or a device")
            continue
        selection.refused += examine_file(name, file, max_mb)
        selection.files[name] = file
    return selection


def pack(folder: Path, archive: Path, selection: Selection) -> Packed:
    """Write the archive of a selection; app.json is made from app.yaml where it is missing.

    Nothing is compressed: so the bytes do not depend on the compression library of the machine.

    Raises:
        UserError: a folder or a device has the name of the archive.
    """
    if archive.is_dir() or is_stream(archive):
        raise UserError(tr("{archive} is a folder or a device: name the file to write", archive=archive))
    contents: dict[str, Path | bytes] = dict(selection.files)
    contents |= _cards(folder, selection)
    archive.parent.mkdir(parents=True, exist_ok=True)
    unfinished = archive.with_name(f".{archive.name}.part")
    with zipfile.ZipFile(unfinished, "w", zipfile.ZIP_STORED) as opened:
        for name in sorted(contents):
            entry = zipfile.ZipInfo(name, ARCHIVE_TIME)
            entry.create_system, entry.external_attr = 3, PLAIN_FILE
            content = contents[name]
            opened.writestr(entry, content if isinstance(content, bytes) else content.read_bytes())
    unfinished.replace(archive)
    return Packed(archive, sha256_of(archive), archive.stat().st_size, tuple(sorted(contents)), selection.left_out)


def sha256_of(file: Path) -> str:
    """SHA-256 of a file, in hexadecimal."""
    digest = hashlib.sha256()
    with file.open("rb") as stream:
        while piece := stream.read(2**20):
            digest.update(piece)
    return digest.hexdigest()


def _walk(folder: Path, top: Path, selection: Selection, with_model: bool) -> Sequence[Path]:
    """Files below `folder` in alphabetical order; what is not entered is noted in the selection."""
    found: list[Path] = []
    for path in sorted(folder.iterdir()):
        name = path.relative_to(top)
        if not path.is_dir():
            found.append(path)
            continue
        reason = _not_entered(path, PurePosixPath(name.as_posix()), with_model)
        if reason:
            selection.left_out[name.as_posix() + "/"] = reason
        elif path.is_symlink():
            refused = examine_link(name.as_posix(), path, top)
            selection.refused += [refused] if refused else []
            selection.left_out[name.as_posix() + "/"] = tr("a link to a folder")
        else:
            found += _walk(path, top, selection, with_model)
    return found


def _not_entered(path: Path, name: PurePosixPath, with_model: bool) -> str | None:
    on_the_way = name in MODEL_FOLDER.parents or name == MODEL_FOLDER or MODEL_FOLDER in name.parents
    if name.parts[0] == "data" and not (with_model and on_the_way):
        return tr("data stays here")
    if name.name.startswith("."):
        return "hidden"
    if name.name in LEFT_FOLDERS or name.name.endswith(".egg-info") or (path / "pyvenv.cfg").exists():
        return tr("made by tools")
    return tr(STAYING.get(name.name, "")) or None if MODEL_FOLDER in name.parents else None


def _left_out(name: PurePosixPath, own: bool, with_model: bool) -> str | None:
    """Why a file does not travel; None when it does."""
    if name.name.startswith("."):
        return "hidden"
    model = name.suffix.lower() in MODEL_ENDINGS
    if MODEL_FOLDER in name.parents:
        return None if model or name.name in RUN_CARDS else tr("not needed to predict")
    if own:
        beside = len(name.parts) == 1 and name.suffix == ".py"
        inside = any(folder in name.parents for folder in OWN_FOLDERS) and name.suffix in OWN_ENDINGS
        return None if str(name) in OWN or beside or inside else tr("not part of this project's submission")
    if model:
        return None if with_model else tr("a model; --with-model takes it along")
    return (
        None if name.suffix.lower() in ENDINGS or name.name in ("LICENSE", "Makefile") else tr("ending not on the list")
    )


def _cards(folder: Path, selection: Selection) -> dict[str, bytes]:
    """An app.json made from app.yaml where there is only the latter."""
    if "app.yaml" not in selection.files or "app.json" in selection.files:
        return {}
    card = appcard.parse(appcard.read_text(folder / "app.yaml"))
    return {"app.json": appcard.app_json(card).encode("utf-8")}
