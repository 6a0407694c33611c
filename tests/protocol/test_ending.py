"""However a command ends: a sentence, no trace on the terminal, nothing lost."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

from flyai_local.__main__ import main
from recipe.cli import guarded

ROOT = Path(__file__).resolve().parents[2]
SAYING = "from recipe.cli import guarded; from recipe.system.console import say\ndef work():\n    {}\n    return 0\n"


def ended(work: str, **streams) -> subprocess.CompletedProcess:
    program = SAYING.format(work) + "raise SystemExit(guarded(work))"
    given = {"stdout": subprocess.PIPE, "stderr": subprocess.PIPE} | streams
    return subprocess.run([sys.executable, "-c", program], cwd=ROOT, text=True, timeout=240, check=False, **given)


@pytest.mark.parametrize("error", [ZeroDivisionError("1/0"), RuntimeError(), KeyError("x"), RecursionError("deep")])
def test_what_nobody_foresaw_is_a_sentence_that_names_its_trace(error, capsys) -> None:
    def work() -> int:
        raise error

    assert guarded(work) == 1
    said = capsys.readouterr().err
    assert "Traceback" not in said
    assert type(error).__name__ in said
    trace = Path(re.search(r"its trace is in (\S+\.txt)", said)[1])
    assert "in work" in trace.read_text(encoding="utf-8")
    trace.unlink()


def test_the_platform_ends_in_the_same_way(monkeypatch, capsys) -> None:
    monkeypatch.setattr("flyai_local.commands.competitions.run", lambda args: 1 // 0)
    assert main(["competitions"]) == 1
    said = capsys.readouterr().err
    assert said.startswith("error: ZeroDivisionError")
    Path(re.search(r"its trace is in (\S+\.txt)", said)[1]).unlink()


@pytest.mark.parametrize("coding", ["ascii", "cp1252"])
def test_a_console_without_the_character_ends_nothing(coding) -> None:
    environment = {**os.environ, "PYTHONIOENCODING": coding}
    done = ended("say('done 蘑菇')", env=environment)
    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout == "done \\u8611\\u83c7\n"


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="no device that is always full")
def test_a_full_disk_behind_the_output_ends_no_training(tmp_path: Path) -> None:
    with open("/dev/full", "w", encoding="utf-8") as full:
        work = f"say('one'); say('two'); open({str(tmp_path / 'kept')!r}, 'w').write('x')"
        assert (ended(work, stdout=full).returncode, (tmp_path / "kept").read_text(encoding="utf-8")) == (0, "x")
        done = ended("print('one')", stdout=full)
    assert done.returncode == 1
    assert "No space left" in done.stderr and "Traceback" not in done.stderr


def test_a_reader_that_has_seen_enough_is_no_fault() -> None:
    read, write = os.pipe()
    os.close(read)
    done = ended("print('x' * 100000)", stdout=write)
    os.close(write)
    assert (done.returncode, done.stderr) == (0, "")
