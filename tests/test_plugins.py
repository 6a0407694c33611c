"""Components of one's own: the file that docs/plugins.md shows, through every place that names components."""

from __future__ import annotations

import json
import re
import shutil
import sys
import zipfile
from pathlib import Path

import numpy as np
import pytest
import torch

from flyai_local.__main__ import main as local
from recipe import plugins, proposal
from recipe.__main__ import main
from recipe.cli import options
from recipe.components.augment.step import AUGMENTATIONS
from recipe.components.families import check_components
from recipe.components.losses import LOSSES
from recipe.components.metrics import METRICS
from recipe.config import Config
from recipe.prepare import prepare
from recipe.registry import Registry, Spec, SpecError, parse, parse_many
from recipe.train import train
from tests.test_main import PROJECT, python

ROOT = Path(__file__).resolve().parent.parent
RUN = Path("data/output/model")
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
    by_file = LOSSES.build("my_parts.py:poly1(epsilon=0)", torch.ones(3))  # as a shell completes the file's name
    assert torch.equal(by_file(logits, labels), ours) and str(parse("my_parts.py:poly1")) == "my_parts:poly1()"
    (beside / "plain.py").write_text("def mine(counts, /):\n    return lambda logits, labels: logits[:, 0]\n")
    assert LOSSES.build("plain:mine", None)(logits, labels).shape == (4,)  # no decorator is needed


def test_a_setting_makes_bare_names_known(beside):
    (beside / "my_parts.py").write_text(SHOWN)
    config = Config(plugins=["my_parts.py"], loss="poly1()", augment="negative(p=1)")
    assert "my_parts" not in sys.modules  # nothing is executed before a component is missing
    check_components(config)
    assert "worst_class" in METRICS and METRICS["worst_class"].higher_is_better
    assert Config.model_validate(config.model_dump()).plugins == "my_parts.py"
    assert Config(plugins=f"{beside}/my_parts.py").plugins == "my_parts.py"  # the way there means nothing elsewhere
    assert METRICS["worst_class"](np.array([0, 0, 1]), np.array([[1, 0], [0, 1], [0, 1]])) == 0.5


@pytest.mark.parametrize(
    ("name", "text", "said"),
    [
        ("absent.py", None, r"absent\.py was not found; looked in .*beside main\.py"),
        ("faulty.py", "import torch\nx = 1 / 0\n", r"faulty\.py cannot be imported: line 2: ZeroDivisionError"),
        ("ends.py", "raise SystemExit(3)\n", r"ends\.py cannot be imported: line 1: SystemExit: 3"),
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


APP = """
competition: {id: Tiny, metric: worst_class}
recipe: {plugins: [my_parts.py], backbone: test_efficientnet, pretrained: false, image_size: 32, epochs: 1,
         batch_size: 12, folds: 2, loss: poly1(epsilon=2), augment: "scale_crop(), negative(p=0.5)", views: identity(),
         memory_format: contiguous, export: torchscript, trackers: ""}
profiles: {cpu: {}}
"""
SWEEP = """
name: epsilon
data: data/input/Tiny
metric: worst_class
settings: {plugins: my_parts.py, backbone: test_efficientnet, pretrained: false, image_size: 32, epochs: 1,
           batch_size: 12, folds: 1, views: identity(), memory_format: contiguous, augment: "negative()"}
rows: {ce: {loss: ce()}, poly1: {loss: poly1()}}
"""


@pytest.fixture
def stood_in(beside, competition, monkeypatch):
    """Where the tests stand: app.yaml with parts of one's own, the tiny competition, my_parts.py beside main.py."""
    (beside / "app.yaml").write_text(APP, encoding="utf-8")
    (beside / "my_parts.py").write_text(SHOWN, encoding="utf-8")
    shutil.copytree(competition, beside / "data" / "input" / "Tiny")
    monkeypatch.chdir(beside)
    monkeypatch.setattr(proposal, "PROJECT", beside)
    return beside


def main_py(*words: str) -> None:
    """main.py in this process."""
    asked = options(Path("app.yaml"), [*words, "--no-report"], RUN)
    train(prepare(asked, Path("data/input/Tiny")), asked, RUN)


def test_a_veterans_parts_go_the_whole_way(stood_in, capsys):
    """A loss, an augmentation and a metric of one's own: train, predict, tune, lr-find, sweep, pack, and their loss."""
    main_py()
    assert "worst_class" in capsys.readouterr().out
    assert json.loads((RUN / "run.json").read_text("utf-8"))["config"]["loss"] == "poly1(epsilon=2)"
    assert main(["predict", "data/input/Tiny/image", "--limit", "2", "--out", "answers.csv"]) == 0
    assert main(["tune", str(RUN), "--temperature"]) == 0
    assert "worst_class" in capsys.readouterr().out
    assert main(["lr-find", "--steps", "12", "--lowest", "1e-4"]) == 0
    (stood_in / "sweep.yaml").write_text(SWEEP, encoding="utf-8")
    assert main(["sweep", "sweep.yaml", "--out", "swept"]) == 0
    assert {"ce", "poly1"} <= set(capsys.readouterr().out.split())
    (stood_in / "main.py").touch()
    assert local(["pack", ".", "--to", "mine.zip"]) == 0
    assert "my_parts.py" in zipfile.ZipFile("mine.zip").namelist()
    main_py("--plugin", "my_parts.py", "--loss", "my_parts:poly1(epsilon=2)", "--dry-run")  # as the document has it
    assert main(["names", "loss", "--plugin", "my_parts.py"]) == 0
    assert "poly1(epsilon=1.0)" in capsys.readouterr().out


def test_parts_that_are_gone_are_named(stood_in):
    (stood_in / "my_parts.py").unlink()
    with pytest.raises(plugins.PluginError, match=r"my_parts\.py was not found; looked in"):
        main_py()


@pytest.mark.slow
def test_the_platform_trains_a_submission_with_parts_of_its_own(tmp_path, competition):
    """`flyai_local train`: packed, unpacked, trained and evaluated as the platform does, in processes of their own."""
    project = tmp_path / "project"
    project.mkdir()
    for name in PROJECT:
        source = ROOT / name
        shutil.copytree(source, project / name) if source.is_dir() else shutil.copy(source, project)
    (project / "app.yaml").write_text(APP, encoding="utf-8")
    (project / "my_parts.py").write_text(SHOWN, encoding="utf-8")
    home = {"FLYAI_LOCAL_HOME": str(tmp_path / "home")}
    table = (str(competition / "train.csv"), "--images", str(competition), "--hidden", "0.25")
    added = python(project, "-m", "flyai_local", "add", "Tiny", "--csv", *table, **home)
    assert added.returncode == 0, added.stderr
    done = python(project, "-m", "flyai_local", "train", "-e=1", "-b=9", **home)
    assert done.returncode == 0, done.stdout + done.stderr
    assert 0 <= json.loads(done.stdout.splitlines()[-1])["score"] <= 100  # the platform's own last line
    assert "worst_class" in done.stdout
