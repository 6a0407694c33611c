"""The evaluator inside, the dialogue outside and the score: what a prediction.py may do, and what is said about it."""

from __future__ import annotations

import json
import types
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from lab import SMALL, ask, box, prediction

from flyai_local.box.limits import Outcome
from flyai_local.evaluator import described_answer, flyai_classes, tagged
from flyai_local.run import diagnose
from flyai_local.run.answers import Answer, Other, equal, equal_as_text, parse
from flyai_local.run.diagnose import RunError
from flyai_local.run.score import PUBLIC_PERCENT, VIOLATION, final_line, is_public, score
from flyai_local.states import Code

PLAIN = st.one_of(st.integers(-(10**40), 10**40), st.floats(), st.text(max_size=50), st.booleans())
LABELS = st.one_of(
    st.lists(st.integers(0, 8), min_size=1), st.lists(st.sampled_from(["agaricus", "0", "1,2"]), min_size=1)
)


def sent(value):
    """The answer {"label": value} after the way through the pipe."""
    return parse(json.loads(json.dumps(described_answer({"label": value}))))


def answer(value):
    return Answer("label", type(value).__name__, value)


# Values survive the pipe


@given(PLAIN)
def test_plain_values_come_out_as_they_went_in(value):
    found = sent(value).value
    assert type(found) is type(value)
    assert found == value or (value != value and found != found)


@given(PLAIN, PLAIN)
def test_equality_outside_is_equality_inside(value, label):
    assert equal(sent(value).value, label) == (value == label)


@pytest.mark.parametrize("dtype", [np.int8, np.uint8, np.int64, np.float32, np.float64, np.bool_])
@pytest.mark.parametrize(
    "wrap", [lambda value: value, lambda value: np.array(value), lambda value: np.array([[value]])]
)
def test_numpy_scalars_and_arrays_of_one_element_equal_their_value(dtype, wrap):
    assert equal(sent(wrap(dtype(1))).value, 1)
    assert not equal(sent(wrap(dtype(1))).value, 0)
    assert not equal(sent(wrap(dtype(1))).value, "1")


def test_a_tensor_of_one_element_equals_its_value():
    torch = pytest.importorskip("torch")
    assert equal(sent(torch.tensor([3])).value, 3) and equal(sent(torch.tensor(3.0)).value, 3)
    assert sent(torch.tensor([3, 4])).value.size == 2


@pytest.mark.parametrize("value", [None, [0], (0,), {0}, b"0", np.array([0, 1]), 0j, object, np.array([]), "x" * 20000])
def test_everything_else_equals_no_label(value):
    found = sent(value).value
    assert not any(equal(found, label) for label in (0, 0.0, "0", "", "None", "[0]"))


def test_an_object_that_cannot_be_described_does_no_harm():
    class Shy:
        def __repr__(self):
            raise RuntimeError("no")

    assert "RuntimeError" in sent(Shy()).value.shown


def test_the_shape_of_an_answer_is_kept():
    assert described_answer(3)["shape"] == "bare"
    assert described_answer({"lable": 3})["shape"] == "no-label"
    assert "lable" in described_answer({"lable": 3})["value"]["shown"]
    assert tagged(np.int64(3)) == {"type": "numpy.int64", "int": "3"}


# The class


def test_the_first_subclass_by_alphabet_is_taken():
    base = type("FlyAI", (), {})
    module = types.ModuleType("prediction")
    module.FlyAI = module.Base = base
    module.__Hidden = type("Hidden", (base,), {})
    module.Prediction, module.Main = type("Prediction", (base,), {}), type("Main", (base,), {})
    module.Other, module.value = type("Other", (), {}), 3
    import sys

    framework = types.ModuleType("flyai.framework")
    framework.FlyAI = base
    before = sys.modules.get("flyai.framework")
    sys.modules["flyai.framework"] = framework
    try:
        assert flyai_classes(module) == ["Main", "Prediction"]
    finally:
        if before is None:
            del sys.modules["flyai.framework"]
        else:
            sys.modules["flyai.framework"] = before


# Whole evaluations, each with the code that its fault must get


