"""The preflight on ten good and thirty broken submissions, and on the finer points of reading source."""

from __future__ import annotations

import importlib
import json
import os
import shutil
import textwrap
from pathlib import Path

import pytest
from broken import BROKEN, FOLDER, GOOD, Broken, plain_colours
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from flyai_local.__main__ import main
from flyai_local.checks import sample
from flyai_local.checks.check import BATCH, EPOCHS, SECONDS, check, read_source
from flyai_local.checks.findings import HINTS, Finding, Hint, Severity, ordered, table
from flyai_local.checks.project import Target
from flyai_local.contest.competitions import competition, write_card
from flyai_local.home import competitions_folder
from flyai_local.run.job import Result
from flyai_local.states import Code

ROOT = Path(__file__).resolve().parents[3]
INT = Target(label=0)
READ = [each for each in BROKEN if not each.chain]
PREDICTION = """
from flyai.framework import FlyAI

class Prediction(FlyAI):
    def load_model(self):
        pass

    def predict(self, image_path):
        return {"label": 0}
"""
MAIN = """
import argparse

parser = argparse.ArgumentParser()
parser.add_argument("-e", "--EPOCHS", type=int)
parser.add_argument("-b", "--BATCH", type=int)

if __name__ == "__main__":
    args = parser.parse_args()
    print(args.EPOCHS, args.BATCH)
"""


def write(folder: Path, **files: str) -> Path:
    """A submission without fault, with files added or replaced; `a__b` in a name is the path a/b, and .py is added."""
    for name, text in {"main": MAIN, "prediction": PREDICTION, "requirements.txt": "numpy\n", **files}.items():
        path = folder / (name.replace("__", "/") + ("" if "." in name else ".py"))
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(textwrap.dedent(text), encoding="utf-8")
    return folder


def found(folder: Path, target: Target = INT) -> list[str]:
    """Codes of what the source of a folder shows, with the place."""
    return [f"{each.code.value} {each.file}:{each.line}" for each in ordered(read_source(folder, target))]


def errors(findings: list[Finding]) -> set[str]:
    return {each.code.value for each in findings if each.severity is Severity.ERROR}


def test_there_are_thirty_broken_ones_each_with_one_changed_line(tmp_path: Path) -> None:
    assert len({each.name for each in BROKEN}) == len(BROKEN) == 30
    for each in (each for each in BROKEN if not each.nested):
        changed = each.make(tmp_path) / each.file
        before = (FOLDER / "good" / each.base / each.file).read_text(encoding="utf-8").splitlines()
        after = changed.read_text(encoding="utf-8").splitlines()
        assert len(before) == len(after), each.name
        assert sum(a != b for a, b in zip(before, after, strict=True)) == 1, each.name


@pytest.mark.parametrize("broken", READ, ids=lambda each: each.name)
def test_names_what_is_broken(broken: Broken, tmp_path: Path) -> None:
    findings = read_source(broken.make(tmp_path), INT)
    assert broken.code in {each.code.value for each in findings}
    assert errors(findings) <= {broken.code}, "nothing else may be called an error"


@pytest.mark.parametrize("name", GOOD)
def test_finds_no_error_in_good_submissions(name: str) -> None:
    assert errors(read_source(FOLDER / "good" / name, INT)) == set()


def test_finds_nothing_in_this_project() -> None:
    assert read_source(ROOT, INT) == []


def test_names_the_line(tmp_path: Path) -> None:
    broken = next(each for each in BROKEN if each.name == "no_flyai_base")
    folder = broken.make(tmp_path)
    line = (folder / "prediction.py").read_text(encoding="utf-8").splitlines().index("class Prediction(object):") + 1
    assert found(folder) == [f"no-class prediction.py:{line}"]


def test_reading_runs_nothing_of_the_submission(tmp_path: Path) -> None:
    text = f"open({str(tmp_path / 'ran')!r}, 'w').write('x')\n"
    folder = write(tmp_path / "project", main=text + MAIN, prediction=text + PREDICTION)
    read_source(folder, INT)
    assert not (tmp_path / "ran").exists()


