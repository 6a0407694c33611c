"""A report is taken out of the run's own folder only, whatever links training laid on the way to it."""

from __future__ import annotations

from pathlib import Path

import pytest

from flyai_site.worker.code import report_of


def made(project: Path, text: str) -> Path:
    folder = project / "data" / "output"
    folder.mkdir(parents=True)
    (folder / "report.html").write_text(text, encoding="utf-8")
    return project


@pytest.mark.parametrize("place", ["data/output", "data"])
def test_a_link_to_another_runs_folder_gives_no_report(tmp_path: Path, place: str) -> None:
    other, own = made(tmp_path / "other", "secret"), tmp_path / "own"
    assert report_of(other) == b"secret"
    (own / place).parent.mkdir(parents=True)
    (own / place).symlink_to(other / place)
    assert report_of(own) is None
