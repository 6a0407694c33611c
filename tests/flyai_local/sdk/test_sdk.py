"""The 2.0 and 2022 SDK stand-ins: what old submissions import, call and rely on."""

import inspect
import io
import json
import math
import subprocess
import sys
import tarfile
import zipfile
from pathlib import Path

import numpy as np
import pytest
from fake_project import SDK, place, run_python
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

sys.path.append(str(SDK))

from flyai import train_helper
from flyai.data_helper import DataHelper
from flyai.framework import FlyAI
from flyai.model.base import Base as ModelBase
from flyai.utils import remote_helper
from flyai.utils.log_helper import train_log

MODULES = [
    "flyai",
    "flyai.core",
    "flyai.data_helper",
    "flyai.dataset",
    "flyai.framework",
    "flyai.model.base",
    "flyai.processor.base",
    "flyai.processor.download",
    "flyai.source.base",
    "flyai.source.csv_source",
    "flyai.source.source",
    "flyai.train_helper",
    "flyai.utils.log_helper",
    "flyai.utils.read_data",
    "flyai.utils.remote_helper",
    "flyai.utils.yaml_helper",
    "flyai_sdk",
]


@pytest.fixture
def project(tmp_path, monkeypatch):
    """An empty project whose folder is sys.path[0], without weights and without a run."""
    folder = tmp_path / "project"
    folder.mkdir()
    monkeypatch.setattr(sys, "path", [str(folder), *sys.path])
    monkeypatch.setenv("TORCH_HOME", str(tmp_path / "torch"))
    monkeypatch.setenv("FLYAI_LOCAL_RUN", "1")
    for name in ("FLYAI_LOCAL_WEIGHTS", "FLYAI_LOCAL_CURVES"):
        monkeypatch.delenv(name, raising=False)
    return folder


@pytest.fixture
def weights(tmp_path, monkeypatch):
    folder = tmp_path / "weights"
    folder.mkdir()
    monkeypatch.setenv("FLYAI_LOCAL_WEIGHTS", str(folder))
    return folder


# The import root


def test_import_root_holds_the_two_names_and_nothing_else():
    assert {entry.name for entry in SDK.iterdir()} - {"__pycache__"} == {"flyai", "flyai_sdk.py"}


def test_every_module_imports_with_nothing_heavy(tmp_path):
    heavy = ["numpy", "pandas", "torch", "yaml", "PIL", "cv2", "requests", "sklearn", "flyai_local"]
    (tmp_path / "main.py").write_text(
        f"import importlib, sys\nfor name in {MODULES}: importlib.import_module(name)\n"
        f"print([name for name in {heavy} if name in sys.modules])\n",
        encoding="utf-8",
    )
    finished = run_python(tmp_path, "main.py")
    assert (finished.returncode, finished.stdout, finished.stderr) == (0, "[]\n", "")


def test_modules_listed_here_are_all_there_are():
    found = {".".join(path.relative_to(SDK).with_suffix("").parts) for path in SDK.rglob("*.py")}
    packages = {"flyai.__init__", "flyai.model.__init__", "flyai.processor.__init__", "flyai.source.__init__"}
    assert found - packages - {"flyai.utils.__init__", "flyai.project"} == set(MODULES) - {"flyai"}


def test_the_page_on_the_sdk_names_every_module_and_public_name():
    page = (SDK.parent.parent / "docs" / "sdk.md").read_text(encoding="utf-8")
    names = [name for name in MODULES if name != "flyai.core"] + ["flyai.core.Lib"]
    names += [name for each in (FlyAI, DataHelper, remote_helper, train_helper) for name in _public(each)]
    assert [name for name in names if name not in page] == []


def _public(holder):
    """Functions that a class or module defines itself and does not hide."""
    home = holder.__module__ if isinstance(holder, type) else holder.__name__
    members = [(name, value) for name, value in vars(holder).items() if not name.startswith("_")]
    return [name for name, value in members if inspect.isfunction(value) and value.__module__ == home]