def test_a_good_prediction_is_asked_row_by_row(tmp_path):
    text = """
    import os, sys
    from flyai.framework import FlyAI
    import __main__

    class Prediction(FlyAI):
        def load_model(self):
            self.rows = []
        def predict(self, image_path):
            self.rows.append(image_path)
            first = [sys.argv[1], sys.path[0] == os.getcwd(), os.environ["TORCH_FORCE_NO_WEIGHTS_ONLY_LOAD"],
                     len(self.rows)]
            print('{"score": 100.0}')
            return {"label": " ".join(map(str, first)) + " " + self.rows[-1]}
    """
    found = ask(box(tmp_path, {"prediction.py": text}, isolated=False))
    shown = [f"Tiny True 1 {at + 1} ./data/input/image/image/{at}.png" for at in range(3)]
    assert [each.value for each in found.answers] == shown
    assert (found.chosen, found.candidates) == ("Prediction", ["Prediction"])


MAIN = "from flyai.framework import FlyAI\nclass Main(FlyAI):\n    pass\n"
ARGUMENTS = "import argparse\nargparse.ArgumentParser().parse_args()\n"
FAULTS = {
    "class of another name first": (prediction() + "class A(FlyAI): pass\n", {}, Code.WRONG_CLASS),
    "Main imported": ("from main import Main\n" + prediction(), {"main.py": MAIN}, Code.WRONG_CLASS),
    "Main needs arguments": (
        "from main import Main\n" + prediction(),
        {"main.py": MAIN.replace("pass", "def __init__(self, args): pass")},
        Code.WRONG_CLASS,
    ),
    "no FlyAI": (prediction().replace("(FlyAI)", ""), {}, Code.NO_CLASS),
    "argparse at import": ("import main\n" + prediction(), {"main.py": ARGUMENTS}, Code.ARGPARSE_AT_IMPORT),
    "package missing": ("import not_there_at_all\n" + prediction(), {}, Code.MISSING_PACKAGE),
    "syntax": ("def broken(:\n", {}, Code.SYNTAX_ERROR),
    "import raises": ("1 / 0\n" + prediction(), {}, Code.IMPORT_FAILED),
    "old library call": ("import numpy\nnumpy.not_any_more\n" + prediction(), {}, Code.OLD_LIBRARY_CALL),
    "no checkpoint": (prediction(load="open('model.pth', 'rb')"), {}, Code.NO_CHECKPOINT),
    "weights missing": (
        "from flyai.utils import remote_helper\n"
        + prediction(load="remote_helper.get_remote_date('https://www.flyai.com/m/b.pth')"),
        {},
        Code.MISSING_WEIGHTS,
    ),
    "load raises": (prediction(load="raise KeyError('fc.weight')"), {}, Code.LOAD_FAILED),
    "arguments": (prediction().replace("self, image_path", "self, path"), {}, Code.PREDICT_ARGUMENTS),
    "predict raises": (prediction(predict="raise ValueError('x')"), {}, Code.PREDICT_FAILED),
    "TypeError inside": (prediction(predict="return {'label': len(3)}"), {}, Code.PREDICT_FAILED),
    "bare return": (prediction(predict="return 0"), {}, Code.BARE_RETURN),
    "no return": (prediction(predict="pass"), {}, Code.BARE_RETURN),
    "other key": (prediction(predict="return {'labels': 0}"), {}, Code.NO_LABEL_KEY),
    "probabilities": (
        "import numpy\n" + prediction(predict="return {'label': numpy.zeros(9)}"),
        {},
        Code.LABEL_NOT_COMPARABLE,
    ),
    "sys.exit": (prediction(predict="import sys; sys.exit(0)"), {}, Code.EVALUATION_EXIT),
    "os._exit": (prediction(predict="import os; os._exit(0)"), {}, Code.EVALUATION_EXIT),
    "fault in a library": (prediction(predict="import os; os.abort()"), {}, Code.KILLED),
    "GPU only": (prediction(load="raise RuntimeError('No CUDA GPUs are available')"), {}, Code.NEEDS_GPU),
    "whole module": (
        prediction(load="import pickle; pickle.loads(b'c__main__\\nNet\\n.')"),
        {},
        Code.CLASS_NOT_FOUND_IN_PICKLE,
    ),
}


@pytest.mark.skipif("os.name == 'nt'", reason="signals")
@pytest.mark.parametrize("fault", FAULTS)
def test_every_fault_gets_its_code(tmp_path, fault):
    text, files, code = FAULTS[fault]
    with pytest.raises(RunError) as caught:
        ask(box(tmp_path, {"prediction.py": text, **files}, isolated=False))
    assert caught.value.code is code, caught.value.detail