@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.data())
def test_never_fails_on_a_submission_that_lacks_a_line(tmp_path: Path, data: st.DataObject) -> None:
    base = data.draw(st.sampled_from(GOOD))
    file = data.draw(st.sampled_from(sorted(path.name for path in (FOLDER / "good" / base).glob("*.*"))))
    lines = (FOLDER / "good" / base / file).read_text(encoding="utf-8").splitlines()
    at = data.draw(st.integers(0, max(len(lines) - 1, 0)))
    folder = tmp_path / f"{base}-{file}-{at}"
    if not folder.exists():
        shutil.copytree(FOLDER / "good" / base, folder)
        (folder / file).write_text("\n".join(lines[:at] + lines[at + 1 :]), encoding="utf-8")
    for each in read_source(folder, INT):
        assert each.detail and each.line >= 0 and (not each.file or (folder / each.file).exists())


# --- packages


def imports(folder: Path, text: str, requirements: str, **files: str) -> list[str]:
    """What is found when main.py begins with these imports."""
    return found(write(folder, main=textwrap.dedent(text) + MAIN, **{"requirements.txt": requirements}, **files))


@pytest.mark.parametrize(
    ("module", "package", "code"),
    [
        ("cv2", "opencv-contrib-python==4.5", "missing-package"),
        ("sklearn", "scikit_learn", "missing-package"),
        ("PIL", "Pillow>=7", "unlisted-package"),
        ("yaml", "PyYAML", "unlisted-package"),
        ("torch", "torch==1.6.0", "unlisted-package"),
    ],
)
def test_knows_packages_by_other_names(module: str, package: str, code: str, tmp_path: Path) -> None:
    assert imports(tmp_path / "listed", f"import {module}.part\n", package + "\n") == []
    assert imports(tmp_path / "missing", f"import {module}.part\n", "requests\n") == [f"{code} main.py:1"]


def test_what_the_platform_had_is_one_note(tmp_path: Path) -> None:
    folder = write(tmp_path, main="import torch, tqdm\nfrom PIL import Image\n" + MAIN, **{"requirements.txt": ""})
    (finding,) = read_source(folder, INT)
    assert (finding.code, finding.severity, finding.line) == (Hint.UNLISTED_PACKAGE, Severity.NOTE, 1)
    assert finding.detail == "imported and not listed: PIL, torch, tqdm"


@pytest.mark.parametrize(
    ("text", "code"), [("import imp, distutils.util\n", []), ("import Queue\n", ["missing-package main.py:1"])]
)
def test_modules_of_python_36_and_of_python_2(text: str, code: list[str], tmp_path: Path) -> None:
    assert imports(tmp_path, text, "") == code


def test_a_package_may_come_with_another(tmp_path: Path) -> None:
    assert imports(tmp_path, "import numpy\nimport PIL\n", "torchvision\n") == []


def test_the_own_modules_the_standard_library_and_the_sdk_need_no_line(tmp_path: Path) -> None:
    text = "import json, nets.deep, flyai_sdk, helper\nfrom nets import deep\nfrom flyai.utils import remote_helper\n"
    assert imports(tmp_path, text, "", nets__deep="x = 1\n", helper="from . import nets\n") == []


def test_an_import_that_may_fail_or_never_runs_is_excused(tmp_path: Path) -> None:
    text = """
    from typing import TYPE_CHECKING
    if TYPE_CHECKING:
        import tensorflow
    try:
        import apex
    except ImportError:
        apex = None
    """
    assert imports(tmp_path, text, "") == []


def test_an_import_in_a_function_of_another_file_may_never_run(tmp_path: Path) -> None:
    late = "def show():\n    import seaborn\n"
    (finding,) = read_source(write(tmp_path / "a", main="import work\n" + MAIN, work=late), INT)
    assert (finding.code, finding.severity, finding.line) == (Code.MISSING_PACKAGE, Severity.WARNING, 2)
    (finding,) = read_source(write(tmp_path / "b", main="import work\n" + MAIN, work=late + "import seaborn\n"), INT)
    assert (finding.severity, finding.line) == (Severity.ERROR, 3)