def test_folders_without_init_in_a_submission_stay_importable(tmp_path):
    for name in ("utils", "models", "model", "processor", "source", "dataset", "project"):
        (tmp_path / name).mkdir()
        (tmp_path / name / "own.py").write_text("HERE = __file__\n", encoding="utf-8")
    (tmp_path / "main.py").write_text(
        "import flyai.dataset, flyai_sdk\n"
        "from utils import own as a\nfrom models import own as b\nfrom model import own as c\n"
        "from processor import own as d\nfrom source import own as e\nfrom dataset import own as f\n"
        "from project import own as g\nimport sys\n"
        "print(all(x.HERE.startswith(sys.path[0]) for x in (a, b, c, d, e, f, g)))\n",
        encoding="utf-8",
    )
    assert run_python(tmp_path, "main.py").stdout == "True\n"


# FlyAI


def test_flyai_is_a_plain_class():
    assert type(FlyAI) is type
    assert FlyAI.__init__ is object.__init__
    assert {name for name in vars(FlyAI) if not name.startswith("__")} == {
        "download_data",
        "deal_with_data",
        "train",
        "load_model",
        "predict",
    }


def test_every_method_is_optional_and_does_nothing():
    empty = type("Main", (FlyAI,), {})()
    answers = [empty.download_data(), empty.deal_with_data(), empty.train(), empty.load_model()]
    assert [*answers, empty.predict(image_path="a.jpg", age=3)] == [None] * 5


def test_subclass_with_arguments_calls_super_bare_and_starts_again_per_fold():
    class Main(FlyAI):
        def __init__(self, args, logger):
            super().__init__()
            self.args, self.logger, self.history = args, logger, []

        def train(self):
            self.history.append(self.args)
            self.__init__("next fold", self.logger)

    main = Main("first fold", None)
    main.train()
    assert (main.args, main.history) == ("next fold", [])


# DataHelper


def test_data_that_lies_there_is_used_and_untouched(project, capsys):
    place(project / "data" / "input" / "Mushrooms", count=3)
    own = project / "data" / "input" / "Mushrooms" / "notes.txt"
    own.write_text("mine", encoding="utf-8")
    before = {path: path.read_bytes() for path in project.rglob("*") if path.is_file()}
    DataHelper().download_from_ids("Mushrooms")
    DataHelper().download_from_ids("Mushrooms")
    assert {path: path.read_bytes() for path in project.rglob("*") if path.is_file()} == before
    assert capsys.readouterr().out.count("Mushrooms is there already") == 2


def test_log_false_is_silent_about_success(project, capsys):
    place(project / "data" / "input" / "Mushrooms", count=1)
    DataHelper().download_from_ids("Mushrooms", log=False)
    assert capsys.readouterr().out == ""


def test_several_ids_and_a_list(project, capsys):
    for name in ("A", "B", "C"):
        place(project / "data" / "input" / name, count=1)
    DataHelper().download_from_ids("A", ["B", "C"])
    assert capsys.readouterr().out.count("is there already") == 3


@pytest.mark.parametrize("competition_id", ["../outside", "a/b", "a\\b", "", ".", "..", "c:evil"])
def test_an_id_that_is_no_plain_name_is_said_and_nothing_is_made(project, capsys, competition_id):
    DataHelper().download_from_ids(competition_id)
    assert repr(competition_id) in capsys.readouterr().out
    assert list(project.iterdir()) == []


def test_in_a_run_nothing_is_fetched_and_nothing_is_raised(project, capsys, monkeypatch):
    monkeypatch.setattr(subprocess, "run", lambda *a, **k: pytest.fail("a process was started in a run"))
    DataHelper().download_from_ids("Unknown", log=False)
    assert "Unknown was not placed for this run" in capsys.readouterr().out