def test_the_log_ends_with_the_submissions_own_traceback(tmp_path):
    with pytest.raises(RunError) as caught:
        ask(box(tmp_path, {"prediction.py": prediction(predict="raise ValueError('of mine')")}, isolated=False))
    log = (tmp_path / "evaluate.log").read_text(encoding="utf-8")
    assert log.rstrip().endswith("ValueError: of mine")
    assert "evaluator.py" not in log
    assert "ValueError: of mine" in caught.value.detail


def test_an_evaluation_that_hangs_is_ended(tmp_path):
    with pytest.raises(RunError) as caught:
        ask(
            box(tmp_path, {"prediction.py": prediction(predict="while True: pass")}, False),
            bounds=replace(SMALL, seconds=1.0),
        )
    assert caught.value.code is Code.TIME_LIMIT


def test_keywords_of_any_name_are_accepted(tmp_path):
    text = prediction(predict="return {'label': row['image_path']}").replace("self, image_path", "self, **row")
    assert ask(box(tmp_path, {"prediction.py": text}, isolated=False), rows=1).answers[0].value.endswith("0.png")


OLD = {
    "app.yaml": "---\nmodel:\n  processor: Processor\n  input_x: input_x\n  input_y: input_y\n  output_y: "
    "output_y\n...\n",
    "processor.py": """
    from flyai.processor.base import Base

    class Processor(Base):
        def input_x(self, image_path):
            return image_path
        def output_y(self, value):
            return value
    """,
    "model.py": """
    from flyai.model.base import Base

    class Model(Base):
        def __init__(self, dataset):
            self.dataset = dataset
        def predict_all(self, datas):
            return [ANSWER for at, data in enumerate(datas)]
    """,
}


def old(expression):
    return {**OLD, "model.py": OLD["model.py"].replace("ANSWER", expression)}


@pytest.mark.parametrize("expression", ["at", "{'label': at}"])
def test_1x_answers_are_labels_or_dicts(tmp_path, expression):
    pytest.importorskip("yaml")
    found = ask(box(tmp_path, old(expression), isolated=False), generation="1.x")
    assert [each.value for each in found.answers] == [0, 1, 2]


@pytest.mark.parametrize("answers", ["[0, 1]", "[0, 1, 2, 3]", "[]", "5", "None", "'012'"])
def test_1x_with_a_wrong_number_of_answers(tmp_path, answers):
    files = {**OLD, "model.py": OLD["model.py"].replace("[ANSWER for at, data in enumerate(datas)]", answers)}
    with pytest.raises(RunError) as caught:
        ask(box(tmp_path, files, isolated=False), generation="1.x")
    assert caught.value.code is Code.WRONG_COUNT


# The score


@given(LABELS)
def test_right_answers_score_a_hundred_and_wrong_ones_nothing(labels):
    keys = [str(at) for at in range(len(labels))]
    assert score("T", keys, labels, [answer(label) for label in labels]).total == 100.0
    found = score("T", keys, labels, [answer("none of them") for _ in labels])
    assert (found.total, found.correct) == (0.0, 0)


@given(st.lists(st.tuples(st.integers(0, 3), st.integers(0, 3)), min_size=1, max_size=300))
def test_the_score_is_the_rounded_share_of_equal_pairs(pairs):
    labels, guesses = [list(column) for column in zip(*pairs, strict=True)]
    keys = [f"{at}.png" for at in range(len(pairs))]
    found = score("T", keys, labels, [answer(guess) for guess in guesses])
    right = np.array(labels) == np.array(guesses)
    public = np.array([is_public("T", key) for key in keys])
    assert found.total == round(float(right.mean()) * 100, 2)
    assert found.public == (round(float(right[public].mean()) * 100, 2) if public.any() else None)
    assert found.private == (round(float(right[~public].mean()) * 100, 2) if (~public).any() else None)
    for label, percent in found.per_class.items():
        assert percent == round(float(right[np.array(labels) == int(label)].mean()) * 100, 2)
    assert set(found.public_per_class) == {str(label) for label in np.array(labels)[public]}
    for label, percent in found.public_per_class.items():
        assert percent == round(float(right[public & (np.array(labels) == int(label))].mean()) * 100, 2)