def test_a_file_that_nothing_imports_is_not_looked_at(tmp_path: Path) -> None:
    assert found(write(tmp_path, explore="import seaborn\n")) == []


def test_a_folder_put_on_the_path_holds_own_modules(tmp_path: Path) -> None:
    assert imports(tmp_path, "import sys\nsys.path.append('deep')\nimport net\n", "", deep__net="x = 1\n") == []


# --- the class and its answers


def answers(folder: Path, body: str, target: Target = INT) -> list[str]:
    """What is found when predict has this body."""
    text = PREDICTION.replace('return {"label": 0}', textwrap.indent(textwrap.dedent(body), " " * 8).strip())
    return [each.split()[0] for each in found(write(folder, prediction="import numpy as np\n" + text), target)]


@pytest.mark.parametrize(
    ("body", "expected"),
    [
        ("return dict(label=0)", []),
        ("answer = {'label': 0}\nreturn answer", []),
        ("answer = {}\nanswer['label'] = 0\nreturn answer", []),
        ("return self.answer(image_path)", []),
        ("raise NotImplementedError", []),
        ("return {'label': np.argmax([1])}", []),
        ("return {'label': [3]}", ["label-not-comparable"]),
        ("return {'label': f'{image_path}'}", ["label-type"]),
        ("best = str(1)\nreturn {'label': best}", ["label-type"]),
        ("return dict(labels=0)", ["no-label-key"]),
        ("return int(0)", ["bare-return"]),
        ("return", ["bare-return"]),
        ("pass", ["bare-return"]),
        ("if image_path:\n    return 3\nreturn {'label': 0}", ["bare-return"]),
    ],
)
def test_judges_return_statements(body: str, expected: list[str], tmp_path: Path) -> None:
    assert answers(tmp_path, body) == expected


def test_a_number_for_text_labels(tmp_path: Path) -> None:
    assert answers(tmp_path / "a", "return {'label': int(0)}", Target(label="Amanita")) == ["label-type"]
    assert answers(tmp_path / "b", "return {'label': str(0)}", Target(label="Amanita")) == []
    assert answers(tmp_path / "c", "return {'label': str(0)}", Target(label=None)) == []


@pytest.mark.parametrize(
    ("arguments", "accepted"),
    [
        ("self, image_path", True),
        ("self, **row", True),
        ("self, image_path, age=None, *, sex=None", True),
        ("self, age, image_path", False),
        ("self, input_data", False),
        ("self, image_path, /", False),
        ("self", False),
        ("self, *rows", False),
    ],
)
def test_binds_the_columns_to_the_arguments(arguments: str, accepted: bool, tmp_path: Path) -> None:
    folder = write(tmp_path, prediction=PREDICTION.replace("self, image_path", arguments))
    assert found(folder) == ([] if accepted else ["predict-arguments prediction.py:8"])


def test_finds_the_base_class_through_own_modules(tmp_path: Path) -> None:
    base = (
        "from flyai.framework import FlyAI\nclass Base(FlyAI):\n    def predict(self, image_path):\n        return 3\n"
    )
    text = "import base\nclass Prediction(base.Base):\n    def load_model(self):\n        pass\n"
    assert found(write(tmp_path, prediction=text, base=base)) == ["bare-return base.py:4"]


@pytest.mark.parametrize(
    "line",
    [
        "from flyai.framework import *",
        "from place import *",
        "from place import FlyAI",
        "from flyai_sdk import FlyAI",
        "import place",
        "try:\n    from flyai.framework import FlyAI\nexcept ImportError:\n    FlyAI = object",
    ],
)
def test_finds_flyai_however_it_is_imported(line: str, tmp_path: Path) -> None:
    text = PREDICTION.replace("from flyai.framework import FlyAI", line)
    text = text.replace("(FlyAI)", "(place.FlyAI)") if line == "import place" else text
    assert found(write(tmp_path, prediction=text, place="from flyai.framework import FlyAI\n")) == []


