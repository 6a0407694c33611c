"""What a finished run says of a table's rows: its out-of-fold probabilities, matched as training finds pictures.

A row is the run's where both mean the same file, however either writes its path; where the run's own pictures have
moved, where the whole path that the run wrote ends one picture's path and no other's.
"""

from __future__ import annotations

import os
from collections import Counter
from collections.abc import Sequence
from pathlib import Path

import numpy as np

from protocol.columns import IMAGE, LABEL
from protocol.errors import UserError
from protocol.language import tr
from recipe.data.reading import read
from recipe.data.table import Table
from recipe.runs.folder import RunError, read_about, read_oof


def own_source(run: Path) -> tuple[Path, str, str]:
    """The table a run was trained on, with its columns of pictures and labels.

    Raises:
        UserError: the run does not say, or the table is gone.
    """
    try:
        about = read_about(run)
    except RunError as error:
        raise UserError(
            tr("{run} cannot be read as a run ({error}); give the folder of a finished one.", run=run, error=error)
        ) from None
    columns = (about.get("competition") or {}).get("columns") or {}
    source = Path(about.get("source") or "")
    if not about.get("source") or not source.exists():
        raise UserError(
            tr(
                "the table that {run} was trained on is no longer at {source}; name it with --csv.",
                run=run,
                source=source,
            )
        )
    return source, columns.get("image", IMAGE), columns.get("label", LABEL)


def out_of_fold(run: Path, table: Table) -> np.ndarray:
    """(N, K) out-of-fold probabilities of a run, in the order of the table; NaN for rows that it does not hold.

    Raises:
        UserError: no oof.csv, one of other classes, or one that holds none of the pictures.
    """
    file = run / "oof.csv"
    if not file.is_file():
        raise UserError(tr("{run} holds no oof.csv; give the folder of a finished run, or leave --run out.", run=run))
    oof = read_oof(file, table.classes)
    rows = matched(run, oof.names, table)
    if not (rows >= 0).any():
        raise UserError(
            tr(
                "none of the {rows} pictures of {source} is among the {known} of {file} (such as "
                "{given_path} here, {known_path} there): the run can say nothing about them. Give the table it "
                "was trained on, or leave --run out.",
                rows=len(table),
                source=table.source,
                known=len(oof.names),
                file=file,
                given_path=table.paths[0],
                known_path=oof.names[0] if oof.names else tr("none"),
            )
        )
    probs = np.full((len(table), len(table.classes)), np.nan, np.float32)
    probs[rows[rows >= 0]] = oof.probs[rows >= 0]
    return probs


def matched(run: Path, names: Sequence[str], table: Table) -> np.ndarray:
    """(M,) the row of the table that each of a run's names means; -1 for none."""
    here = [os.path.realpath(path) for path in table.paths]
    row_of = {path: row for row, path in enumerate(here)}
    paths = _own_paths(run)
    ends = _unique_ends(here, names)
    same_text = {name: row for row, name in enumerate(table.names)} if not paths else {}

    def row(name: str) -> int:
        if name in paths:
            return row_of.get(os.path.realpath(paths[name]), -1)
        return same_text.get(name, ends.get(_key(name), -1))

    return np.array([row(name) for name in names], np.int64)


def _own_paths(run: Path) -> dict[str, Path]:
    """The files that a run's names mean, where its table and pictures still lie; empty else."""
    try:
        source, image, label = own_source(run)
        table = read(source, image, label)
    except UserError:
        return {}
    return dict(zip(table.names, table.paths, strict=True)) if Path(table.paths[0]).exists() else {}


def _key(name: str) -> str:
    return os.path.normpath(name.replace("\\", "/")).replace("\\", "/").lstrip("/")


def _unique_ends(here: Sequence[str], names: Sequence[str]) -> dict[str, int]:
    """The row whose path alone ends with what a run wrote."""
    keys = {_key(name) for name in names}
    lengths = {key.count("/") + 1 for key in keys}
    found = [("/".join(path.replace("\\", "/").split("/")[-length:]), row)
             for row, path in enumerate(here) for length in lengths]  # fmt: skip
    often = Counter(end for end, _ in found)
    return {end: row for end, row in found if end in keys and often[end] == 1}
