"""Other people's submissions in our own small words (tests/strangers.py): checked, packed, trained and scored."""

from __future__ import annotations

from pathlib import Path

import pytest
from broken import plain_colours
from more_strangers import BY_NAME, SHAPES
from strangers import ENDS_HERE, REFUSED, SCORED, Shape

from flyai_local.__main__ import main
from flyai_local.box import pretrained
from flyai_local.checks.check import check, read_source
from flyai_local.checks.findings import Finding, Severity
from flyai_local.checks.project import Target
from flyai_local.contest.competitions import Competition
from flyai_local.run.closer import looked_into
from flyai_local.run.diagnose import RunError
from flyai_local.run.place import NOWHERE, innermost
from flyai_local.states import Code
from flyai_local.submission.submission import read
from flyai_local.submission.unpack import ArchiveError

# The chain of every shape takes minutes; these come by different ways, and take seconds.
ALWAYS = (
    "finds_none_of_eight_by_chance",
    "saves_in_no_case",
    "unlisted_baseline",
    "table_says_name",
    "saves_if_better",
    "framework_listed",
    "word_that_is_gone",
)
CHAINS = [
    pytest.param(shape, id=shape.name, marks=() if shape.name in ALWAYS else pytest.mark.slow) for shape in SHAPES
]


@pytest.fixture(scope="module")
def colours(tmp_path_factory: pytest.TempPathFactory) -> Competition:
    return plain_colours(tmp_path_factory.mktemp("competition") / "colours")


def errors(findings: list[Finding]) -> set[str]:
    return {each.code.value for each in findings if each.severity is Severity.ERROR}


def test_there_are_many_shapes_of_each_kind() -> None:
    assert len(BY_NAME) == len(SHAPES) >= 85
    kinds = [shape.comes for shape in SHAPES]
    assert min(kinds.count(kind) for kind in (SCORED, ENDS_HERE, REFUSED)) >= 10
    assert all(shape.code or shape.comes == SCORED for shape in SHAPES)


@pytest.mark.parametrize("shape", SHAPES, ids=lambda shape: shape.name)
def test_the_source_shows_no_error_but_what_the_platform_failed_too(shape: Shape, tmp_path: Path) -> None:
    found = errors(read_source(shape.make(tmp_path), Target(label=0)))
    assert found <= ({shape.code} if shape.comes == REFUSED else set())


@pytest.mark.parametrize("shape", SHAPES, ids=lambda shape: shape.name)
def test_it_is_packed_unless_it_opens_a_path_of_its_author(shape: Shape, tmp_path: Path) -> None:
    words = ["pack", str(shape.make(tmp_path)), "--to", str(tmp_path / "s.zip")]
    assert main(words) == (shape.code == "absolute-path")


@pytest.mark.parametrize("shape", CHAINS)
def test_the_chain_comes_to_what_it_did_there(shape: Shape, tmp_path: Path, colours: Competition) -> None:
    report = check(shape.make(tmp_path), colours)
    scored = report.chain is not None and report.chain.score is not None
    shown = [each.text() for each in report.findings]
    assert report.ok is (shape.comes != REFUSED) and scored is (shape.comes == SCORED), shown
    assert report.whole is (scored or report.chain is None)
    if shape.code:
        assert shape.code in {each.code.value for each in report.findings}, shown
    if shape.comes == ENDS_HERE:  # and the place is the submission's own line, not a library's
        assert (report.chain is not None and report.chain.place.file in shape.files) or shape.code == "missing-weights"


# --- a closer look at a failure


def look(folder: Path, code: Code, detail: str, log: str = "", **files: str) -> RunError:
    """What becomes of an error beside these files of the submission and this log."""
    project = folder / "project"
    for name, text in {"main.py": "", **files}.items():
        (project / name).parent.mkdir(parents=True, exist_ok=True)
        (project / name).write_text(text, encoding="utf-8")
    (folder / "train.log").write_text(log, encoding="utf-8")
    return looked_into(RunError(code, detail), project, folder / "train.log")[0]


@pytest.mark.parametrize(
    ("code", "detail", "becomes"),
    [
        (Code.TRAINING_FAILED, "TypeError: Adam.__init__() got an unexpected keyword argument 'a'", "old-library-call"),
        (Code.TRAINING_FAILED, "TypeError: Net.__init__() got an unexpected keyword argument 'a'", "training-failed"),
        (Code.PREDICT_FAILED, "TypeError: build() got an unexpected keyword argument 'a'", "predict-failed"),
        (Code.LOAD_FAILED, "TypeError: resize() got an unexpected keyword argument 'a'", "old-library-call"),
        (Code.OLD_LIBRARY_CALL, "ImportError: cannot import name 'x' from 'deep' (/p/deep.py)", "training-failed"),
        (Code.OLD_LIBRARY_CALL, "ImportError: cannot import name 'x' from 'numpy' (a)", "old-library-call"),
        (Code.MISSING_PACKAGE, "ModuleNotFoundError: No module named 'numpy.dual'", "old-library-call"),
        (Code.MISSING_PACKAGE, "ModuleNotFoundError: No module named 'distutils'", "old-library-call"),
        (Code.MISSING_PACKAGE, "ModuleNotFoundError: No module named 'deep.wide'", "missing-package"),
        (Code.MISSING_PACKAGE, "ModuleNotFoundError: No module named 'cPickle'", "missing-package"),
    ],
)
def test_the_source_tells_a_library_of_another_time_from_a_mistake(
    code: Code, detail: str, becomes: str, tmp_path: Path
) -> None:
    own = {"deep.py": "class Net:\n    pass\n\n\nasync def build():\n    pass\n"}
    assert look(tmp_path, code, detail, **own).code.value == becomes


