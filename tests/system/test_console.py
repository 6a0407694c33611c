"""What a run prints: a bar in a terminal, whole lines in a log, and never half of one."""

from __future__ import annotations

import sys
import types

from recipe import console
from recipe.console import Bar, say


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
