"""The few pictures of a check: enough of each class, never a hidden one, drawn only when they are needed."""

from __future__ import annotations

import time
from collections import Counter
from pathlib import Path

import numpy as np
import pytest
from broken import plain_colours
from hypothesis import example, given
from hypothesis import strategies as st

from flyai_local.checks import sample
from flyai_local.contest import competitions
from flyai_local.contest.sketch import album
from flyai_local.contest.tables import Row, read_table
from flyai_local.home import cache_folder
from flyai_local.run.progress import Pulse


def rows(labels: list[int]) -> list[Row]:
    return [Row(f"{at}.png", str(label), at + 2) for at, label in enumerate(labels)]


@given(st.lists(st.integers(0, 30), max_size=400))
@example([0] * 38 + [1, 2])  # two classes of one row: the large one makes up for them
def test_each_class_has_its_rows_and_there_are_few(labels: list[int]) -> None:
    kept = sample.chosen(rows(labels))
    before, after = Counter(labels), Counter(int(row.label) for row in kept)
    assert len(kept) >= min(sample.LEAST, len(labels)) and len(set(kept)) == len(kept)
    assert [row.line for row in kept] == sorted(row.line for row in kept)
    largest = [label for label, _ in before.most_common(sample.CLASSES)]
    assert all(after[label] >= min(before[label], sample.PER_CLASS) for label in largest)
    cut = [after[label] for label in largest if after[label] < before[label]]  # all of them at one height
    assert len(set(cut)) <= 1 and all(after[label] <= max(cut) for label in largest if cut)
    assert sample.chosen(kept) == kept, "choosing from what was chosen keeps it all"


@pytest.mark.parametrize(
    ("classes", "each", "count"), [(2, 100, 40), (9, 60, 45), (12, 9, 60), (120, 9, 60), (300, 1, 40)]
)
def test_the_count(classes: int, each: int, count: int) -> None:
    assert len(sample.chosen(rows(list(range(classes)) * each))) == count


def test_a_fifth_can_be_held_out_with_every_class_in_it() -> None:
    for classes in range(2, 40):
        kept = Counter(row.label for row in sample.chosen(rows(list(range(classes)) * 20)))
        assert sum(kept.values()) // 5 >= len(kept) and min(kept.values()) >= 5


def test_the_questions_are_training_pictures(tmp_path: Path) -> None:
    colours = plain_colours(tmp_path / "colours")
    (tmp_path / "tables").mkdir()
    alone, count = sample.sampled(colours, tmp_path / "tables")
    asked = competitions.hidden_rows(alone)
    assert count == 45 and len(asked) == sample.ROWS
    assert len({label for _, label in asked}) == 9 and all(picture.is_file() for picture, _ in asked)


def test_only_the_pictures_of_a_check_are_drawn_and_they_are_those_of_the_whole(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("FLYAI_LOCAL_HOME", str(tmp_path / "home"))
    drawn: list[int] = []

    def draw(part: str, number: int) -> np.ndarray:
        drawn.append(number)
        return np.full((8, 8, 3), number % 255, np.uint8)

    monkeypatch.setattr(album, "draw", draw)
    few = competitions.few("MushroomSketch", sample.chosen)
    assert len(drawn) == len(read_table(few.train, *few.columns)) == 45 and few.hidden is None
    assert [path.name for path in cache_folder().iterdir()] == [few.images.parent.name]
    assert competitions.few("MushroomSketch", sample.chosen) == few and len(drawn) == 45, "drawn once"
    whole = competitions.competition("MushroomSketch")
    assert len(drawn) == 45 + sum(album.PARTS.values())
    for row in read_table(few.train, *few.columns):
        assert (few.images / row.picture).read_bytes() == (whole.images / row.picture).read_bytes()
    assert sample.chosen(read_table(whole.train, *whole.columns)) != []
    assert {row.picture for row in sample.chosen(read_table(whole.train, *whole.columns))} == {
        row.picture for row in read_table(few.train, *few.columns)
    }
    assert competitions.few("MushroomSketch", sample.chosen) == whole


def test_a_pulse_speaks_when_nothing_else_does(capsys: pytest.CaptureFixture[str]) -> None:
    with Pulse(every=0.05) as pulse:
        pulse.step("training")
        pulse.line("train", "epoch 1")
        deadline = time.monotonic() + 600
        said = ""
        while said.count("... at work") < 2 and time.monotonic() < deadline:
            time.sleep(0.02)
            said += capsys.readouterr().err
    assert "training" in said and capsys.readouterr().out == ""
    assert said.count("train | epoch 1") == 1  # a line that is said again would pass for a new one
