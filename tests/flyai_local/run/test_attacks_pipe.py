"""Attacks on the evaluator's pipe and by what `predict` gives: none is a fault of the platform, and none is right."""

from __future__ import annotations

import textwrap

import pytest
from conftest import ROOT
from lab import ask, box, prediction

from flyai_local.contest.register import add
from flyai_local.run.diagnose import RunError
from flyai_local.run.job import Job
from flyai_local.run.progress import Progress
from flyai_local.run.runner import execute
from flyai_local.run.score import score
from flyai_local.states import Code, State

# What goes over the pipe instead of the answer; `nonce` is the right one.
LINES = {
    "brackets": "b'[' * 60000",
    "brackets in an answer": "head + b'[' * 30000 + b']' * 30000 + b'}'",
    "objects in an answer": "head + b'{\"a\":' * 9000 + b'1' + b'}' * 9001",
    "a number of 60,000 digits": "head + VALUE + b'\"size\": ' + b'9' * 60000 + b'}}}'",
    "digits as text": "head + VALUE + b'\"int\": \"' + b'9' * 60000 + b'\"}}}'",
    "no number": 'head + VALUE + b\'"float": "0x"}}}\'',
    "nothing a number": 'head + b\'{"shape": NaN, "value": Infinity}}\'',
    "another nonce behind the right one": 'head + b\'1, "nonce": "0"}\'',
    "no text": "b'\\xff\\xfe\\x00'",
    "a list": "b'[1]'",
    "no end": "b' ' * 2**24",
}
RAW = """
import __main__, json
from flyai.framework import FlyAI
tell = __main__.Dialogue.tell
VALUE = b'{{"shape": "label", "value": {{"type": "int", '

def raw(self, **message):
    if message["event"] != "answer":
        return tell(self, **message)
    head = json.dumps({{"event": "answer", "nonce": message["nonce"]}}).encode()[:-1] + b', "answer": '
    self._answers.write({line} + b"\\n")
    self._answers.flush()

__main__.Dialogue.tell = raw

class Prediction(FlyAI):
    def predict(self, image_path):
        return {{"label": 0}}
"""


@pytest.mark.parametrize("line", list(LINES.values()), ids=list(LINES))
def test_no_line_of_the_pipe_is_more_than_a_violation(tmp_path, line):
    chamber = box(tmp_path, {"prediction.py": RAW.format(line=line)}, isolated=False)
    try:
        answers = ask(chamber).answers
    except RunError as error:
        assert error.code is Code.EVALUATION_VIOLATED and len(error.detail) < 9000
    else:
        assert score("Tiny", ["a", "b", "c"], [0, 0, 0], answers).total == 0.0


# Classes that say of themselves what is not so; the label that would be right is 0.
LIARS = {
    "says that it is an int": "__class__ = property(lambda self: int)",
    "is an int and turns into another": "__int__ = lambda self: 10**5000\n    __index__ = __int__",
    "hangs itself up in its text": "__repr__ = lambda self: '\\ud800' * 10**6",
    "reduces to a call": "__reduce__ = lambda self: (print, ('REDUCED',))",
    "has an item without end": "item = lambda self: self\n    size = 1",
    "has a size that is none": "item = lambda self: 0\n    size = -1",
    "raises where it is asked": "__getattr__ = lambda self, name: 1 / 0",
    "ends the process in its text": "__repr__ = lambda self: (_ for _ in ()).throw(SystemExit(0))",
}


@pytest.mark.parametrize("body", list(LIARS.values()), ids=list(LIARS))
def test_a_class_that_lies_is_no_right_answer(tmp_path, body):
    text = f"class Liar:\n    {body}\n" + prediction(predict='return {"label": Liar()}')
    try:
        answers = ask(box(tmp_path, {"prediction.py": text}, isolated=False)).answers
    except RunError as error:
        assert error.code in (Code.PREDICT_FAILED, Code.LABEL_NOT_COMPARABLE, Code.EVALUATION_EXIT)
    else:
        assert score("Tiny", ["a", "b", "c"], [0, 0, 0], answers).total == 0.0


# Half of a pair of UTF-16 is no text, and no database takes it: wherever a submission may put one.
HALVES = {
    "in an exception": "raise ValueError('\\ud800')",
    "in an answer": "return {'label': '\\ud800'}",
    "in a key": "return {'\\ud800': 1}",
    "in a class": "raise type('\\ud800', (Exception,), {})()",
    "in what is printed": "import os; os.write(2, b'\\xed\\xa0\\x80\\n'); raise ValueError",
}


@pytest.mark.parametrize("body", list(HALVES.values()), ids=list(HALVES))
def test_half_a_character_is_the_submissions_failure_or_a_wrong_answer(competition, tmp_path, body):
    tiny = add("Tiny", competition / "train.csv", competition, hidden=1 / 3)
    (tmp_path / "mine").mkdir()
    (tmp_path / "mine" / "main.py").write_text("", encoding="utf-8")
    text = textwrap.dedent(prediction(predict=body))
    (tmp_path / "mine" / "prediction.py").write_text(text, encoding="utf-8")
    result = execute(Job(tmp_path / "mine", tiny, "train", isolated=False), Progress(quiet=True))
    assert result.state in (State.FAILED, State.SCORED), result.detail
    assert result.score is None or result.score.total == 0.0
    assert str(ROOT) not in result.detail