def test_in_a_run_the_one_competition_stands_in_for_the_id_of_the_code(project, capsys):
    place(project / "data" / "input" / "Sketch", count=4)
    own = project / "data" / "input" / "MushroomsRecognition" / "own.txt"
    own.parent.mkdir()
    own.write_text("mine", encoding="utf-8")
    DataHelper().download_from_ids("MushroomsRecognition")
    asked = project / "data" / "input" / "MushroomsRecognition"
    placed = project / "data" / "input" / "Sketch"
    assert (asked / "train.csv").read_bytes() == (placed / "train.csv").read_bytes()
    assert len(list((asked / "image").iterdir())) == 4
    assert own.read_text(encoding="utf-8") == "mine"
    assert "Sketch stands in for it" in capsys.readouterr().out


def test_in_a_run_two_competitions_stand_in_for_nothing(project, capsys):
    for name in ("A", "B"):
        place(project / "data" / "input" / name, count=1)
    DataHelper().download_from_ids("C")
    assert not (project / "data" / "input" / "C").exists()
    assert "C was not placed" in capsys.readouterr().out


def test_outside_a_run_the_download_command_is_another_process(project, capsys, monkeypatch):
    calls = []

    def finish(command, **options):
        calls.append((command, options))
        return subprocess.CompletedProcess(command, 0, "", "")

    monkeypatch.delenv("FLYAI_LOCAL_RUN")
    monkeypatch.setenv("FLYAI_LOCAL_HOME", "relative")
    monkeypatch.setattr(subprocess, "run", finish)
    DataHelper().download_from_ids("Sketch")
    (command, options), *others = calls
    assert others == []
    assert command[1:] == [
        "-m",
        "flyai_local",
        "download",
        "Sketch",
        "--to",
        str(project / "data" / "input" / "Sketch"),
    ]
    assert options["cwd"] == SDK.parent.parent
    assert options["env"]["PYTHONPATH"] == str(SDK.parent.parent)
    assert Path(options["env"]["FLYAI_LOCAL_HOME"]) == Path.cwd() / "relative"
    assert "Sketch was placed" in capsys.readouterr().out


def test_a_disk_or_python_that_fails_is_said_and_not_raised(project, capsys, monkeypatch):
    def fail(*arguments, **options):
        raise PermissionError(13, "not allowed")

    place(project / "data" / "input" / "Sketch", count=1)
    monkeypatch.setattr("shutil.copytree", fail)
    DataHelper().download_from_ids("Other")
    monkeypatch.delenv("FLYAI_LOCAL_RUN")
    monkeypatch.setattr(subprocess, "run", fail)
    DataHelper().download_from_ids("Other")
    assert capsys.readouterr().out.count("Other was not fetched: [Errno 13] not allowed") == 2


def test_unknown_id_is_a_sentence_and_no_error(tmp_path):
    (tmp_path / "main.py").write_text(
        "from flyai.data_helper import DataHelper\nDataHelper().download_from_ids('NoSuchThing', log=False)\n"
        "import sys\nprint(sorted(name for name in sys.modules if name.startswith('flyai_local')))\n",
        encoding="utf-8",
    )
    finished = run_python(tmp_path, "main.py", FLYAI_LOCAL_RUN=None, FLYAI_LOCAL_HOME=str(tmp_path / "home"))
    assert finished.returncode == 0, finished.stderr
    assert "NoSuchThing was not fetched" in finished.stdout
    assert "MushroomSketch" in finished.stdout and "add" in finished.stdout and "Traceback" not in finished.stdout
    assert finished.stdout.endswith("[]\n")


