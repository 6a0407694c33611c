"""Components of one's own: the file that docs/plugins.md shows, through every place that names components."""

from __future__ import annotations

import re
import shutil
import sys
from pathlib import Path

import numpy as np
import pytest
import torch

from recipe import plugins
from recipe.components.augment.step import AUGMENTATIONS
from recipe.components.families import check_components
from recipe.components.losses import LOSSES
from recipe.components.metrics import METRICS
from recipe.config import Config
from recipe.registry import Registry, Spec, SpecError, parse, parse_many
from tests.test_main import FAST, PROJECT, python

ROOT = Path(__file__).resolve().parent.parent
SHOWN = re.search(r"```python\n(.*?)```", (ROOT / "docs" / "plugins.md").read_text(encoding="utf-8"), re.DOTALL)[1]


@pytest.fixture
def beside(tmp_path, monkeypatch):
    """A folder that stands for the project's, and no trace of its files afterwards."""
    monkeypatch.setattr(plugins, "FOLDER", tmp_path)
    for state in ("_asked", "_loaded", "_failed"):
        monkeypatch.setattr(plugins, state, {})
    before = dict(sys.modules)
    families = [LOSSES, METRICS, AUGMENTATIONS]
    kept = [dict(each._components) for each in families]
    yield tmp_path
    for each, components in zip(families, kept, strict=True):
        each._components = components
    for name in set(sys.modules) - set(before):
        if getattr(sys.modules[name], "__file__", None) and Path(sys.modules[name].__file__).parent == tmp_path:
            del sys.modules[name]


def test_a_spec_may_name_a_file():
    assert parse("my_parts:poly1(epsilon=2)") == Spec("my_parts:poly1", (), {"epsilon": 2})
    nested = parse("sam(my_parts:adan(), rho=0.05)")
    assert str(nested) == "sam(my_parts:adan(), rho=0.05)" and parse(str(nested)) == nested
    assert parse_many("f(path='C:x'), a:b")[0].kwargs == {"path": "C:x"}  # a string stays as it is
    with pytest.raises(SpecError):
        parse("a:b:c()")


def test_a_name_with_its_file_needs_no_setting(beside):
    (beside / "my_parts.py").write_text(SHOWN)
    logits, labels = torch.randn(4, 3), torch.tensor([0, 1, 2, 0])
    ours = LOSSES.build("my_parts:poly1(epsilon=0)", torch.ones(3))(logits, labels)
    assert torch.equal(ours, LOSSES.build("ce()", torch.ones(3))(logits, labels))
    with pytest.raises(SpecError, match="epsilon=-1"):
        LOSSES.check("my_parts:poly1(epsilon=-1)")
    with pytest.raises(SpecError, match=r"Did you mean 'poly1'.*my_parts\.py has"):
        LOSSES.check("my_parts:poly2")
    (beside / "plain.py").write_text("def mine(counts, /):\n    return lambda logits, labels: logits[:, 0]\n")
    assert LOSSES.build("plain:mine", None)(logits, labels).shape == (4,)  # no decorator is needed


def test_a_setting_makes_bare_names_known(beside):
    (beside / "my_parts.py").write_text(SHOWN)
    config = Config(plugins=["my_parts.py"], loss="poly1()", augment="negative(p=1)")
    assert "my_parts" not in sys.modules  # nothing is executed before a component is missing
    check_components(config)
    assert "worst_class" in METRICS and METRICS["worst_class"].higher_is_better
    assert Config.model_validate(config.model_dump()).plugins == "my_parts.py"
    assert METRICS["worst_class"](np.array([0, 0, 1]), np.array([[1, 0], [0, 1], [0, 1]])) == 0.5


@pytest.mark.parametrize(
    ("name", "text", "said"),
    [
        ("absent.py", None, r"absent\.py was not found; looked in .*beside main\.py"),
        ("faulty.py", "import torch\nx = 1 / 0\n", r"faulty\.py cannot be imported: line 2: ZeroDivisionError"),
        ("syntax.py", "def f(:\n", r"syntax\.py cannot be imported: line 1: SyntaxError"),
        ("twice.py", "from recipe.components.losses import LOSSES\n@LOSSES.register\ndef ce(c, /): ...\n",
         r"twice\.py cannot be imported: line \d: ValueError: loss 'ce' is registered twice"),
        ("random.py", "", "no module of Python"),
        ("../outside.py", "", "bare name"),
        ("torch.py", "", "name of an installed module"),
    ],
)  # fmt: skip
def test_a_plugin_that_does_not_work_says_why(beside, name, text, said):
    if text is not None and "/" not in name:
        (beside / name).write_text(text)
    for _ in range(2):  # and says it again
        with pytest.raises(plugins.PluginError, match=said):
            check_components(Config(plugins=name))


def test_a_metric_without_facts_counts_as_the_more_the_better():
    family = Registry("metric", facts={"higher_is_better": True})
    family.register(lambda labels, probs, /: 1.0, name="mine")
    assert family["mine"].higher_is_better


@pytest.fixture
def project(tmp_path, competition):
    """A copy of the project with the tiny competition, and my_parts.py beside main.py."""
    folder = tmp_path / "project"
    folder.mkdir()
    for name in PROJECT:
        source = ROOT / name
        if source.is_dir():
            shutil.copytree(source, folder / name, dirs_exist_ok=True)
        else:
            shutil.copy(source, folder)
    shutil.copytree(competition, folder / "data" / "input" / "Tiny")
    (folder / "my_parts.py").write_text(SHOWN)
    return folder


def test_a_veterans_parts_go_the_whole_way(project):
    """Train by app.yaml's plugins with a loss, an augmentation and a metric of one's own; predict, tune, pack."""
    app = (project / "app.yaml").read_text(encoding="utf-8")
    app = (
        app.replace("id: MushroomSketch", "id: Tiny")
        .replace("# metric: accuracy", "metric: worst_class")
        .replace("recipe:\n", "recipe:\n  plugins: [my_parts.py]\n")
    )
    (project / "app.yaml").write_text(app, encoding="utf-8")
    own = ("--loss", "poly1(epsilon=2)", "--augment", "scale_crop(), negative(p=0.5)", "--no-report")
    done = python(project, "main.py", "--competition", "Tiny", *FAST, *own)
    assert done.returncode == 0, done.stderr
    assert "worst_class" in done.stdout
    run = str(project / "data" / "output" / "model")
    done = python(project, "-m", "recipe", "predict", "data/input/Tiny/image", "--limit", "2", "--out", "answers.csv")
    assert done.returncode == 0, done.stderr
    done = python(project, "-m", "recipe", "tune", run, "--temperature")
    assert done.returncode == 0, done.stderr
    assert "worst_class" in done.stdout
    done = python(project, "-m", "flyai_local", "pack")
    assert done.returncode == 0, done.stderr
    listed = python(project, "-m", "zipfile", "-l", next(project.glob("**/*.zip")).as_posix())
    assert "my_parts.py" in listed.stdout
    (project / "my_parts.py").unlink()
    done = python(project, "main.py", "--competition", "Tiny", *FAST, *own)
    assert done.returncode == 1 and "my_parts.py was not found; looked in" in done.stderr
