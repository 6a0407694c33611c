"""A run is gone on with only under the code that it was begun under: files that changed, went or came are named."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest

from protocol.strict import ConfigError
from recipe.config import Config
from recipe.runs.same_run import changed_code, check_same_run, code

BEGUN = {"recipe/a.py": "1", "recipe/b.py": "2", "recipe/c.py": "3"}


def resumed(there, here, anyway=False):
    about = {"fingerprint": "f", "config": Config().model_dump(), "versions": {"torch": "2"}}
    return check_same_run(Path("run"), about | {"code": there}, about | {"code": here}, anyway)


@pytest.mark.parametrize(
    ("here", "said"),
    [
        (BEGUN | {"recipe/a.py": "9"}, "another recipe/a.py"),
        ({"recipe/a.py": "1", "recipe/b.py": "2"}, r"recipe/c.py \(now gone\)"),
        (BEGUN | {"recipe/d.py": "4"}, "without recipe/d.py"),
        ({"recipe/a.py": "1", "recipe/b.py": "2", "recipe/d.py": "9"}, r"c.py \(now gone\), without recipe/d.py"),
    ],
    ids=["changed", "gone", "new", "renamed and changed"],
)
def test_a_file_that_changed_went_or_came_is_noticed(here, said):
    assert resumed(BEGUN, BEGUN) == []
    with pytest.raises(ConfigError, match=said):
        resumed(BEGUN, here)
    assert resumed(BEGUN, here, anyway=True) == changed_code(BEGUN, here)


def test_many_changes_are_counted_and_a_rearrangement_is_one_sentence():
    many = {f"recipe/{number}.py": "1" for number in range(100)}
    assert changed_code(many, dict.fromkeys(many, "2"))[-1] == "95 more changed files"
    assert len(changed_code(many, dict.fromkeys(many, "2"))) == 6
    assert changed_code({f"recipe.{number}": "1" for number in range(150)}, many) == ["code that was rearranged since"]
    assert changed_code({}, many) == ["code that it did not write down"]


def test_a_setting_that_came_after_the_run_began_was_at_its_default():
    about = {"fingerprint": "f", "versions": {}, "code": BEGUN}
    there = about | {"config": {key: value for key, value in Config().model_dump().items() if key != "plugins"}}
    assert check_same_run(Path("run"), there, about | {"config": Config().model_dump()}, False) == []
    with pytest.raises(ConfigError, match=r"begun with plugins: '' \(now 'mine'\)"):
        check_same_run(Path("run"), there, about | {"config": Config().model_dump() | {"plugins": "mine"}}, False)


def test_what_counts_lies_in_the_folder_whatever_is_loaded(tmp_path):
    """Neither a module that is imported late nor one that comes after a run gives an alarm."""
    source = "import json; from recipe.runs.same_run import code; {}; print(json.dumps(code()))"
    late, early = (
        json.loads(subprocess.run([sys.executable, "-c", source.format(word)], capture_output=True, check=True).stdout)
        for word in ("pass", "import recipe.serving.averaging, recipe.tune.significance")
    )
    assert late == early == code()
    assert "recipe/training/fold.py" in late
    assert not [name for name in late if name.startswith(("recipe/report/", "recipe/commands/"))]


def test_digests_follow_the_files(tmp_path):
    folder = tmp_path / "recipe"
    for name in ("a.py", "training/b.py", "report/c.py", "training/__pycache__/b.pyc", "training/note.txt"):
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_text(name)
    before = code(folder)
    assert set(before) == {"recipe/a.py", "recipe/training/b.py"}
    (folder / "report/c.py").write_text("another report")
    assert code(folder) == before
    (folder / "training/b.py").rename(folder / "training/d.py")
    (folder / "training/d.py").write_text("renamed and changed")
    assert changed_code(before, code(folder)) == ["code that was rearranged since"]