@pytest.mark.parametrize(
    ("card", "ids"),
    [
        ('{"data": {"source": [{"id": "A"}, {"id": "B", "name": ""}]}}', ["A", "B"]),
        ('{"project_id": "P", "data_id": "D", "model": {}}', ["D"]),
        ('\ufeff{"data": {"source": {"id": "A"}}}', ["A"]),
        ('{"data": {"source": [{"name": "no id"}, 3]}}', []),
        ('{"data": []}', []),
        ("[]", []),
        ("not JSON", []),
        (None, []),
    ],
)
def test_ids_of_app_json(project, capsys, monkeypatch, card, ids):
    if card is not None:
        (project / "app.json").write_text(card, encoding="utf-8")
    asked = []
    monkeypatch.setattr(DataHelper, "download_from_ids", lambda self, *names, log=True: asked.extend(names))
    DataHelper().download_from_json()
    assert asked == ids
    assert ("names no data id" in capsys.readouterr().out) == (not ids)


def test_the_folder_is_that_of_the_script_not_the_working_directory(tmp_path):
    project, elsewhere = tmp_path / "project", tmp_path / "elsewhere"
    elsewhere.mkdir()
    place(project / "data" / "input" / "Sketch", count=1)
    (project / "main.py").write_text(
        "from flyai.data_helper import DataHelper\nfrom flyai.utils.log_helper import train_log\n"
        "from flyai_sdk import DATA_PATH, MODEL_PATH\n"
        "DataHelper().download_from_ids('Sketch')\ntrain_log(train_loss=1)\nprint(DATA_PATH)\nprint(MODEL_PATH)\n",
        encoding="utf-8",
    )
    lines = run_python(elsewhere, str(project / "main.py")).stdout.splitlines()
    assert "is there already" in lines[0]
    assert lines[1:] == [str(project / "data" / "input"), str(project / "data" / "output" / "model")]
    assert (project / "data" / "output" / "logs" / "train_log.jsonl").is_file()
    assert list(elsewhere.iterdir()) == []


def test_what_the_console_cannot_show_does_not_end_the_training(tmp_path):
    project = tmp_path / "项目"
    place(project / "data" / "input" / "S", count=1)
    (project / "main.py").write_text(
        "from flyai.data_helper import DataHelper\nDataHelper().download_from_ids('S')\n", encoding="utf-8"
    )
    finished = run_python(project, "main.py", PYTHONIOENCODING="ascii", PYTHONUTF8="0")
    assert finished.returncode == 0, finished.stderr
    assert "\\u9879" in finished.stdout


# remote_helper


@pytest.mark.parametrize(
    "get",
    [
        remote_helper.get_remote_data,
        remote_helper.get_remote_date,
        ModelBase().get_remote_date,  # six public 1.x projects ask their Model
        ModelBase().get_remote_data,
    ],
)
def test_file_under_data_input_model_comes_first(project, weights, get):
    folder = project / "data" / "input" / "model"
    folder.mkdir(parents=True)
    (folder / "net.pth").write_bytes(b"mine")
    (weights / "net.pth").write_bytes(b"other")
    assert Path(get("https://www.flyai.com/m/net.pth")) == folder / "net.pth"
    assert (folder / "net.pth").read_bytes() == b"mine"


def test_weights_folder_comes_before_torch_hub_and_is_copied(project, weights, tmp_path):
    hub = tmp_path / "torch" / "hub" / "checkpoints"
    hub.mkdir(parents=True)
    for name in ("both.pth", "hub.pth"):
        (hub / name).write_bytes(b"hub")
    (weights / "both.pth").write_bytes(b"weights")
    path = Path(remote_helper.get_remote_date("https://www.flyai.com/m/both.pth"))
    assert path.read_bytes() == b"weights"
    path.write_bytes(b"changed by the submission")
    assert (weights / "both.pth").read_bytes() == b"weights"
    assert Path(remote_helper.get_remote_date("https://www.flyai.com/m/hub.pth")).read_bytes() == b"hub"
    assert [path.name for path in (project / "data" / "input" / "model").iterdir() if path.suffix == ".part"] == []


