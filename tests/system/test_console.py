"""What a run prints: a bar in a terminal, whole lines in a log, and never half of one."""

from __future__ import annotations

import sys
import types

from recipe.system import console
from recipe.system.console import Bar, Diary, detail, say


def test_a_log_holds_whole_lines_and_no_empty_bar(capsys, monkeypatch):
    """A bar that is quickly done leaves nothing; a slow one says how far it is and what is left."""
    with Bar(0, "step") as bar:
        say("a line")
        bar.expect(10, 95.0)
        monkeypatch.setattr(console, "SECONDS_BETWEEN_LINES", 0.0)
        bar.describe("fold 0")
        bar.advance(4)
    shown = capsys.readouterr()
    assert shown.out == "a line\n"
    assert shown.err == "fold 0: 4 of 10 steps, 1 min 35 s left\n"


def test_a_log_guesses_what_is_left_by_what_was_done(capsys, monkeypatch):
    clock = iter([0.0, 40.0, 50.0, 80.0])
    monkeypatch.setattr(console.time, "monotonic", lambda: next(clock))
    with Bar(4, "picture", "decoding") as bar:
        for _ in range(3):
            bar.advance()
    assert (
        capsys.readouterr().err == "decoding: 1 of 4 pictures, 2 min 00 s left\ndecoding: 3 of 4 pictures, 27 s left\n"
    )


def test_a_bar_that_is_not_wanted_is_silent(capsys, monkeypatch):
    monkeypatch.setattr(console, "SECONDS_BETWEEN_LINES", 0.0)
    with Bar(4, "picture", shown=False) as bar:
        bar.advance()
    assert capsys.readouterr().err == ""


def test_a_notebook_is_drawn_over(capsys, monkeypatch):
    monkeypatch.setitem(sys.modules, "ipykernel", types.ModuleType("ipykernel"))
    with Bar(4, "picture", "decoding") as bar:
        bar.advance()
    assert "\r" in capsys.readouterr().err


def test_a_bar_of_nothing_yet_draws_nothing(capsys, monkeypatch):
    """`0step [00:00, ?step/s]` stood in captured terminals, between the first lines."""
    monkeypatch.setattr(console, "_redraws", lambda: True)
    with Bar(0, "step") as bar:
        say("a line")
        bar.describe("fold 0")
        bar.advance(2)
        assert capsys.readouterr().err == ""
        bar.expect(8, 12.0)
    shown = capsys.readouterr().err
    assert "2/10" in shown
    assert "0step" not in shown


def test_details_are_kept_and_shown_only_where_asked_for(tmp_path, capsys, monkeypatch):
    monkeypatch.setattr(console, "DIARY", diary := Diary())
    say("before the folder is known")
    detail("for the trade")
    diary.keep(tmp_path / "run.log")
    diary.details = True
    detail("now shown")
    diary.keep(None)
    say("after the end")
    assert capsys.readouterr().out.splitlines() == ["before the folder is known", "now shown", "after the end"]
    kept = (tmp_path / "run.log").read_text("utf-8").splitlines()
    assert [line[10:] for line in kept] == ["before the folder is known", "for the trade", "now shown"]


def test_a_log_that_cannot_be_written_ends_nothing(tmp_path):
    diary = Diary()
    diary.keep(tmp_path / "gone" / "run.log")
    diary.add("lone surrogates are kept \ud800")
    diary.keep(tmp_path / "run.log")
    diary.add("\ud800")
    assert (tmp_path / "run.log").read_text("utf-8").endswith("\\ud800\n")
