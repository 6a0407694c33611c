"""What `check` reports: findings with a stable code, a place, and cause and remedy in English and Chinese.

A failure that a run would meet has the run's own code (`states.Code`), whether it was read in the source or met in the
chain. What no run would name, because it fails elsewhere or not at all, has a code of its own here.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from enum import Enum

from flyai_local.run.causes import CAUSES, Sentence
from flyai_local.states import Code, is_platform_fault

__all__ = ["Finding", "Hint", "Severity", "ordered", "sentence", "table"]


class Severity(str, Enum):
    """`error`: no score, a wrong one, or not to be uploaded. `warning`: it may be so. `note`: it will not."""

    ERROR = "error"
    WARNING = "warning"
    NOTE = "note"


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
        "A path is written that exists on this machine only.",
        "Join paths to the project root: Path(__file__).parent, or DATA_PATH and MODEL_PATH of path.py.",
        "代码中写了只在本机存在的绝对路径。",
        "请以项目根目录拼接路径：Path(__file__).parent，或 path.py 中的 DATA_PATH 与 MODEL_PATH。",
    ),
    Hint.SECRET: Sentence(
        "A key, token or password stands in a file that would be uploaded.",
        "Remove it, and replace it where it is valid: an uploaded secret is a known one.",
        "待上传的文件中含有密钥、令牌或密码。",
        "请删除它，并在其生效处更换：上传过的密钥等于已泄露。",
    ),
    Hint.LINK_OUTSIDE: Sentence(
        "A link leads out of the project, or to nothing; an archive cannot carry it.",
        "Copy the file into the project.",
        "链接指向项目之外或不存在的文件，无法打包。",
        "请把文件复制到项目中。",
    ),
    Hint.FILE_TOO_LARGE: Sentence(
        "One file is larger than the limit for a single file.",
        "Leave it out, or shrink it.",
        "单个文件超过大小限制。",
        "请去掉或缩小该文件。",
    ),
    Hint.BAD_CARD: Sentence(
        "app.json or app.yaml cannot be read.",
        "Correct the line that is named; without the file the columns are image_path and label.",
        "无法解析 app.json 或 app.yaml。",
        "请修改指出的那一行；没有该文件时，列名为 image_path 和 label。",
    ),
    Hint.REQUIREMENT_LINE: Sentence(
        "A line of requirements.txt names nothing that can be installed; the platform passes over it.",
        "Write the name of the package, one a line, with an optional version: opencv-python-headless, not cv2.",
        "requirements.txt 中有一行无法安装，平台会跳过它。",
        "每行写一个包名，可带版本：写 opencv-python-headless，而不是 cv2。",
    ),
    Hint.UNLISTED_PACKAGE: Sentence(
        "Packages are imported that requirements.txt does not name; the platform had them all the same.",
        "Name them, with their versions, to get the same ones everywhere; --fresh-env installs only what is named.",
        "导入了 requirements.txt 中没有写明的包；平台自带这些包。",
        "请写明包名与版本，以便处处一致；--fresh-env 只安装写明的包。",
    ),
    Hint.SHADOWED_MODULE: Sentence(
        "A file of the submission has the name of a module of Python or of the SDK, and hides it.",
        "Rename the file.",
        "提交中的文件与 Python 标准库或 SDK 的模块同名，会遮蔽后者。",
        "请重命名该文件。",
    ),
    Hint.ARGUMENTS_IGNORED: Sentence(
        "main.py takes no notice of -e or -b: the epochs and batch size chosen on the platform change nothing.",
        "Declare `-e/--EPOCHS` and `-b/--BATCH` with argparse, and train with args.EPOCHS and args.BATCH.",
        "main.py 没有使用 -e 或 -b：在平台上选择的轮数和批大小不起作用。",
        "请用 argparse 声明 `-e/--EPOCHS` 与 `-b/--BATCH`，并用 args.EPOCHS 与 args.BATCH 训练。",
    ),
    Hint.TRAINING_AT_IMPORT: Sentence(
        "A module that prediction.py imports starts the training when it is imported.",
        "Move the calls below `if __name__ == '__main__':`.",
        "prediction.py 导入的模块在导入时就开始训练。",
        "请把这些调用移到 `if __name__ == '__main__':` 之下。",
    ),
    Hint.MISSING_METHOD: Sentence(
        "The class that the platform takes lacks predict or load_model; the base class does nothing in its place.",
        "Define load_model(self) and predict(self, image_path) in class Prediction.",
        "平台选用的类缺少 predict 或 load_model；基类的同名方法什么都不做。",
        "请在 class Prediction 中定义 load_model(self) 与 predict(self, image_path)。",
    ),
    Hint.RELATIVE_PATH: Sentence(
        "A file is named relative to the working directory: this works only when started from the project root.",
        "Join it to the folder of the source file: Path(__file__).parent, or MODEL_PATH of path.py.",
        "文件路径相对于工作目录，只有从项目根目录启动才有效。",
        "请与源文件所在目录拼接：Path(__file__).parent，或 path.py 中的 MODEL_PATH。",
    ),
    Hint.OUTSIDE_PATH: Sentence(
        "A path leaves the project by `..`; on the platform nothing of yours lies there.",
        "Keep every file inside the project, and name it from the project root.",
        "路径通过 `..` 离开了项目目录；平台上那里没有你的文件。",
        "请把所有文件放在项目内，并从项目根目录开始写路径。",
    ),
    Hint.TRAIN_TRANSFORM: Sentence(
        "Predictions go through random training transforms, so the same picture gets different answers.",
        "Use the transforms of the validation in prediction.py: resize, to tensor, normalise.",
        "预测时使用了训练的随机增强，同一张图片会得到不同的答案。",
        "请在 prediction.py 中使用验证时的变换：缩放、转张量、归一化。",
    ),
    Hint.ENDLESS_RETRY: Sentence(
        "A picture that cannot be read is tried again for ever: one truncated file stops the training.",
        "Leave the picture out, or take another row, and count how often that happened.",
        "无法读取的图片会被无限重试：一个截断的文件就会卡住训练。",
        "请跳过该图片或改用另一行数据，并记录次数。",
    ),
    Hint.NO_EVAL: Sentence(
        "A torch model is loaded for prediction and never set to eval(): dropout and batch statistics stay on.",
        "Call self.model.eval() at the end of load_model, and predict under torch.no_grad().",
        "预测加载了 torch 模型，但没有调用 eval()：dropout 与批统计仍在生效。",
        "请在 load_model 末尾调用 self.model.eval()，并在 torch.no_grad() 下预测。",
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
        return {**found, "detail": self.detail, **sentence(self.code)._asdict()}

    def text(self, language: str = "en") -> str:
        """Three lines for people: place and code, cause and what was found, remedy."""
        said = sentence(self.code)
        where = (f"{self.file}:{self.line}" if self.line else self.file) or "-"
        cause, remedy = (said.cause_zh, said.remedy_zh) if language == "zh" else (said.cause, said.remedy)
        words = ("此处：", "解决：") if language == "zh" else ("here: ", "remedy: ")
        return (
            f"{where}: "
            f"{self.severity.value} [{self.code.value}] {cause}\n  {words[0]}{self.detail}\n  {words[1]}{remedy}"
        )


def sentence(code: Code | Hint) -> Sentence:
    """Cause and remedy of a code, in both languages."""
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
    rows = (f"| `{code.value}` | {' | '.join(_cell(text) for text in sentence(code))} |" for code in codes)
    return "\n".join(["| code | cause | remedy | 原因 | 解决 |", "|---|---|---|---|---|", *rows]) + "\n"


def _cell(text: str) -> str:
    return text.replace("|", "\\|")
