"""The 1.x SDK stand-in: Dataset, the sources, app.yaml, Base classes."""

import importlib
import sys
from pathlib import Path

import numpy as np
import pandas
import pytest
from fake_project import SDK, run_python, write_pictures, write_table
from hypothesis import given
from hypothesis import strategies as st

sys.path.append(str(SDK))

from flyai.core import Lib
from flyai.dataset import Dataset
from flyai.model.base import Base as ModelBase
from flyai.processor.base import Base as ProcessorBase
from flyai.processor.download import check_download
from flyai.source.base import _Rounds
from flyai.source.csv_source import Csv
from flyai.source.source import Source
from flyai.utils import read_data
from flyai.utils.yaml_helper import Yaml

CARD = """---
# 项目的名字
name: 手部图像
data:
  id: HandInfo
  category: image
model:
  processor: Processor
  input_x: input_x
  input_y: input_y
  output_y: output_y
  input:
    columns:
      - name: image_path
        type: url
    to_shape: [-1,120,120]
  output:
    columns:
      - name: label
        type: int
servers:
  - id: flyai
    url: https://www.flyai.com
...
"""
PROCESSOR = """
import numpy
from flyai.processor.base import Base


class Processor(Base):
    def __init__(self):
        super(Processor, self).__init__()
        self.calls = []

    def input_x(self, image_path):
        self.calls.append(image_path)
        return numpy.full((2, 3), int(image_path.split("_")[0]))

    def input_y(self, label):
        return label

    def output_y(self, data):
        return numpy.argmax(data, axis=1)
"""


@pytest.fixture
def project(tmp_path, monkeypatch):
    """A 1.x project as sys.path[0] and working directory, in a run (so that nothing is fetched)."""
    monkeypatch.setattr(sys, "path", [str(tmp_path), *sys.path])
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("FLYAI_LOCAL_RUN", "1")
    (tmp_path / "app.yaml").write_text(CARD, encoding="utf-8")
    (tmp_path / "processor.py").write_text(PROCESSOR, encoding="utf-8")
    importlib.invalidate_caches()
    yield tmp_path
    for name in ("processor", "transformation", "own_processor"):
        sys.modules.pop(name, None)


@pytest.fixture
def dev(project):
    """dev.csv of 10 rows, as the platform gave them for local work."""
    write_table(project / "data" / "input" / "dev.csv", [(f"{row}_a.jpg", row % 3) for row in range(10)])
    return project


@pytest.fixture
def online(project):
    """train.csv of 80 rows and test.csv of 20, as in a run on the platform."""
    write_table(project / "data" / "input" / "train.csv", [(f"{row}_a.jpg", row % 3) for row in range(80)])
    write_table(project / "data" / "input" / "test.csv", [(f"{row}_b.jpg", row % 3) for row in range(80, 100)])
    return project


def test_the_page_on_the_sdk_names_every_method():
    page = (SDK.parent.parent / "docs" / "sdk.md").read_text(encoding="utf-8")
    said_elsewhere = {"lib", "processor_x", "processor_y", "create_instance", "evaluate_source"}
    methods = {name for each in (Dataset, ModelBase, Yaml) for name in vars(each) if not name.startswith("_")}
    assert sorted(name for name in methods - said_elsewhere if name not in page) == []


# Where the rows come from


def test_dev_csv_is_training_and_validation(dev):
    dataset = Dataset()
    assert (dataset.get_train_length(), dataset.get_validation_length()) == (10, 10)


def test_train_and_test_csv_come_before_dev_csv(online):
    write_table(online / "data" / "input" / "dev.csv", [("0_a.jpg", 0)])
    dataset = Dataset()
    assert (dataset.get_train_length(), dataset.get_validation_length()) == (80, 20)


def test_a_train_csv_alone_serves_as_both(online):
    (online / "data" / "input" / "test.csv").unlink()
    assert Dataset().get_validation_length() == 80


def test_model_of_a_dataset_is_made_before_any_data_is_there(project):
    dataset = Dataset(epochs=2, batch=4)
    assert dataset.predict_data(image_path="7_a.jpg").shape == (1, 2, 3)
    assert dataset.to_categorys(np.array([[0.1, 0.9]])) == [1]
    with pytest.raises(FileNotFoundError, match=r"train\.csv and test\.csv, or dev\.csv"):
        dataset.get_step()


