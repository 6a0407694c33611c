"""Pretrained files by their platform address, found on this machine: nothing is downloaded."""

import os
import shutil
import tempfile
from pathlib import Path
from urllib.parse import unquote, urlsplit

from flyai.project import link, project_path, say, tr

ARCHIVES = (".tar.gz", ".tar.bz2", ".tar.xz", ".tgz", ".tar", ".zip")


class MissingWeightsError(FileNotFoundError):
    """A pretrained file that a submission asks for lies nowhere on this machine."""


def get_remote_data(url, unzip=True):
    """Return the path ``data/input/model/<file>`` of the pretrained file that ``https://www.flyai.com/m/<file>`` names.

    The file is looked for there, then in the folder that FLYAI_LOCAL_WEIGHTS names, then among torch hub's
    checkpoints; a find is copied, so that nothing a submission does can change the original. With `unzip`, an archive
    is unpacked beside itself; the path of the archive is returned all the same.

    Raises:
        MissingWeightsError: a FileNotFoundError that names the file, the places and the remedy.
    """
    name = _file_name(url)
    folder = project_path("data", "input", "model")
    # Windows allows no "|" in a file name.
    path = folder / (name.replace("|", "_") if os.name == "nt" else name)
    if not path.is_file():
        _copy(_find(name, url, folder), path)
    suffix = next((end for end in ARCHIVES if name.lower().endswith(end)), None)
    if unzip and suffix:
        _unpack(path, path.name[: -len(suffix)])
    return str(path)


def get_remote_date(url, unzip=True):
    """Return what `get_remote_data` returns: the misspelt name is the one that most submissions use."""
    return get_remote_data(url, unzip)


def _file_name(url):
    """Return the last part of an address without its query, or of a plain file name; it may hold ``|`` and spaces."""
    name = unquote(urlsplit(str(url)).path).replace("\\", "/").rstrip("/").rpartition("/")[2]
    if name in ("", ".", ".."):
        raise ValueError(
            f"the address {url!r} names no file; an example is https://www.flyai.com/m/resnet50-19c8e357.pth"
        )
    return name


def _checkpoints():
    """Return torch hub's folder of checkpoints, found by the rules that torch documents."""
    home = os.environ.get("TORCH_HOME") or Path(os.environ.get("XDG_CACHE_HOME") or "~/.cache", "torch")
    return Path(home, "hub", "checkpoints").expanduser()


def _find(name, url, folder):
    """Return the first file outside the project that may stand for `name`: ``v0.8|net.h5`` is ``net.h5`` elsewhere."""
    weights = os.environ.get("FLYAI_LOCAL_WEIGHTS")
    places = ([Path(weights)] if weights else []) + [_checkpoints()]
    for place in places:
        for known_as in (name, name.replace("|", "_"), name.rpartition("|")[2]):
            if (place / known_as).is_file():
                return place / known_as
    looked_in = ", ".join(str(place) for place in [folder, *places])
    raise MissingWeightsError(
        tr(
            "the pretrained file {name!r} ({url}) is in none of these folders: {looked_in}. Nothing "
            "is downloaded here: put the file into a folder of your own and name it with --weights "
            "DIR (or in FLYAI_LOCAL_WEIGHTS).",
            name=name,
            url=url,
            looked_in=looked_in,
        )
    )


def _copy(source, path):
    """Copy `source` to `path`, under a temporary name first: an interrupted copy must not pass for the file."""
    path.parent.mkdir(parents=True, exist_ok=True)
    partial = path.with_name(f"{path.name}.{os.getpid()}.part")
    shutil.copyfile(source, partial)
    partial.replace(path)
    say(tr("{name} was copied from {parent}", name=path.name, parent=source.parent))


def _unpack(archive, stem):
    """Unpack an archive beside itself, once, so that ``<stem>`` exists there; files that are there already stay.

    The platform unpacked into the folder of the archive, and submissions expect ``x/`` from ``x.zip``. An archive
    without a top-level entry ``x`` therefore appears twice: in the folder, and (hard links where possible) in ``x/``.
    """
    if (archive.parent / stem).exists():
        return
    with tempfile.TemporaryDirectory(prefix=".unpack", dir=archive.parent) as scratch:
        members = Path(scratch, "members")
        if archive.name.lower().endswith(".zip"):
            shutil.unpack_archive(archive, members)
        else:
            shutil.unpack_archive(archive, members, filter="data")
        if not (members / stem).exists():
            shutil.copytree(members, Path(scratch, stem), copy_function=link)
        entries = sorted([*members.iterdir(), Path(scratch, stem)], key=lambda entry: entry.name == stem)
        for entry in entries:  # `stem` comes last: it says that everything is there.
            if entry.exists() and not (archive.parent / entry.name).exists():
                entry.replace(archive.parent / entry.name)