def test_a_package_that_is_listed_or_was_there_says_fresh_env(tmp_path: Path) -> None:
    for at, (module, listed) in enumerate(
        (("tensorflow", "tensorflow-gpu==1.13"), ("keras", "tensorflow"), ("six", ""))
    ):
        detail = f"ModuleNotFoundError: No module named '{module}'"
        found = look(tmp_path / str(at), Code.MISSING_PACKAGE, detail, **{"requirements.txt": listed + "\n"})
        assert found.code is Code.MISSING_PACKAGE and "--fresh-env" in found.detail and module in found.detail
    found = look(tmp_path / "x", Code.MISSING_PACKAGE, "No module named 'wandb'", **{"requirements.txt": "numpy\n"})
    assert "--fresh-env" not in found.detail


@pytest.mark.parametrize(
    ("log", "where"),
    [
        ('Downloading: "https://download.pytorch.org/models/net-f3.pth" to /h/.cache/net-f3.pth', "DIR/net-f3.pth"),
        (
            "Cannot reach https://huggingface.co/timm/a.b_in1k/resolve/main/model.safetensors: offline\n"
            "Cannot reach https://huggingface.co/timm/a.b_in1k/resolve/main/pytorch_model.bin: offline",
            "DIR/timm/a.b_in1k/model.safetensors or DIR/timm/a.b_in1k/pytorch_model.bin",
        ),
        ("Exception: URL fetch failure on https://x.org/v0.5/vgg16_notop.h5: None", "DIR/vgg16_notop.h5"),
    ],
)  # fmt: skip
def test_missing_weights_are_named_with_their_place(log: str, where: str, tmp_path: Path) -> None:
    found = look(tmp_path, Code.MISSING_WEIGHTS, "URLError: no network", log)
    assert f"looked for as {where} of --weights DIR" in found.detail


def test_the_innermost_line_of_the_submission_is_shown_and_nothing_outside_of_it(tmp_path: Path) -> None:
    project = tmp_path / "project"
    project.mkdir()
    (project / "main.py").write_text("import net\nnet.go()\n", encoding="utf-8")
    (project / "net.py").write_text("def go():\n    torch.cuda()\n", encoding="utf-8")
    frames = ['  File "/x/project/main.py", line 2, in <module>', '  File "/x/project/net.py", line 2, in go']
    library = '  File "/usr/lib/python3/site-packages/torch/cuda/__init__.py", line 310, in _lazy_init'
    assert str(innermost([*frames, library], project)) == "net.py:2: torch.cuda()"
    (tmp_path / "hidden.csv").write_text("a.jpg,3\n", encoding="utf-8")
    (project / "trap.py").symlink_to(tmp_path / "hidden.csv")
    assert innermost(['  File "/x/project/trap.py", line 1, in <module>'], project) == NOWHERE
    assert innermost(['  File "/x/project/../hidden.csv", line 1'], project) == NOWHERE


def test_weights_of_both_hubs_are_laid_where_their_libraries_look(tmp_path: Path) -> None:
    weights, home = tmp_path / "weights", tmp_path / "home"
    for name in ("a.pth", "timm/b.c_in1k/model.safetensors", "models--org--d/snapshots/1/x.bin"):
        (weights / name).parent.mkdir(parents=True, exist_ok=True)
        (weights / name).write_text(name, encoding="utf-8")
    pretrained.place(weights, weights, home)
    hub = home / ".cache" / "huggingface" / "hub"
    assert (home / ".cache" / "torch" / "hub" / "checkpoints" / "a.pth").read_text(encoding="utf-8") == "a.pth"
    revision = (hub / "models--timm--b.c_in1k" / "refs" / "main").read_text(encoding="ascii")
    assert (hub / "models--timm--b.c_in1k" / "snapshots" / revision / "model.safetensors").is_file()
    assert (hub / "models--org--d" / "snapshots" / "1" / "x.bin").is_file()
    assert sorted(path.name for path in hub.iterdir()) == ["models--org--d", "models--timm--b.c_in1k"]


@pytest.mark.parametrize(
    ("files", "said"),
    [
        ({"model.py": "", "processor.py": ""}, "no app.yaml"),
        ({"processor.py": "", "app.yaml": "model: {processor: P}\n"}, "no model.py"),
        ({"model.py": "", "processor.py": "", "app.yaml": "data: {id: A}\n"}, "no section `model`"),
        ({"model.py": "", "processor.py": "", "app.yaml": "model: [\n"}, "cannot be read"),
        ({"net.py": ""}, "neither prediction.py nor model.py"),
    ],
)
def test_what_is_missing_of_a_1x_project_is_named(files: dict[str, str], said: str, tmp_path: Path) -> None:
    for name, text in {"main.py": "", **files}.items():
        (tmp_path / name).write_text(text, encoding="utf-8")
    with pytest.raises(ArchiveError, match=said) as caught:
        read(tmp_path)
    assert caught.value.code is Code.NO_PREDICTION