def test_tables_are_pandas_and_may_be_replaced(dev):
    dataset = Dataset(batch=5)
    assert isinstance(dataset.db.source.data, pandas.DataFrame)
    assert dataset.db.source.test.equals(dataset.db.source.val)
    dataset.db.source.data = dataset.db.source.data[dataset.db.source.data["label"] == 1]
    assert dataset.get_train_length() == 3
    assert set(dataset.next_train_batch()[1]) == {1}


def test_a_table_given_directly_answers_as_a_source(dev):
    csv = Csv({"train_url": "dev.csv", "test_url": str(dev / "data" / "input" / "dev.csv")})
    dataset = Dataset(source=csv, epochs=1)
    assert dataset.db.source.data is csv.data is csv.c.data
    assert len(dataset.get_all_data()[0]) == len(csv.get_all_data()[2]) == 10
    assert dataset.lib is dataset and Lib is Dataset


def test_source_makes_tables_by_name_and_may_be_subclassed_without_super(dev):
    class Own(Source):
        def __init__(self):
            self.csv = self.create_instance(
                "flyai.source.csv_source", "Csv", {"train_url": "dev.csv", "test_url": "dev.csv"}, ""
            )

    assert len(Own().csv.data) == 10
    assert Own().get_train_length() == 10
    assert Source(custom_source=Own().csv).get_validation_length() == 10
    with pytest.raises(AttributeError, match="no_such_thing"):
        _ = Source().no_such_thing


def test_a_column_that_the_table_lacks_is_named(project):
    write_table(project / "data" / "input" / "dev.csv", [("a.jpg", 1)], header=("image_path", "labels"))
    with pytest.raises(KeyError, match=r"'label'.*image_path, labels"):
        Dataset().get_all_data()


@pytest.mark.skipif(sys.platform == "win32", reason="a backslash separates folders on Windows")
def test_backslash_paths_are_turned_where_only_that_finds_the_picture(project):
    folder = project / "data" / "input"
    rows = write_pictures(folder / "jpg", 2)
    (folder / "odd\\name.png").write_bytes(b"1")
    names = [*(f"jpg\\{name}" for name, _ in rows), "odd\\name.png", "gone\\away.png"]
    write_table(folder / "dev.csv", [(name, 0) for name in names])
    found = [row["image_path"] for row in Dataset().get_all_data()[0]]
    assert found == [*(f"jpg/{name}" for name, _ in rows), "odd\\name.png", "gone\\away.png"]


# Rows through the processor


def test_raw_rows_are_dicts_of_plain_values_in_the_order_of_the_table(online):
    x_train, y_train, x_val, y_val = Dataset().get_all_data()
    assert x_train[:2] == [{"image_path": "0_a.jpg"}, {"image_path": "1_a.jpg"}]
    assert y_val[-1] == {"label": 0} and type(y_val[-1]["label"]) is int
    assert [len(part) for part in (x_train, y_train, x_val, y_val)] == [80, 80, 20, 20]


def test_batches_are_stacked_and_x_belongs_to_y(online):
    dataset = Dataset(epochs=1, batch=32, val_batch=7)
    for _ in range(5):
        x, y = dataset.next_train_batch()
        assert (x.shape, y.shape) == ((32, 2, 3), (32,))
        assert (x[:, 0, 0] % 3 == y).all() and x.max() < 80
    x, y = dataset.next_validation_batch()
    assert (x.shape, y.shape) == ((7, 2, 3), (7,)) and x.min() >= 80


def test_one_call_of_the_processor_per_row(online):
    dataset = Dataset(batch=8)
    dataset.next_train_batch()
    assert len(dataset.processor.calls) == 8


def test_every_row_comes_once_per_round(online):
    dataset = Dataset(batch=20)
    seen = np.concatenate([dataset.next_train_batch()[0][:, 0, 0] for _ in range(4)])
    assert sorted(seen) == list(range(80)) and list(seen) != list(range(80))


def test_validation_walks_through_its_table_in_order_without_end(online):
    dataset = Dataset(val_batch=12)
    seen = np.concatenate([dataset.next_validation_batch()[0][:, 0, 0] for _ in range(5)])
    assert list(seen) == list(range(80, 100)) * 3


@given(length=st.integers(0, 40), sizes=st.lists(st.integers(0, 60), max_size=12), shuffled=st.booleans())
def test_rounds_use_rows_evenly(length, sizes, shuffled):
    rounds = _Rounds(length, shuffled)
    taken = [row for size in sizes for row in rounds.take(min(size, length))]
    counts = [taken.count(row) for row in range(length)]
    assert len(taken) == sum(min(size, length) for size in sizes)
    assert not counts or max(counts) - min(counts) <= 1


