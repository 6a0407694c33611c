"""What `check` reports: findings with a stable code, a place, a cause and a remedy.

A failure that a run would meet has the run's own code (`states.Code`), whether it was read in the source or met in the
chain. What no run would name, because it fails elsewhere or not at all, has a code of its own here.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from enum import Enum

from flyai_local.run.causes import CAUSES, Sentence
from flyai_local.states import Code, is_platform_fault
from protocol.language import later, tr

__all__ = ["Finding", "Hint", "Severity", "ordered", "sentence", "table"]


class Severity(str, Enum):
    """`error`: no score, a wrong one, or not to be uploaded. `warning`: it may be so. `note`: it will not."""

    ERROR = later("error")
    WARNING = later("warning")
    NOTE = later("note")


class Hint(str, Enum):
    """Codes that only `check` gives; a value, once published, never changes."""

    ABSOLUTE_PATH = "absolute-path"
    SECRET = "secret"
    LINK_OUTSIDE = "link-outside"
    FILE_TOO_LARGE = "file-too-large"
    BAD_CARD = "bad-card"
    REQUIREMENT_LINE = "requirement-line"
    UNLISTED_PACKAGE = "unlisted-package"
    SHADOWED_MODULE = "shadowed-module"
    ARGUMENTS_IGNORED = "arguments-ignored"
    TRAINING_AT_IMPORT = "training-at-import"
    MISSING_METHOD = "missing-method"
    RELATIVE_PATH = "relative-path"
    OUTSIDE_PATH = "outside-path"
    TRAIN_TRANSFORM = "train-transform"
    ENDLESS_RETRY = "endless-retry"
    NO_EVAL = "no-eval"


HINTS: dict[Hint, Sentence] = {
    Hint.ABSOLUTE_PATH: Sentence(
        later("A path is written that exists on this machine only."),
        later("Join paths to the project root: Path(__file__).parent, or DATA_PATH and MODEL_PATH of path.py."),
    ),
    Hint.SECRET: Sentence(
        later("A key, token or password stands in a file that would be uploaded."),
        later("Remove it, and replace it where it is valid: an uploaded secret is a known one."),
    ),
    Hint.LINK_OUTSIDE: Sentence(
        later("A link leads out of the project, or to nothing; an archive cannot carry it."),
        later("Copy the file into the project."),
    ),
    Hint.FILE_TOO_LARGE: Sentence(
        later("One file is larger than the limit for a single file."), later("Leave it out, or shrink it.")
    ),
    Hint.BAD_CARD: Sentence(
        later("app.json or app.yaml cannot be read."),
        later("Correct the line that is named; without the file the columns are image_path and label."),
    ),
    Hint.REQUIREMENT_LINE: Sentence(
        later("A line of requirements.txt names nothing that can be installed; the platform passes over it."),
        later("Write the name of the package, one a line, with an optional version: opencv-python-headless, not cv2."),
    ),
    Hint.UNLISTED_PACKAGE: Sentence(
        later("Packages are imported that requirements.txt does not name; the platform had them all the same."),
        later(
            "Name them, with their versions, to get the same ones everywhere; --fresh-env installs only what is named."
        ),
    ),
    Hint.SHADOWED_MODULE: Sentence(
        later("A file of the submission has the name of a module of Python or of the SDK, and hides it."),
        later("Rename the file."),
    ),
    Hint.ARGUMENTS_IGNORED: Sentence(
        later("main.py takes no notice of -e or -b: the epochs and batch size chosen on the platform change nothing."),
        later("Declare `-e/--EPOCHS` and `-b/--BATCH` with argparse, and train with args.EPOCHS and args.BATCH."),
    ),
    Hint.TRAINING_AT_IMPORT: Sentence(
        later("A module that prediction.py imports starts the training when it is imported."),
        later("Move the calls below `if __name__ == '__main__':`."),
    ),
    Hint.MISSING_METHOD: Sentence(
        later(
            "The class that the platform takes lacks predict or load_model; the base class does nothing in its place."
        ),
        later("Define load_model(self) and predict(self, image_path) in class Prediction."),
    ),
    Hint.RELATIVE_PATH: Sentence(
        later("A file is named relative to the working directory: this works only when started from the project root."),
        later("Join it to the folder of the source file: Path(__file__).parent, or MODEL_PATH of path.py."),
    ),
    Hint.OUTSIDE_PATH: Sentence(
        later("A path leaves the project by `..`; on the platform nothing of yours lies there."),
        later("Keep every file inside the project, and name it from the project root."),
    ),
    Hint.TRAIN_TRANSFORM: Sentence(
        later("Predictions go through random training transforms, so the same picture gets different answers."),
        later("Use the transforms of the validation in prediction.py: resize, to tensor, normalise."),
    ),
    Hint.ENDLESS_RETRY: Sentence(
        later("A picture that cannot be read is tried again for ever: one truncated file stops the training."),
        later("Leave the picture out, or take another row, and count how often that happened."),
    ),
    Hint.NO_EVAL: Sentence(
        later("A torch model is loaded for prediction and never set to eval(): dropout and batch statistics stay on."),
        later("Call self.model.eval() at the end of load_model, and predict under torch.no_grad()."),
    ),
}


@dataclass(frozen=True)
class Finding:
    """One thing that `check` found.

    Args:
        code: what it is.
        severity: whether it fails the check.
        file: the file, relative to the project root with forward slashes; empty when it concerns the whole submission.
        line: from 1; 0 when it concerns the whole file.
        detail: what exactly was found there.
    """

    code: Code | Hint
    severity: Severity
    file: str
    line: int
    detail: str

    def as_json(self) -> dict[str, str | int]:
        """The finding with its sentences in both languages."""
        found = {"code": self.code.value, "severity": self.severity.value, "file": self.file, "line": self.line}
        said = sentence(self.code)
        chinese = {"cause_zh": said.cause_zh, "remedy_zh": said.remedy_zh}
        return {**found, "detail": self.detail, **said._asdict(), **chinese}

    def text(self) -> str:
        """Three lines for people: place and code, cause and what was found, remedy."""
        said = sentence(self.code)
        where = (f"{self.file}:{self.line}" if self.line else self.file) or "-"
        first = f"{where}: {tr(self.severity.value)} [{self.code.value}] {tr(said.cause)}"
        here, remedy = tr("here: {detail}", detail=self.detail), tr("remedy: {remedy}", remedy=tr(said.remedy))
        return f"{first}\n  {here}\n  {remedy}"


def sentence(code: Code | Hint) -> Sentence:
    """Cause and remedy of a code."""
    return HINTS[code] if isinstance(code, Hint) else CAUSES[code]


def ordered(findings: Iterable[Finding]) -> list[Finding]:
    """Errors before warnings before notes, then by place; of several with one code and place the most severe stays."""
    kinds = list(Severity)
    ranked = sorted(set(findings), key=lambda each: (kinds.index(each.severity), each.file, each.line, each.code.value))
    first: dict[tuple[str, str, int], Finding] = {}
    for finding in ranked:
        first.setdefault((finding.code.value, finding.file, finding.line), finding)
    return list(first.values())


def table() -> str:
    """The table of docs/check.md: every code that a finding can have, with its sentences."""
    codes: list[Code | Hint] = [
        *(code for code in Code if not is_platform_fault(code) and code is not Code.INSTALL_FAILED),
        *Hint,
    ]
    told = {code: sentence(code) for code in codes}
    cells = {code: (*said, said.cause_zh, said.remedy_zh) for code, said in told.items()}
    rows = (f"| `{code.value}` | {' | '.join(map(_cell, texts))} |" for code, texts in cells.items())
    return "\n".join(["| code | cause | remedy | 原因 | 解决 |", "|---|---|---|---|---|", *rows]) + "\n"


def _cell(text: str) -> str:
    return text.replace("|", "\\|")