def test_says_nothing_about_a_base_that_only_a_run_can_tell(tmp_path: Path) -> None:
    text = PREDICTION.replace("(FlyAI)", "(make_base())")
    assert found(write(tmp_path / "a", prediction=text + "def make_base():\n    return FlyAI\n")) == []
    assert found(write(tmp_path / "b", prediction=PREDICTION.replace("(FlyAI)", "(dict)"))) == [
        "no-class prediction.py:4"
    ]


def test_a_star_import_brings_main(tmp_path: Path) -> None:
    folder = write(tmp_path, main=MAIN + "\nfrom flyai.framework import FlyAI\nclass Main(FlyAI):\n    pass\n")
    write(folder, main=(folder / "main.py").read_text(encoding="utf-8"), prediction="from main import *\n" + PREDICTION)
    assert found(folder) == ["wrong-class prediction.py:1"]


def test_training_and_exits_at_import(tmp_path: Path) -> None:
    text = "import sys\ndef train():\n    pass\ntrain()\nsys.exit()\n"
    folder = write(tmp_path, prediction="import work\n" + PREDICTION, work=text)
    assert found(folder) == ["evaluation-exit work.py:5", "training-at-import work.py:4"]  # an error and a warning


# --- files


def served(folder: Path, training: str, load: str) -> list[str]:
    """What is found when main.py saves and load_model loads like this."""
    text = "import numpy as np, os, sys\nfrom pathlib import Path\nfrom place import FOLDER\n"
    place = "from pathlib import Path\nFOLDER = Path(__file__).resolve().parent / 'data' / 'output' / 'model'\n"
    return found(
        write(
            folder, main=text + training + "\n" + MAIN, place=place, prediction=text + PREDICTION.replace("pass", load)
        )
    )


@pytest.mark.parametrize(
    ("training", "load"),
    [
        ("np.save(FOLDER / 'a', 0)", "np.load(os.path.join(FOLDER, 'a.npy'))"),
        (
            "NAME = 'a'\nnp.save(f'{FOLDER}/{NAME}.npy', 0)",
            "np.load(Path(sys.path[0]) / 'data/output/model' / 'a.npy')",
        ),
        ("np.save(unknown(), 0)", "np.load(FOLDER / 'a.npy')"),
        ("(FOLDER / 'a.json').write_text('')", "(FOLDER / 'a.json').read_text()"),
        ("np.save(FOLDER / 'a.npy', 0)", "np.load(unknown())"),
    ],
)
def test_saved_and_loaded_under_one_name(training: str, load: str, tmp_path: Path) -> None:
    assert served(tmp_path, training, load) == []


def test_saved_elsewhere_or_not_at_all(tmp_path: Path) -> None:
    place = "no-checkpoint prediction.py:9"
    assert served(tmp_path / "a", "np.save(FOLDER / 'best' / 'a.npy', 0)", "np.load(FOLDER / 'a.npy')") == [place]
    assert served(tmp_path / "b", "", "np.load(FOLDER / 'a.npy')") == [place]


@pytest.mark.parametrize("training", ["Saver(FOLDER / 'a.npy')", "NAMES = ['a.npy']\nopen(FOLDER / 'log.txt', 'w')"])
def test_an_unknown_saver_with_that_name_is_believed(training: str, tmp_path: Path) -> None:
    assert served(tmp_path / "a", training, "np.load(FOLDER / 'a.npy')") == []
    assert served(tmp_path / "b", training, "np.load(FOLDER / 'b.npy')") == ["no-checkpoint prediction.py:9"]


def test_a_file_that_is_asked_for_first_need_not_be_there(tmp_path: Path) -> None:
    load = "if os.path.exists(FOLDER / 'a.npy'):\n            np.load(FOLDER / 'a.npy')"
    assert served(tmp_path, "", load) == []


