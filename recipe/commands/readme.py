"""python -m recipe readme RUN: the picture of a run's report and its closing table, as README.md and README_zh.md show
them.

The figures lie in docs/example_run.json; tests/test_docs.py holds that both READMEs show them as a run would print them
today, and that the picture is of the page as it looks today.
"""

from __future__ import annotations

import argparse
import hashlib
import io
import os
import re
import shutil
import subprocess
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np

from protocol.errors import UserError
from protocol.language import VARIABLE, tr
from protocol.plain_files import read_json
from recipe.runs.folder import read_about, read_answers, read_scores
from recipe.runs.results import FoldResult
from recipe.runs.summary import CrossValidation, closing_table
from recipe.system.atomic import write_bytes, write_json

ROOT = Path(__file__).resolve().parents[2]
FIGURES, PICTURE = ROOT / "docs" / "example_run.json", ROOT / "docs" / "report.webp"
READMES = {"README.md": "en", "README_zh.md": "zh"}
BROWSERS = ("chromium", "chromium-browser", "google-chrome", "chrome", "msedge")
BEGIN, END = "<!-- python -m recipe readme RUN writes this -->", "<!-- up to here -->"
SIZE = (1100, 900)  # pixels


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """The run to show."""
    parser.add_argument("folder", type=Path, metavar="RUN", help=tr("a finished run with its report"))


def run(arguments: argparse.Namespace) -> int:
    """Writes the figures, both READMEs, and the picture where a browser is installed."""
    write_json(FIGURES, figures(arguments.folder) | {"looks": looks()})
    for name, spoken in readmes_of(FIGURES).items():
        write_bytes(ROOT / name, spoken.encode("utf-8"))
    write_bytes(PICTURE, photographed(arguments.folder / "report.html"))
    print(f"{FIGURES}\n{PICTURE}")
    return 0


def figures(folder: Path) -> dict[str, Any]:
    """What the closing table says of a run."""
    totals, about = read_scores(folder), read_about(folder)
    names = ("metric", "oof", "probe_oof", "seconds", "views", "folds")
    answered = int(np.isfinite(read_answers(folder, about["classes"]).probs[:, 0]).sum())
    return {name: totals[name] for name in names} | {"answered": answered}


def table(found: dict[str, Any]) -> str:
    """The closing table of these figures, in the language of this process."""
    nothing = np.empty((0, 1), np.float32)
    folds = {int(number): known for number, known in found["folds"].items()}
    results = tuple(
        FoldResult(number, known["score"], known["probe"], known["epoch"], known["seconds"], nothing, nothing, None)
        for number, known in folds.items()
    )
    scores = tuple(float(known["score"]) for known in folds.values())
    probs = np.zeros((found["answered"], 1), np.float32)
    summary = CrossValidation(
        results, scores, found["views"], found["oof"], found["oof"], probs, np.zeros(len(probs), np.int64),
        found["oof"], found["probe_oof"], found["seconds"],
    )  # fmt: skip
    return closing_table(summary, found["metric"])


def with_table(text: str, spoken: str, found: dict[str, Any]) -> str:
    """A README whose part between the marks shows the table in its language.

    Raises:
        UserError: the marks are gone.
    """
    if BEGIN not in text or END not in text:
        raise UserError(tr("the README has no place for the table: it stands between {begin} and {end}.",
                           begin=BEGIN, end=END))  # fmt: skip
    with speaking(spoken):
        block = f"{BEGIN}\n```text\n{table(found)}\n```\n{END}"
    return re.sub(re.escape(BEGIN) + ".*?" + re.escape(END), lambda match: block, text, flags=re.DOTALL)


def readmes_of(file: Path) -> dict[str, str]:
    """The text of each README with the figures of the file."""
    found = read_json(file)
    return {name: with_table((ROOT / name).read_text("utf-8"), spoken, found) for name, spoken in READMES.items()}


@contextmanager
def speaking(spoken: str) -> Iterator[None]:
    """Another language while the block lasts."""
    before = os.environ.get(VARIABLE)
    os.environ[VARIABLE] = spoken
    try:
        yield
    finally:
        os.environ.pop(VARIABLE)
        os.environ.update({} if before is None else {VARIABLE: before})


def looks() -> str:
    """What the page looks like depends on this: its style and the head of its template."""
    page = (ROOT / "recipe" / "report" / "report.html").read_text("utf-8")
    style = (ROOT / "recipe" / "system" / "style.html").read_text("utf-8")
    return hashlib.sha256((style + page[page.index("<style>") : page.index("</header>")]).encode()).hexdigest()[:16]


def photographed(page: Path) -> bytes:
    """The top of a page as WebP.

    Raises:
        UserError: no browser is installed, or it gives no picture.
    """
    browser = os.environ.get("CHROMIUM") or next(filter(None, map(shutil.which, BROWSERS)), None)
    if browser is None:
        raise UserError(tr("a picture needs a browser: install one of {names}, or name one in CHROMIUM.",
                           names=", ".join(BROWSERS)))  # fmt: skip
    with tempfile.TemporaryDirectory() as folder:
        shot = Path(folder, "page.png")
        size = f"--window-size={SIZE[0]},{SIZE[1]}"
        words = [browser, "--headless", "--no-sandbox", "--disable-gpu", "--hide-scrollbars", size]
        words += [f"--user-data-dir={folder}/profile", f"--screenshot={shot}", page.resolve().as_uri()]
        done = subprocess.run(words, capture_output=True, text=True, check=False, timeout=300)
        if not shot.exists():
            raise UserError(tr("{browser} gave no picture of {page}: {why}", browser=browser, page=page,
                               why=" ".join(done.stderr.split())[-200:]))  # fmt: skip
        return _webp(shot)


def _webp(file: Path) -> bytes:
    from PIL import Image

    stream = io.BytesIO()
    Image.open(file).convert("RGB").save(stream, "WEBP", quality=82, method=6)
    return stream.getvalue()