def test_a_batch_larger_than_the_table_is_the_table(dev):
    assert sorted(Dataset(batch=64).next_train_batch()[0][:, 0, 0]) == list(range(10))


@pytest.mark.parametrize(
    ("epochs", "batch", "expected"),
    [(1, 32, 2), (3, 32, 6), (1, 80, 1), (2, 53, 4), (5, 161, 0), (1, 1, 80), (60, 300, 0), (1, 64, 1)],
)
def test_get_step_rounds_batches_per_epoch_first(online, epochs, batch, expected, capsys):
    assert Dataset(epochs=epochs, batch=batch).get_step() == round(80 / batch) * epochs == expected
    assert ("too large for 80 training rows" in capsys.readouterr().out) is (expected == 0)  # nothing will be trained


def test_next_batch_with_and_without_the_validation_part(online):
    dataset = Dataset()
    assert [len(part) for part in dataset.next_batch(4, 6)] == [4, 4, 6, 6]
    x_train, y_train, x_val, y_val = dataset.next_batch(size=4, test_size=6, test_data=False)
    assert (len(x_train), len(y_train), x_val, y_val) == (4, 4, None, None)
    assert [len(part) for part in dataset.next_batch(size=0, test_size=2)] == [0, 0, 2, 2]
    assert [len(part) for part in dataset.next_batch()] == [32, 32, 20, 20]


def test_everything_processed_at_once(online):
    dataset = Dataset()
    assert [part.shape for part in dataset.get_all_processor_data()] == [(80, 2, 3), (80,), (20, 2, 3), (20,)]
    assert [part.shape for part in dataset.get_all_validation_data()] == [(20, 2, 3), (20,)]


def test_evaluate_data(online):
    write_table(online / "data" / "input" / "validation.csv", [("5_a.jpg", 2)])
    dataset = Dataset()
    assert len(dataset.evaluate_data_no_processor()[0]) == 20
    assert dataset.evaluate_data_no_processor("validation.csv") == ([{"image_path": "5_a.jpg"}], [{"label": 2}])
    x, y = dataset.evaluate_data("validation.csv")
    assert (x[0, 0, 0], y[0]) == (5, 2)
    with pytest.raises(FileNotFoundError, match="hidden"):
        dataset.evaluate_data("hidden.csv")


def test_several_columns_and_tuple_results(project):
    card = CARD.replace("      - name: label\n", "      - name: label\n      - name: age\n")
    card = card.replace("      - name: image_path\n", "      - name: image_path\n      - name: sex\n")
    (project / "app.yaml").write_text(card, encoding="utf-8")
    (project / "processor.py").write_text(
        "class Processor:\n"
        "    def input_x(self, image_path, sex):\n        return [1.0, 2.0, 3.0], sex == 'f'\n"
        "    def input_y(self, label, age):\n        return label, [age, age + 1]\n",
        encoding="utf-8",
    )
    rows = [("a.jpg", "f", 1, 30), ("b.jpg", "m", 2, 40)]
    header = ("image_path", "sex", "label", "age")
    write_table(project / "data" / "input" / "dev.csv", rows, header)
    dataset = Dataset()
    x, y, _, _ = dataset.get_all_processor_data()
    assert [part.tolist() for part in x] == [[[1, 2, 3], [1, 2, 3]], [True, False]]
    assert [part.tolist() for part in y] == [[1, 2], [[30, 31], [40, 41]]]
    single = dataset.predict_data(image_path="a.jpg", sex="f")
    assert [part.shape for part in single] == [(1, 3), (1,)]


def test_results_of_different_shapes_become_objects(dev):
    (dev / "processor.py").write_text(
        "class Processor:\n    def input_x(self, image_path):\n        return list(range(int(image_path[0])))\n"
        "    def input_y(self, label):\n        return label\n",
        encoding="utf-8",
    )
    x, _, _, _ = Dataset().get_all_processor_data()
    assert x.shape == (10,) and x.dtype == object and x[3].tolist() == [0, 1, 2]


# The submission's own classes


def test_predict_data_goes_through_output_x_where_there_is_one(project):
    text = PROCESSOR + "\n    def output_x(self, image_path):\n        return numpy.zeros(5)\n"
    (project / "processor.py").write_text(text, encoding="utf-8")
    assert Dataset().predict_data(image_path="7_a.jpg").shape == (1, 5)


