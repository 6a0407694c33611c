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


@pytest.mark.parametrize("closed", ["1", "2", "0 1 2"])
def test_a_closed_stream_is_a_stream_all_the_same(closed) -> None:
    """A shell closes with 2>&-, a service starts with none: Python's streams are then None."""
    work = "from recipe.system.console import Bar\n    with Bar(2, 'row', 'x') as bar: bar.advance()"
    program = f"import os; [os.close(int(each)) for each in {closed!r}.split()]; import sys; "
    program += "".join(f"sys.{('stdin', 'stdout', 'stderr')[int(each)]} = None; " for each in closed.split())
    program += f"exec({SAYING.format(work) + 'os._exit(guarded(work))'!r})"
    done = subprocess.run([sys.executable, "-c", program], cwd=ROOT, capture_output=True, timeout=240, check=False)
    assert (done.returncode, done.stderr) == (0, b"")


@pytest.mark.skipif(os.name == "nt", reason="a working directory cannot be removed on Windows")
@pytest.mark.parametrize("module", ["recipe names", "flyai_local competitions"])
def test_a_working_directory_that_was_removed_is_said(tmp_path: Path, module) -> None:
    script = f"mkdir gone; cd gone; rmdir ../gone; exec {sys.executable} -m {module}"
    done = subprocess.run(["sh", "-c", script], cwd=tmp_path, env={**os.environ, "PYTHONPATH": str(ROOT)}, text=True,
                          capture_output=True, timeout=240, check=False)  # fmt: skip
    assert (done.returncode, done.stdout) == (1, "")
    assert "the working directory was removed" in done.stderr and "its trace" not in done.stderr