def test_the_path_is_a_string_that_users_split(project, weights):
    (weights / "net.pth").write_bytes(b"1")
    path = remote_helper.get_remote_data("https://www.flyai.com/m/net.pth")
    assert isinstance(path, str)


def test_missing_file_is_an_error_that_names_file_places_and_remedy(project, weights, tmp_path):
    with pytest.raises(FileNotFoundError) as error:
        remote_helper.get_remote_date("https://www.flyai.com/m/resnet50-19c8e357.pth")
    text = str(error.value)
    places = [project / "data" / "input" / "model", weights, tmp_path / "torch" / "hub" / "checkpoints"]
    assert all(part in text for part in ["resnet50-19c8e357.pth", "--weights DIR", *map(str, places)])


def test_nothing_is_left_behind_by_a_missing_file(project):
    with pytest.raises(OSError, match=r"net\.pth"):
        remote_helper.get_remote_data("https://www.flyai.com/m/net.pth")
    assert list(project.iterdir()) == []


@pytest.mark.skipif(sys.platform == "win32", reason="Windows allows no | in a file name")
@pytest.mark.parametrize("stored", ["v0.8|net.h5", "v0.8_net.h5", "net.h5"])
def test_names_with_a_bar_are_found_under_their_known_forms(project, weights, stored):
    (weights / stored).write_bytes(b"1")
    path = Path(remote_helper.get_remote_data("https://www.flyai.com/m/v0.8|net.h5"))
    assert path == project / "data" / "input" / "model" / "v0.8|net.h5"
    assert path.read_bytes() == b"1"


@pytest.mark.parametrize(
    "url", ["https://www.flyai.com/m/a%20b.pth", "https://www.flyai.com/m/a b.pth?token=x#y", "a b.pth", "m\\a b.pth"]
)
def test_the_name_is_the_last_part_of_the_address(project, weights, url):
    (weights / "a b.pth").write_bytes(b"1")
    assert Path(remote_helper.get_remote_data(url)).name == "a b.pth"


@pytest.mark.parametrize("url", ["", "https://www.flyai.com", "https://www.flyai.com/m/..", "/"])
def test_an_address_without_a_file_is_refused_in_words(project, url):
    with pytest.raises(ValueError, match="names no file"):
        remote_helper.get_remote_data(url)


def _zip(path, members):
    with zipfile.ZipFile(path, "w") as archive:
        for name, text in members.items():
            archive.writestr(name, text)


def _tar(path, members):
    with tarfile.open(path, "w:gz") as archive:
        for name, text in members.items():
            member = tarfile.TarInfo(name)
            member.size = len(text)
            archive.addfile(member, io.BytesIO(text.encode()))


@pytest.mark.parametrize(("suffix", "pack"), [(".zip", _zip), (".tar.gz", _tar)])
def test_archive_with_its_folder_inside(project, weights, suffix, pack):
    pack(weights / f"bert_base{suffix}", {"bert_base/vocab.txt": "a", "bert_base/deep/config.json": "{}"})
    path = Path(remote_helper.get_remote_date(f"https://www.flyai.com/m/bert_base{suffix}"))
    assert path.is_file() and path.name == f"bert_base{suffix}"
    assert (path.parent / "bert_base" / "vocab.txt").read_text(encoding="utf-8") == "a"
    assert sorted(entry.name for entry in path.parent.iterdir()) == ["bert_base", f"bert_base{suffix}"]


def test_archive_of_loose_files_appears_beside_and_in_its_folder(project, weights):
    _zip(weights / "glove.27B.zip", {"glove.25d.txt": "25", "glove.50d.txt": "50"})
    path = Path(remote_helper.get_remote_date("https://www.flyai.com/m/glove.27B.zip"))
    assert (path.parent / "glove.25d.txt").read_text(encoding="utf-8") == "25"
    assert (path.parent / "glove.27B" / "glove.50d.txt").read_text(encoding="utf-8") == "50"


