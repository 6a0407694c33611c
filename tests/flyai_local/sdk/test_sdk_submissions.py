"""The good sample submissions, trained and asked in two processes as the platform does, on pictures of plain
colours.
"""

import json
import shutil
from pathlib import Path

import pytest
from fake_project import place, run_python, write_pictures

GOOD = Path(__file__).parents[2] / "submissions" / "good"
SAMPLES = sorted(folder.name for folder in GOOD.iterdir() if folder.is_dir())

# The platform's order: class by class name, load once, one keyword call per row; 1.x asks for all rows at once.
EVALUATE = """
import json, os
rows = json.load(open("rows.json", encoding="utf-8"))
os.remove("rows.json")
if os.path.exists("app.yaml"):
    from flyai.dataset import Dataset
    from model import Model
    answers = Model(Dataset()).predict_all(rows)
else:
    import prediction
    from flyai.framework import FlyAI
    found = [getattr(prediction, name) for name in dir(prediction) if not name.startswith("__") and name != "FlyAI"]
    found = [each for each in found if isinstance(each, type) and issubclass(each, FlyAI)]
    assert [each.__name__ for each in found] == ["Prediction"], found
    predictor = found[0]()
    predictor.load_model()
    answers = [predictor.predict(**row) for row in rows]
print(json.dumps([answer["label"] if isinstance(answer["label"], str) else float(answer["label"])
                  for answer in answers]))
"""


def evaluate(project, pictures):
    """Return the answers of a trained project, from a process of its own, for pictures under ./data/input/image."""
    write_pictures(project / "data" / "input" / "image", pictures, seed=1)
    names = sorted(path.name for path in (project / "data" / "input" / "image").glob("*_1.png"))
    one_x = (project / "app.yaml").exists()
    form = "image/{}" if one_x else "./data/input/image/{}"
    (project / "rows.json").write_text(json.dumps([{"image_path": form.format(name)} for name in names]), "utf-8")
    (project / "evaluate_rows.py").write_text(EVALUATE, encoding="utf-8")
    finished = run_python(project, "evaluate_rows.py", "MushroomSketch")
    assert finished.returncode == 0, finished.stderr
    return [int(name[:3]) % 9 for name in names], json.loads(finished.stdout.splitlines()[-1])


def train(name, project, epochs, label=int):
    shutil.copytree(GOOD / name, project)
    place(project / "data" / "input" / ("" if (project / "app.yaml").exists() else "MushroomSketch"), 100, label)
    finished = run_python(project, "main.py", f"-e={epochs}", "-b=16")
    assert finished.returncode == 0, finished.stderr
    return finished


def test_there_are_ten():
    assert len(SAMPLES) == 10


@pytest.mark.parametrize("name", SAMPLES)
def test_trains_and_answers(name, tmp_path):
    train(name, tmp_path / "project", epochs=4)
    labels, answers = evaluate(tmp_path / "project", pictures=36)
    right = sum(answer == label for answer, label in zip(answers, labels, strict=True))
    assert right >= 18, f"{right} of 36; nine classes by chance give 4"
    if "train_log(" in (GOOD / name / "main.py").read_text(encoding="utf-8"):
        curve = (tmp_path / "project" / "data" / "output" / "logs" / "train_log.jsonl").read_text("utf-8").splitlines()
        assert len(curve) == 4 and 0 <= json.loads(curve[-1])["train_acc"] <= 1


def test_string_labels_stay_strings(tmp_path):
    train("string_labels", tmp_path / "project", epochs=1, label=lambda number: f"genus {number}")
    labels, answers = evaluate(tmp_path / "project", pictures=18)
    assert sum(answer == f"genus {label}" for answer, label in zip(answers, labels, strict=True)) >= 9


@pytest.mark.parametrize("name", SAMPLES)
def test_holds_nothing_that_is_not_source(name):
    kinds = {path.suffix for path in (GOOD / name).rglob("*") if path.is_file() and "__pycache__" not in path.parts}
    assert kinds <= {".py", ".json", ".yaml", ".txt"}
    for path in (GOOD / name).rglob("*.py"):
        compile(path.read_text(encoding="utf-8"), str(path), "exec")