@pytest.mark.parametrize(
    ("saved", "found_later"),
    [
        ("Net()", False),
        ("Net().to('cpu')", False),
        ("torch.nn.DataParallel(Net())", False),
        ("Net().state_dict()", True),
        ("{'net': Net()}", False),
        ("build(Net)", True),
        ("build(Config())", True),
        ("{'net': Net().state_dict()}", True),
    ],
)
def test_a_pickle_finds_its_class_only_outside_of_main(saved: str, found_later: bool, tmp_path: Path) -> None:
    text = (
        f"import torch\nclass Net(torch.nn.Module):\n    pass\nnet = {saved}\ntorch.save(net, sys.path[0] + "
        "'/net.pth')\n"
    )
    folder = write(tmp_path, main="import sys\n" + text + MAIN, **{"requirements.txt": "torch\n"})
    assert ([each.split()[0] for each in found(folder)] == []) is found_later


def test_a_file_that_travels_along_need_not_be_saved(tmp_path: Path) -> None:
    write(tmp_path, **{"classes.txt": "a\n"})
    assert served(tmp_path, "", "open(Path(__file__).parent / 'classes.txt')") == []


def test_paths_that_leave_the_project_or_hang_on_the_working_directory(tmp_path: Path) -> None:
    assert served(tmp_path / "a", "np.save('../a.npy', 0)", "return") == ["outside-path main.py:4"]
    assert served(tmp_path / "b", "np.save('a.npy', 0)", "return") == ["relative-path main.py:4"]


def test_files_that_are_missing_or_cannot_be_read(tmp_path: Path) -> None:
    assert found(write(tmp_path / "a", **{"app.json": '{"data":\n}'})) == ["bad-card app.json:2"]
    assert found(write(tmp_path / "b", **{"app.yaml": "data: [\n"}))[0].startswith("bad-card app.yaml:2")
    assert found(write(tmp_path / "c", random="x = 1\n")) == ["shadowed-module random.py:0"]
    (write(tmp_path / "d") / "main.py").unlink()
    assert found(tmp_path / "d") == ["no-main :0"]
    (write(tmp_path / "e") / "prediction.py").unlink()
    assert found(tmp_path / "e") == ["no-prediction :0"]
    (tmp_path / "f.zip").write_bytes(b"no zip")
    assert found(tmp_path / "f.zip") == ["bad-archive :0"]


# --- training


def training(folder: Path, text: str) -> list[str]:
    """What is found when main.py imports a module with this text."""
    return found(write(folder, main="import work\n" + MAIN, work=text))


ONCE_MORE = """
class Rows:
    def __getitem__(self, index):
        try:
            return open(str(index))
        except OSError:
            return {again}
"""
FOR_EVER = """
def read(path, others):
    while True:
        try:
            return open(path)
        except OSError:
            {then}
"""


@pytest.mark.parametrize(
    ("text", "endless"),
    [
        (ONCE_MORE.format(again="self.__getitem__(index)"), True),
        (ONCE_MORE.format(again="self[index]"), True),
        (ONCE_MORE.format(again="self.__getitem__(index + 1)"), False),
        (ONCE_MORE.format(again="super().__getitem__(index)"), False),
        (ONCE_MORE.format(again="self.rows.__getitem__(index)"), False),
        (FOR_EVER.format(then="continue"), True),
        (FOR_EVER.format(then="print(path)"), True),
        (FOR_EVER.format(then="path = others.pop()"), False),
        (FOR_EVER.format(then="raise"), False),
        ("def read(path):\n    while (text := open(path)) is None:\n        pass\n", True),
    ],
)
def test_tells_an_endless_retry_from_another_row(text: str, endless: bool, tmp_path: Path) -> None:
    assert any(each.startswith("endless-retry work.py") for each in training(tmp_path, text)) is endless