def test_archive_of_one_file_with_its_own_name(project, weights):
    _zip(weights / "sgns.word.zip", {"sgns.word": "vectors"})
    path = remote_helper.get_remote_date("https://www.flyai.com/m/sgns.word.zip")
    assert Path(path.removesuffix(".zip")).read_text(encoding="utf-8") == "vectors"


def test_unpacking_twice_keeps_what_users_changed(project, weights):
    _zip(weights / "x.zip", {"x/a.txt": "packed", "b.txt": "packed"})
    folder = project / "data" / "input" / "model"
    folder.mkdir(parents=True)
    (folder / "b.txt").write_text("mine", encoding="utf-8")
    remote_helper.get_remote_data("https://www.flyai.com/m/x.zip")
    (folder / "x" / "a.txt").write_text("mine", encoding="utf-8")
    remote_helper.get_remote_data("https://www.flyai.com/m/x.zip")
    assert [(folder / name).read_text(encoding="utf-8") for name in ("b.txt", "x/a.txt")] == ["mine", "mine"]


def test_unzip_false_leaves_the_archive_alone(project, weights):
    _zip(weights / "x.zip", {"x/a.txt": "packed"})
    path = Path(remote_helper.get_remote_data("https://www.flyai.com/m/x.zip", unzip=False))
    assert [entry.name for entry in path.parent.iterdir()] == ["x.zip"]


@pytest.mark.parametrize(("suffix", "pack"), [(".zip", _zip), (".tar.gz", _tar)])
def test_an_archive_cannot_write_outside(project, weights, suffix, pack):
    pack(weights / f"x{suffix}", {"x/a.txt": "good", "../../../../escaped.txt": "bad"})
    try:
        remote_helper.get_remote_data(f"https://www.flyai.com/m/x{suffix}")
    except tarfile.OutsideDestinationError:
        assert suffix == ".tar.gz"
    assert list(project.parent.rglob("escaped.txt")) == []


def test_weights_asked_for_at_import_time_may_be_missing(project, tmp_path):
    (project / "main.py").write_text(
        "from flyai.utils import remote_helper\n"
        "try:\n    path = remote_helper.get_remote_data('https://www.flyai.com/m/v0.8|net.h5')\n"
        "except OSError:\n    path = 'imagenet'\nprint(path)\n",
        encoding="utf-8",
    )
    assert run_python(project, "main.py", TORCH_HOME=str(tmp_path)).stdout == "imagenet\n"


# train_log


def _curve(path):
    return [json.loads(line) for line in path.read_text(encoding="utf-8").splitlines()]


def test_curves_hold_one_line_per_call(project):
    train_log(train_loss=1, train_acc=0.5, val_loss=2, val_acc=0.25)
    train_log(val_acc="0.75")
    first, second = _curve(project / "data" / "output" / "logs" / "train_log.jsonl")
    assert {**first, "time": 0} == {"time": 0, "train_loss": 1.0, "train_acc": 0.5, "val_loss": 2.0, "val_acc": 0.25}
    assert {**second, "time": 0} == {"time": 0, "val_acc": 0.75}
    assert first["time"] <= second["time"]


def test_positions_and_further_names(project):
    train_log(0.1, 0.2, val_loss=0.3, lr=0.4)
    (point,) = _curve(project / "data" / "output" / "logs" / "train_log.jsonl")
    assert {**point, "time": 0} == {"time": 0, "train_loss": 0.1, "train_acc": 0.2, "val_loss": 0.3, "lr": 0.4}


def test_curves_go_where_the_run_says(project, tmp_path, monkeypatch):
    monkeypatch.setenv("FLYAI_LOCAL_CURVES", str(tmp_path / "new" / "curves.jsonl"))
    train_log(train_loss=3)
    assert _curve(tmp_path / "new" / "curves.jsonl")[0]["train_loss"] == 3
    assert list(project.iterdir()) == []