def test_names_of_app_yaml_are_used(project):
    card = CARD.replace("processor: Processor", "processor: Own").replace("input_x: input_x", "input_x: read")
    card = card.replace("output_y: output_y", "output_y: name\n  output_x: look")
    (project / "app.yaml").write_text(card, encoding="utf-8")
    (project / "own_processor.py").write_text(
        "class Own:\n    def read(self, image_path):\n        return 1\n    def look(self, image_path):\n"
        "        return 2\n    def name(self, data):\n        return 'name'\n",
        encoding="utf-8",
    )
    dataset = Dataset(processor_pka="own_processor")
    assert dataset.processor_x([{"image_path": ""}]).tolist() == [1]
    assert dataset.predict_data(image_path="").tolist() == [2]
    assert dataset.to_categorys([0]) == "name"


def test_config_path_is_a_package_of_its_own(project):
    folder = project / "nested"
    folder.mkdir()
    (folder / "__init__.py").touch()
    (folder / "app.yaml").write_text(CARD.replace("Processor", "Inner"), encoding="utf-8")
    (folder / "processor.py").write_text("class Inner:\n    pass\n", encoding="utf-8")
    assert type(Dataset(config_path="nested").processor).__name__ == "Inner"


TRANSFORMATION = """
class Transformation:
    def transformation_data(self, x_train=None, y_train=None, x_test=None, y_test=None):
        seen = [part is not None for part in (x_train, y_train, x_test, y_test)]
        double = [None if part is None else part * 2 for part in (x_train, y_train, x_test, y_test)]
        self.calls = getattr(self, "calls", []) + [seen]
        return tuple(double)
"""


def test_transformation_of_the_project(online):
    (online / "transformation.py").write_text(TRANSFORMATION, encoding="utf-8")
    dataset = Dataset()
    x_train, _, x_val, _ = dataset.next_batch(4, 4)
    assert set(x_val[:, 0, 0] % 2) == set(x_train[:, 0, 0] % 2) == {0}
    assert dataset.next_batch(4, 4)[2].max() < 100, "the second validation batch is not transformed again"
    assert dataset.predict_data(image_path="7_a.jpg")[0, 0, 0] == 14
    assert dataset.evaluate_data()[0].max() == 198
    dataset.get_all_processor_data()
    assert dataset.transformation.calls == [
        [True, True, True, True],
        [True, True, False, False],
        [True, False, False, False],
        [False, False, True, True],
        [True, True, True, True],
    ]


def test_transformation_given(online):
    class Given:
        def transformation_data(self, x_train=None, y_train=None, x_test=None, y_test=None):
            return "x", None, None, None

    assert Dataset(transformation=Given()).predict_data(image_path="7_a.jpg") == "x"


@pytest.mark.parametrize("text", ["1 / 0\n", "import no_such_module\n", "class Other:\n    pass\n", "syntax error\n"])
def test_a_transformation_that_does_not_load_is_said_and_left_out(dev, capsys, text):
    (dev / "transformation.py").write_text(text, encoding="utf-8")
    assert Dataset().transformation is None
    assert "transformation.py is left out" in capsys.readouterr().out


def test_no_transformation_is_nothing_to_say(dev, capsys):
    assert Dataset().transformation is None
    assert capsys.readouterr().out == ""


def test_an_error_of_the_processor_is_the_submissions_own(dev):
    (dev / "processor.py").write_text(
        "class Processor:\n    def input_x(self, wrong):\n        pass\n", encoding="utf-8"
    )
    with pytest.raises(TypeError, match="image_path"):
        Dataset().next_train_batch()


def test_processor_base_defines_nothing_that_hides_a_missing_method():
    assert [name for name in vars(ProcessorBase) if not name.startswith("__")] == []


# model.base


def test_check_makes_the_folder_and_keeps_what_is_there(tmp_path):
    ModelBase().check(str(tmp_path / "a" / "model"))
    (tmp_path / "a" / "model" / "old.pkl").write_text("1", encoding="utf-8")
    ModelBase().check(str(tmp_path / "a" / "model"), overwrite=False)
    assert (tmp_path / "a" / "model" / "old.pkl").exists()


def test_check_with_overwrite_empties_the_folder(tmp_path):
    folder = tmp_path / "model"
    (folder / "deep").mkdir(parents=True)
    (folder / "deep" / "old.pkl").write_text("1", encoding="utf-8")
    outside = tmp_path / "outside.txt"
    outside.write_text("mine", encoding="utf-8")
    if sys.platform != "win32":
        (folder / "link").symlink_to(tmp_path, target_is_directory=True)
    ModelBase().save_model(None, str(folder), "new.pkl", overwrite=True)
    assert list(folder.iterdir()) == [] and outside.read_text(encoding="utf-8") == "mine"


