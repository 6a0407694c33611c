"""Fetches competitions by id into the project, as the platform's `DataHelper` does."""

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

from flyai.project import link, project_path, say, tr


class DataHelper:
    """Brings a competition's training data under ``data/input/<ID>/``; it never raises and never deletes."""

    def download_from_ids(self, *ids, log=True):
        """Bring the training data of every competition in `ids` to ``<sys.path[0]>/data/input/<ID>/``.

        A folder that already holds a train.csv is used as it is. What is unknown or out of reach is reported in a
        sentence and left out: the submission then works with whatever lies there, as on the platform when offline.

        Args:
            ids: competition ids, also as one list.
            log: whether to say where the data lies; a failure is said in any case.
        """
        for competition_id in _flat(ids):
            outcome, done = fetch(str(competition_id), project_path("data", "input", str(competition_id)))
            if log or not done:
                say(outcome)

    def download_from_json(self, log=True):
        """Do the same for the ids that app.json names: ``data.source[].id``, or ``data_id`` in its 2022 form."""
        ids = _ids_of_app_json(project_path("app.json"))
        if not ids:
            say(tr("app.json names no data id (data.source[].id or data_id); what lies under data/input is used."))
        self.download_from_ids(*ids, log=log)


def _flat(ids):
    """Return the ids of a call one by one, whether they came as arguments or as lists."""
    return [one for item in ids for one in (item if isinstance(item, (list, tuple, set)) else [item])]


def fetch(competition_id, folder):
    """Return (sentence, whether data is there) after the attempt to bring a competition's training data to `folder`."""
    if competition_id in ("", ".", "..") or set(competition_id) & set("/\\:"):
        return tr(
            "the data id {competition_id!r} is not a plain name; nothing was fetched.", competition_id=competition_id
        ), False
    if (folder / "train.csv").is_file():
        return tr("{competition_id} is there already: {folder}", competition_id=competition_id, folder=folder), True
    try:
        return _brought(competition_id, folder)
    except OSError as error:  # A full disk, a read-only folder, a Python that cannot be started.
        return tr(
            "{competition_id} was not fetched: {error}; what lies in {folder} is used.",
            competition_id=competition_id,
            error=error,
            folder=folder,
        ), False


def _brought(competition_id, folder):
    """Return the same for a folder without a train.csv."""
    if os.environ.get("FLYAI_LOCAL_RUN"):
        return _stand_in(competition_id, folder)
    package = _flyai_local()
    if package is None:
        return tr(
            "{competition_id} cannot be fetched without flyai_local: put the data into {folder}.",
            competition_id=competition_id,
            folder=folder,
        ), False
    return _download(competition_id, folder.absolute(), package)


def _stand_in(competition_id, folder):
    """Give the data of the one competition that this run has placed under the id that the submission asks for.

    Submissions name their competition in the code; a run may try them on another one.
    """
    # Resolved, because the same data may lie under several ids by links.
    placed = {table.resolve().parent for table in project_path("data", "input").glob("*/train.csv")}
    if len(placed) != 1:
        return tr(
            "{competition_id} was not placed for this run; what lies in {folder} is used.",
            competition_id=competition_id,
            folder=folder,
        ), False
    (only,) = placed
    shutil.copytree(only, folder, copy_function=link, dirs_exist_ok=True)
    return tr(
        "{competition_id}: this run's {name} stands in for it in {folder}",
        competition_id=competition_id,
        name=only.name,
        folder=folder,
    ), True


def _flyai_local():
    """Return the folder of the flyai_local package around this SDK, or None where the SDK was copied out of it."""
    for folder in Path(__file__).resolve().parents:
        if folder.name == "flyai_local" and (folder / "__main__.py").is_file():
            return folder
    return None


def _download(competition_id, folder, package):
    """Run ``python -m flyai_local download`` as its own process, so that only `flyai` enters the submission's."""
    environment = dict(os.environ, PYTHONPATH=str(package.parent), PYTHONUTF8="1")
    if environment.get("FLYAI_LOCAL_HOME"):
        environment["FLYAI_LOCAL_HOME"] = str(Path(environment["FLYAI_LOCAL_HOME"]).absolute())
    process = subprocess.run(
        [sys.executable, "-m", "flyai_local", "download", competition_id, "--to", str(folder)],
        # Not the submission's folder: a module `types.py` or `code.py` there would hide Python's own.
        cwd=package.parent,
        env=environment,
        stdin=subprocess.DEVNULL,
        capture_output=True,
        encoding="utf-8",
        errors="replace",
    )
    if process.returncode == 0:
        return tr("{competition_id} was placed in {folder}", competition_id=competition_id, folder=folder), True
    reason = process.stderr.strip() or tr(
        "the download ended with exit code {returncode}", returncode=process.returncode
    )
    return tr(
        "{competition_id} was not fetched: {reason}\nflyai: what lies in {folder} is used.",
        competition_id=competition_id,
        reason=reason,
        folder=folder,
    ), False


def _ids_of_app_json(path):
    """Return the data ids of an app.json; an empty list for a file that is missing or is not JSON."""
    try:
        card = json.loads(path.read_text(encoding="utf-8-sig"))
    except (OSError, ValueError):
        return []
    card = card if isinstance(card, dict) else {}
    data = card.get("data")
    sources = data.get("source") if isinstance(data, dict) else None
    sources = sources if isinstance(sources, list) else [sources]
    ids = [source.get("id") for source in sources if isinstance(source, dict)] + [card.get("data_id")]
    return list(dict.fromkeys(filter(None, ids)))