class Item:
    """Stands for a tensor: a number only through item()."""

    def __init__(self, value):
        self.value = value

    def item(self):
        if isinstance(self.value, Exception):
            raise self.value
        return self.value


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        (np.float32(0.5), 0.5),
        (np.array(0.5), 0.5),
        (np.array([[0.5]]), 0.5),
        (np.int64(3), 3.0),
        (Item(0.5), 0.5),
        (" 1e-3 ", 0.001),
        (True, 1.0),
        ("12%", None),
        (None, None),
        (np.array([1.0, 2.0]), None),
        (float("nan"), None),
        (np.float32("inf"), None),
        (10**400, None),
        ({}, None),
        (Item(RuntimeError("CUDA error")), None),
    ],
)
def test_number_like_values(project, value, expected):
    train_log(train_loss=value)
    assert _curve(project / "data" / "output" / "logs" / "train_log.jsonl")[0]["train_loss"] == expected


def test_zero_dimensional_tensor_with_gradient(project):
    torch = pytest.importorskip("torch")
    train_log(train_loss=torch.tensor(2.5, requires_grad=True))
    assert _curve(project / "data" / "output" / "logs" / "train_log.jsonl")[0]["train_loss"] == 2.5


anything = st.one_of(
    st.none(),
    st.booleans(),
    st.integers(),
    st.floats(),
    st.text(),
    st.binary(),
    st.complex_numbers(),
    st.lists(st.floats()),
    st.dictionaries(st.text(), st.integers()),
    st.builds(Item, st.one_of(st.floats(), st.builds(RuntimeError), st.text())),
    st.builds(np.array, st.lists(st.floats(allow_nan=False), max_size=3)),
)


@settings(max_examples=200, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(values=st.lists(anything, max_size=6), named=st.dictionaries(st.text(), anything, max_size=4))
def test_train_log_never_raises_and_writes_valid_json(project, values, named):
    path = project / "data" / "output" / "logs" / "train_log.jsonl"
    path.unlink(missing_ok=True)
    train_log(*values, **named)
    for line in path.read_text(encoding="utf-8").splitlines():
        point = json.loads(line, parse_constant=lambda constant: pytest.fail(f"{constant} is no JSON"))
        assert all(number is None or math.isfinite(number) for number in point.values())


def test_train_log_never_raises_where_it_cannot_write(project, monkeypatch):
    (project / "data").write_text("a file where a folder should be", encoding="utf-8")
    train_log(train_loss=1)
    monkeypatch.setenv("FLYAI_LOCAL_CURVES", str(project))
    train_log(train_loss=1)
    assert (project / "data").read_text(encoding="utf-8") == "a file where a folder should be"


# train_helper and flyai_sdk


def test_train_helper_says_what_it_does_not_do(project, capsys, monkeypatch):
    monkeypatch.chdir(project)
    train_helper.upload_data("./data/MNIST.zip", dir_name="/data", overwrite=True)
    train_helper.sava_train_model(model_file="./model/best.pkl", dir_name="/model", overwrite=False)
    train_helper.submit("train_mnist", cmd="python train.py")
    assert capsys.readouterr().out.count("train_helper.") == 3
    with pytest.raises(FileNotFoundError, match=r"MNIST\.zip"):
        train_helper.download("MNIST.zip", decompression=True)
    (project / "MNIST.zip").write_bytes(b"1")
    assert train_helper.download("MNIST.zip") == "MNIST.zip"


def test_single_module_is_the_same_stand_in(project, weights):
    import flyai_sdk

    assert flyai_sdk.FlyAI is FlyAI and flyai_sdk.DataHelper is DataHelper
    assert isinstance(flyai_sdk.DATA_PATH + "/x", str) and isinstance(flyai_sdk.MODEL_PATH + "/x", str)
    (weights / "net.pth").write_bytes(b"1")
    assert Path(flyai_sdk.download_model("https://www.flyai.com/m/net.pth")).read_bytes() == b"1"