@pytest.mark.parametrize(
    ("text", "asks"),
    [
        ("import torch\nnet.cuda()", False),
        ("import torch\nif torch.cuda.is_available():\n    net.cuda()", True),
        ("import torch\nnet.to('cuda' if torch.cuda.is_available() else 'cpu')", True),
        ("import torch\nnet.to('cuda:0')", False),
        ("import torch\nDEVICE = torch.device('cuda')", False),
    ],
)
def test_asks_for_a_gpu_first(text: str, asks: bool, tmp_path: Path) -> None:
    folder = write(tmp_path, main="import work\n" + MAIN, work=text, **{"requirements.txt": "torch\n"})
    assert ([each.split()[0] for each in found(folder)] == []) is asks


@pytest.mark.parametrize(
    ("options", "code"),
    [
        ('"-e", "--epochs"', "arguments-ignored"),  # nothing reads args.epochs
        ('"--EPOCHS"', "main-arguments"),
        ('"-e", "--EPOCHS"', None),
        ('*("-e", "--EPOCHS")', None),  # made by code: nothing is said
    ],
)
def test_the_arguments_of_main(options: str, code: str | None, tmp_path: Path) -> None:
    findings = found(write(tmp_path, main=MAIN.replace('"-e", "--EPOCHS"', options)))
    assert [each.split()[0] for each in findings] == ([code] if code else [])


def test_a_main_that_reads_no_arguments_ignores_them(tmp_path: Path) -> None:
    assert found(write(tmp_path / "a", main="print('training')\n")) == ["arguments-ignored main.py:0"]
    assert found(write(tmp_path / "b", main="import sys\nprint(sys.argv)\n")) == []


def test_old_calls(tmp_path: Path) -> None:
    text = """import numpy as np
    from sklearn.model_selection import KFold
    x = np.float(1)
    KFold(5, random_state=1)
    KFold(5, shuffle=True, random_state=1)
    KFold(5, random_state=None)
    """
    folder = write(
        tmp_path,
        main="import work\n" + MAIN,
        work=text.replace("\n    ", "\n"),
        **{"requirements.txt": "scikit-learn\n"},
    )
    assert sorted(found(folder)) == ["old-library-call work.py:3", "old-library-call work.py:4"]


# --- the chain and the command


def test_the_chain_confirms_a_good_submission_and_names_what_only_a_run_can_tell(tmp_path: Path) -> None:
    colours = plain_colours(tmp_path / "colours")
    report = check(FOLDER / "good" / "nearest_mean", colours)
    assert report.ok and report.findings == [] and report.chain is not None and report.chain.score is not None
    wrong = next(each for each in BROKEN if each.name == "text_from_the_model")
    assert errors(check(wrong.make(tmp_path), colours).findings) == {"label-type"}