def test_the_split_is_fixed_and_near_its_share():
    keys = [f"{at}.jpg" for at in range(2000)]
    inside = [is_public("MushroomSketch", key) for key in keys]
    assert inside == [is_public("MushroomSketch", key) for key in keys]
    assert abs(sum(inside) / 20 - PUBLIC_PERCENT) < 4
    assert inside != [is_public("Digits", key) for key in keys]
    assert [is_public("MushroomSketch", key) for key in ("0.jpg", "1.jpg", "2.jpg", "3.jpg")] == inside[:4]


def test_texts_against_ints_are_diagnosed():
    labels = [0, 1, 2, 1]
    found = score("T", list("abcd"), labels, [answer(str(label)) for label in labels])
    assert (found.total, found.code) == (0.0, Code.LABEL_TYPE)
    assert "str" in found.detail and "int" in found.detail and "100.0" in found.detail
    assert score("T", list("abcd"), labels, [answer(float(label)) for label in labels]).code is None
    wrong = score("T", list("abcd"), labels, [answer("5") for _ in labels])
    assert wrong.code is None


def test_ints_against_texts_are_diagnosed():
    found = score("T", ["a", "b"], ["0", "1,3"], [answer(0), answer("1,3")])
    assert (found.total, found.code) == (50.0, Code.LABEL_TYPE)


def test_the_number_of_answers_must_be_right():
    with pytest.raises(ValueError, match="1 answers"):
        score("T", ["a", "b"], [0, 1], [answer(0)])
    with pytest.raises(ValueError):
        score("T", [], [], [])


def test_the_final_line_is_the_platforms():
    assert final_line(88.84) == '{"score": 88.84, "label": "The Score is Total ACC", "info": ""}'
    assert json.loads(final_line(None)) == VIOLATION == {"score": 0, "label": "评估违规", "info": ""}


@pytest.mark.parametrize(("value", "label"), [("0", 0), (" 3 ", 3), (3.0, "3"), (0, "0"), ("2.0", 2)])
def test_equal_as_text(value, label):
    assert equal_as_text(value, label)


@pytest.mark.parametrize(("value", "label"), [(True, "False"), (None, "None"), (Other("0"), 0), ("a", "b"), ("1", 0)])
def test_not_equal_as_text(value, label):
    assert not equal_as_text(value, label)


# Diagnosis of a training


@pytest.mark.parametrize(
    ("returncode", "tail", "code"),
    [
        (2, ["usage: main.py [-h] --epochs N", "main.py: error: unrecognized arguments: -e=1"], Code.MAIN_ARGUMENTS),
        (1, ["ModuleNotFoundError: No module named 'cv2'"], Code.MISSING_PACKAGE),
        (
            1,
            ["flyai.utils.remote_helper.MissingWeightsError: the pretrained file 'b6.pth' is in none"],
            Code.MISSING_WEIGHTS,
        ),
        (
            1,
            ["urllib.error.URLError: <urlopen error [Errno -3] Temporary failure in name resolution>"],
            Code.MISSING_WEIGHTS,
        ),
        (1, ["PIL.UnidentifiedImageError: cannot identify image file 'a.jpg'"], Code.BROKEN_IMAGE),
        (1, ["OSError: image file is truncated (3 bytes not processed)"], Code.BROKEN_IMAGE),
        (1, ["OSError: [Errno 27] File too large"], Code.DISK_LIMIT),
        (1, ["AttributeError: module 'albumentations' has no attribute 'IAAPerspective'"], Code.OLD_LIBRARY_CALL),
        (1, ["ZeroDivisionError: division by zero", "", "at the end"], Code.TRAINING_FAILED),
        (1, [], Code.TRAINING_FAILED),
        (139, [], Code.KILLED),
        (1, ["RuntimeError: DefaultCPUAllocator: can't allocate memory: you tried"], Code.OUT_OF_MEMORY),
    ],
)
def test_a_failed_training_gets_its_code(returncode, tail, code):
    error = diagnose.training(Outcome(returncode, None, 1.0, 1.0, 1.0), tail)
    assert error is not None and error.code is code
    assert all(line not in ("", "at the end") for line in [error.detail])


def test_a_training_that_ended_well_has_no_error():
    assert diagnose.training(Outcome(0, None, 1.0, 1.0, 1.0), ["Warning: x", "ValueError: caught and printed"]) is None


def test_a_limit_comes_before_everything_else():
    error = diagnose.training(Outcome(1, Code.DISK_LIMIT, 1.0, 1.0, 99.0), ["ModuleNotFoundError: No module named 'x'"])
    assert error is not None and error.code is Code.DISK_LIMIT and "99 MB written" in error.detail