@pytest.mark.parametrize("path", [".", "..", "/"])
def test_check_never_empties_the_project(project, path):
    before = sorted(project.rglob("*"))
    with pytest.raises(ValueError, match="holds the project"):
        ModelBase().check(path, overwrite=True)
    assert sorted(project.rglob("*")) == before


def test_predict_methods_are_there_to_be_overridden():
    assert ModelBase().predict(image_path="a") is None and ModelBase().predict_all([{}]) is None


# Readers


def test_app_yaml_with_its_markers(project):
    card = Yaml()
    assert (card.get_data_id(), card.get_input_names(), card.get_output_names()) == (
        "HandInfo",
        ["image_path"],
        ["label"],
    )
    assert card.get_servers()[0]["url"] == "https://www.flyai.com"
    assert card.processor()["processor"] == "Processor"


@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "gb18030"])
@pytest.mark.parametrize("newline", ["\n", "\r\n"])
def test_app_yaml_in_the_encodings_of_its_time(project, encoding, newline):
    (project / "app.yaml").write_bytes(CARD.replace("\n", newline).encode(encoding))
    assert Yaml().card["name"] == "手部图像"


@pytest.mark.parametrize("text", ["", "---\n...\n", "- a\n- b\n", "model: 3\ndata: []\n", "model:\n  processor:\n"])
def test_a_poor_app_yaml_gives_the_usual_names(project, text):
    (project / "app.yaml").write_text(text, encoding="utf-8")
    card = Yaml()
    assert (card.get_data_id(), card.get_input_names(), card.get_servers()) == (None, [], [])
    assert card.processor()["processor"] == "Processor" and card.processor()["input_x"] == "input_x"


def test_app_yaml_of_the_working_directory_comes_before_the_projects(project, tmp_path, monkeypatch):
    inner = tmp_path / "inner"
    inner.mkdir()
    monkeypatch.chdir(inner)
    assert Yaml().get_data_id() == "HandInfo"
    (inner / "app.yaml").write_text("data: {id: Inner}", encoding="utf-8")
    assert Yaml().get_data_id() == "Inner"
    assert Yaml(path=str(project / "app.yaml")).get_data_id() == "HandInfo"


def test_no_app_yaml_is_an_error_in_words(project):
    (project / "app.yaml").unlink()
    with pytest.raises(FileNotFoundError, match=r"app\.yaml is in neither"):
        Dataset()


@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "gb18030"])
def test_tables_in_the_encodings_of_their_time(tmp_path, encoding):
    (tmp_path / "a.csv").write_bytes("image_path,label\n图/1.jpg,牛肝菌\n".encode(encoding))
    table = read_data.read(tmp_path / "a.csv")
    assert list(table.columns) == ["image_path", "label"] and table["label"][0] == "牛肝菌"


def test_check_download_joins(project, capsys):
    inside = Path("data", "input", "image", "1.jpg")
    assert Path(check_download("./image/1.jpg", "data/input")) == inside
    assert Path(check_download("image/1.jpg")) == project / inside
    assert Path(check_download("image/1.jpg", project)) == project / "image" / "1.jpg"
    assert Path(check_download(str(project / "a.csv"), "data/input")) == project / "a.csv"
    assert Path(check_download("https://dataset.flyai.com/x/dev.zip?a=b", "d")) == Path("d", "dev.zip")
    assert capsys.readouterr().out == ""
    check_download("gone.jpg", project, is_print=True)
    assert "gone.jpg is not there" in capsys.readouterr().out


# In a process of its own


def test_training_and_evaluation_as_scripts(dev):
    (dev / "model.py").write_text(
        "from flyai.model.base import Base\nfrom flyai.dataset import Dataset\n"
        "class Model(Base):\n    def __init__(self, data):\n        self.data = data\n"
        "    def predict(self, **data):\n        return int(self.data.predict_data(**data)[0, 0, 0]) % 3\n"
        "    def predict_all(self, datas):\n        return [{'label': self.predict(**data)} for data in datas]\n",
        encoding="utf-8",
    )
    (dev / "main.py").write_text(
        "from flyai.dataset import Dataset\nfrom model import Model\n"
        "data = Dataset(epochs=2, batch=5)\n"
        "x, y = data.evaluate_data_no_processor('dev.csv')\n"
        "print([a['label'] for a in Model(data).predict_all(x)] == [row['label'] for row in y], data.get_step())\n",
        encoding="utf-8",
    )
    finished = run_python(dev, "main.py")
    assert finished.stdout == "True 4\n", finished.stderr