@pytest.mark.parametrize(("given", "seen"), [(None, "1"), ("3", "3")])
def test_the_chain_has_one_thread_unless_told(
    given: str | None, seen: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("OMP_NUM_THREADS", raising=False)
    if given:
        monkeypatch.setenv("OMP_NUM_THREADS", given)
    folder = write(tmp_path / "project", main=MAIN + "\nimport os\nprint('threads', os.environ['OMP_NUM_THREADS'])\n")
    report = check(folder, plain_colours(tmp_path / "colours"))
    assert report.chain is not None
    assert f"threads {seen}" in (report.chain.folder / "train.log").read_text(encoding="utf-8")
    assert os.environ.get("OMP_NUM_THREADS") == given


def test_a_failure_in_the_chain_has_its_line(tmp_path: Path) -> None:
    lines = MAIN + "\ndef deep():\n    raise KeyError('image')\n\ndeep()\n"
    report = check(write(tmp_path / "project", main=lines), plain_colours(tmp_path / "colours"))
    (finding,) = report.findings
    assert (finding.code, finding.file, finding.line) == (
        Code.TRAINING_FAILED,
        "main.py",
        lines.splitlines().index("    raise KeyError('image')") + 1,
    )
    assert "KeyError" in finding.detail and not report.ok


def test_the_command(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    write_card(plain_colours(competitions_folder() / "Colours"), competitions_folder() / "Colours")
    good = ["check", "--competition", "Colours", "--submission", str(write(tmp_path / "good"))]
    bad = [
        "check",
        "--competition",
        "Colours",
        "--static",
        "--submission",
        str(write(tmp_path / "bad", prediction="x = 1\n")),
    ]
    assert main([*good, "--json"]) == 0
    said = json.loads(capsys.readouterr().out)
    assert (
        said["ok"]
        and said["findings"] == []
        and said["chain"]["state"] == "scored"
        and said["competition"] == "Colours"
    )
    assert main([*bad, "--json"]) == 1
    (finding,) = json.loads(capsys.readouterr().out)["findings"]
    assert set(finding) == {"code", "severity", "file", "line", "detail", "cause", "remedy", "cause_zh", "remedy_zh"}
    assert main(bad) == 1
    assert "prediction.py: error [no-class]" in capsys.readouterr().out
    assert main([*bad, "--lang", "zh"]) == 1
    assert "未通过：1 个错误" in capsys.readouterr().out
    assert main(["check", "--lang", "en", "--submission", str(tmp_path / "nothing")]) == 1
    assert "there is no folder" in capsys.readouterr().err
    assert main(["check", "--lang", "fr"]) == 1
    assert "'fr'; there are en, zh" in capsys.readouterr().err


@pytest.mark.slow
@pytest.mark.parametrize("name", GOOD)
def test_good_submissions_pass_the_chain(name: str, tmp_path: Path) -> None:
    report = check(FOLDER / "good" / name, plain_colours(tmp_path / "colours"))
    assert report.ok and report.chain is not None and report.chain.score is not None, [
        each.text() for each in report.findings
    ]


@pytest.mark.slow
@pytest.mark.parametrize("broken", BROKEN, ids=lambda each: each.name)
def test_broken_submissions_are_named_with_the_chain(broken: Broken, tmp_path: Path) -> None:
    findings = check(broken.make(tmp_path), plain_colours(tmp_path / "colours")).findings
    assert broken.code in {each.code.value for each in findings}


# --- words


def test_every_code_is_explained_in_both_languages_and_in_the_page() -> None:
    assert set(HINTS) == set(Hint)
    assert {each.value for each in Hint}.isdisjoint({each.value for each in Code}), "one code, one meaning"
    for said in HINTS.values():
        assert (
            all(said)
            and any("一" <= letter <= "鿿" for letter in said.cause_zh)
            and any("一" <= letter <= "鿿" for letter in said.remedy_zh)
        )
    assert table() in (ROOT / "docs" / "check.md").read_text(encoding="utf-8")


def test_the_page_states_the_figures_of_the_chain() -> None:
    page = " ".join((ROOT / "docs" / "check.md").read_text(encoding="utf-8").split())
    for figure in (
        f"-e={EPOCHS} -b={BATCH}`",
        f"{sample.PER_CLASS} training pictures of each of at most {sample.CLASSES} classes, {sample.LEAST} at least",
        f"{sample.ROWS} training pictures",
        f"{SECONDS:g} seconds",
    ):
        assert figure in page, figure


@pytest.mark.skipif(not hasattr(os, "getloadavg"), reason="Windows tells no load")
@pytest.mark.parametrize(("load", "times"), [(0.1, 1), (2.0, 1), (6.0, 3), (1e9, 8)])
def test_a_trial_beside_other_programs_is_told_to_have_as_many_times_the_minutes(tmp_path, monkeypatch, load, times):
    """On a machine at load 19 the trial was out of its half minute before anything had been trained."""
    monkeypatch.setattr(os, "getloadavg", lambda: (load, load, load))
    monkeypatch.setattr(os, "cpu_count", lambda: 2)
    told = []
    module = importlib.import_module("flyai_local.checks.check")
    monkeypatch.setattr(module, "execute", lambda job, progress: told.append(job.told_minutes) or Result(1, tmp_path))
    check(FOLDER / "good" / GOOD[0], competition("Digits"))
    assert told == [module.MINUTES * times]
