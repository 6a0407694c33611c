"""Shapes of other people's submissions, as small projects of our own: what public code does, and what must come of it.

python tests/strangers.py             what `check` says of each from its source
python tests/strangers.py --chain     the same with the chain (minutes)

`SCORED`: checked without an error, packed, trained and scored. `ENDS_HERE`: it ran on the platform and cannot run to
its end on this machine, which is a warning. `REFUSED`: the platform had failed it too.
"""

from __future__ import annotations

import argparse
import tempfile
from dataclasses import dataclass, field
from pathlib import Path

from broken import plain_colours

SCORED, ENDS_HERE, REFUSED = "scored", "ends here", "refused"
PATHS = """
import os, sys
DATA_PATH = os.path.join(sys.path[0], 'data', 'input')
MODEL_PATH = os.path.join(sys.path[0], 'data', 'output', 'model')
"""
APP = """{"name": "Genera", "model": {"input": {"columns": [{"name": "image_path"}]},
 "output": {"columns": [{"name": "label"}]}}, "data": {"source": [{"id": "Genera"}]}}"""
MAIN = """# -*- coding: utf-8 -*
import argparse
import csv
import os

import numpy as np
from PIL import Image
from flyai.data_helper import DataHelper
from flyai.framework import FlyAI
from path import DATA_PATH, MODEL_PATH


class Main(FlyAI):
    def download_data(self):
        DataHelper().download_from_ids("Genera")

    def train(self, epochs, batch):
        folder = os.path.join(DATA_PATH, "Genera")
        seen = {}
        for row in csv.DictReader(open(os.path.join(folder, "train.csv"))):
            picture = Image.open(os.path.join(folder, row["image_path"])).convert("RGB")
            seen.setdefault(int(row["label"]), []).append(np.asarray(picture, float).mean((0, 1)))
        os.makedirs(MODEL_PATH, exist_ok=True)
        np.savez(os.path.join(MODEL_PATH, "means.npz"), labels=list(seen), means=[np.mean(s, 0) for s in seen.values()])
        print("trained", epochs, batch)


if __name__ == "__main__":
    parser = argparse.ArgumentParser()
    parser.add_argument("-e", "--EPOCHS", default=10, type=int, help="train epochs")
    parser.add_argument("-b", "--BATCH", default=32, type=int, help="batch size")
    args = parser.parse_args()
    main = Main()
    main.download_data()
    main.train(args.EPOCHS, args.BATCH)
"""
PREDICTION = """# -*- coding: utf-8 -*
import os
import numpy as np
from PIL import Image
from flyai.framework import FlyAI
from path import MODEL_PATH


class Prediction(FlyAI):
    def load_model(self):
        saved = np.load(os.path.join(MODEL_PATH, "means.npz"))
        self.labels, self.means = saved["labels"], saved["means"]

    def predict(self, image_path):
        colour = np.asarray(Image.open(image_path).convert("RGB"), float).mean((0, 1))
        return {"label": int(self.labels[((self.means - colour) ** 2).sum(1).argmin()])}
"""
NEW = {
    "main.py": MAIN,
    "prediction.py": PREDICTION,
    "path.py": PATHS,
    "requirements.txt": "numpy\npillow\n",
    "app.json": APP,
}
CARD = """---
data: {id: Genera}
model:
  processor: Processor
  input_x: input_x
  input_y: input_y
  output_x: output_x
  output_y: output_y
  input: {columns: [{name: image_path}]}
  output: {columns: [{name: label}]}
...
"""
PROCESSOR = """
import os
import numpy as np
from PIL import Image
from flyai.processor.base import Base
from path import DATA_PATH


class Processor(Base):
    def input_x(self, image_path):
        return np.asarray(Image.open(os.path.join(DATA_PATH, image_path)).convert("RGB"), float).mean((0, 1))

    def input_y(self, label):
        return int(label)

    def output_x(self, image_path):
        return self.input_x(image_path)

    def output_y(self, label):
        return int(label)
"""
# Saves when some validation answer is right, and answers one class for every picture: what an epoch of eight pictures
# leaves of a large network. The class is the one of the last picture that was seen.
OLD_MAIN = """
import argparse
from flyai.dataset import Dataset
from model import Model
from path import MODEL_PATH

parser = argparse.ArgumentParser()
parser.add_argument("-e", "--EPOCHS", default=1, type=int)
parser.add_argument("-b", "--BATCH", default=8, type=int)
args = parser.parse_args()
dataset = Dataset(epochs=args.EPOCHS, batch=args.BATCH)
model = Model(dataset)
best = 0
for step in range(dataset.get_step()):
    x_train, y_train = dataset.next_train_batch()
x_val, y_val = dataset.next_validation_batch()
accuracy = (y_val == y_train[-1]).mean()
if accuracy > best:
    model.save_model(int(y_train[-1]), MODEL_PATH, overwrite=True)
"""
OLD_MODEL = """
import json, os
from flyai.model.base import Base
from path import MODEL_PATH


class Model(Base):
    def __init__(self, data):
        self.data = data

    def predict(self, **data):
        self.data.predict_data(**data)
        return self.data.to_categorys(json.load(open(os.path.join(MODEL_PATH, "model.json"))))

    def predict_all(self, datas):
        return [self.predict(**data) for data in datas]

    def save_model(self, network, path, name="model.json", overwrite=False):
        self.check(path, overwrite)
        json.dump(network, open(os.path.join(path, name), "w"))
"""
OLD = {
    "main.py": OLD_MAIN,
    "model.py": OLD_MODEL,
    "processor.py": PROCESSOR,
    "path.py": PATHS,
    "requirements.txt": "flyai\nnumpy\nPillow\n",
    "app.yaml": CARD,
}


@dataclass(frozen=True)
class Shape:
    """One shape: the base, what is changed in it, what must come of it, and the code that is named."""

    name: str
    comes: str
    code: str = ""
    base: dict[str, str] = field(default_factory=lambda: NEW)
    files: dict[str, str | bytes | None] = field(default_factory=dict)
    torch: bool = False  # imports torch: seconds

    def make(self, folder: Path) -> Path:
        """The project below `folder`."""
        for name, content in {**self.base, **self.files}.items():
            if content is not None:
                file = folder / self.name / name
                file.parent.mkdir(parents=True, exist_ok=True)
                file.write_bytes(content.encode() if isinstance(content, str) else content)
        return folder / self.name


def before(text: str, base: str = MAIN) -> str:
    """A source with lines at its top."""
    return text + base


def changed(base: str, *pairs: tuple[str, str]) -> str:
    """A source with texts replaced; each must stand in it."""
    for old, new in pairs:
        if old not in base:
            raise ValueError(f"{old!r} does not stand in the base")
        base = base.replace(old, new)
    return base


def trains_with(lines: str) -> dict[str, str]:
    """Files whose training begins with these lines."""
    return {"main.py": changed(MAIN, ("        seen = {}\n", "        seen = {}\n" + lines))}


GUARD = '\n\nif __name__ == "__main__":\n'
SHAPES = [
    # Packages and requirements.txt.
    Shape(
        "unlisted_baseline", SCORED, files={"requirements.txt": "opencv-python\n", "main.py": before("import yaml\n")}
    ),
    Shape("no_requirements", SCORED, files={"requirements.txt": None}),
    Shape("requirements_misspelt", SCORED, files={"requirements.txt": None, "requirments.txt": "numpy\nPIL"}),
    Shape(
        "requirements_name_own_modules", SCORED, files={"requirements.txt": "utils\nflyai\nnumpy\nPillow\ndataset\n"}
    ),
    Shape(
        "requirements_bogus",
        SCORED,
        files={"requirements.txt": "# 依赖\n\ncv2\nPIL\n-i https://pypi.flyai.com/simple\n"},
    ),
    Shape(
        "optional_package",
        SCORED,
        files={"main.py": before("try:\n    from apex import amp\nexcept ImportError:\n    amp = None\n")},
    ),
    Shape(
        "framework_listed",
        ENDS_HERE,
        "missing-package",
        files={"requirements.txt": "tensorflow-gpu==1.13\n", "main.py": before("import tensorflow as tf\n")},
    ),
    Shape(
        "framework_by_another_name",
        ENDS_HERE,
        "missing-package",
        files={"requirements.txt": "tensorflow\n", "main.py": before("from keras.engine.saving import load_model\n")},
    ),
    Shape("framework_not_listed", REFUSED, "missing-package", files={"main.py": before("import tensorflow as tf\n")}),
    Shape("python2_module", REFUSED, "missing-package", files={"main.py": before("import cPickle\n")}),
    Shape(
        "own_module_forgotten",
        REFUSED,
        "missing-package",
        files={"main.py": before("import nets.deep\n"), "nets/a.py": ""},
    ),
    # Columns and cards.
    Shape("table_says_name", SCORED, files={"main.py": changed(MAIN, ('row["image_path"]', 'row["name"]'))}),
    Shape(
        "card_says_name",
        SCORED,
        files={
            "app.json": APP.replace("image_path", "name"),
            "main.py": changed(MAIN, ('row["image_path"]', 'row["name"]')),
            "prediction.py": changed(PREDICTION, ("image_path", "name")),
        },
    ),
    Shape(
        "card_says_labels",
        SCORED,
        files={
            "app.json": APP.replace('"label"', '"labels"'),
            "main.py": changed(MAIN, ('row["label"]', 'row["labels"]')),
        },
    ),
    Shape("no_card", SCORED, files={"app.json": None}),
    Shape("card_broken", SCORED, files={"app.json": APP.replace("}", ",}", 1)}),
    Shape("card_in_gbk", SCORED, files={"app.json": APP.replace("Genera", "蘑菇", 1).encode("gbk")}),
    Shape("card_of_2022", SCORED, files={"app.json": '{"project_id": "x", "data_id": "Genera", "model": ""}'}),
    # Text of the sources.
    Shape(
        "gbk_with_cookie",
        SCORED,
        files={
            "main.py": changed(MAIN, ("coding: utf-8", "coding: gbk"), ("import csv", "import csv  # 读取表格")).encode(
                "gbk"
            )
        },
    ),
    Shape("gbk_without_cookie", REFUSED, "syntax-error", files={"main.py": before("# 训练模型\n").encode("gbk")}),
    Shape(
        "bom_tabs_crlf",
        SCORED,
        files={"main.py": b"\xef\xbb\xbf" + MAIN.replace("    ", "\t").replace("\n", "\r\n").encode()},
    ),
    Shape("word_of_python_36", ENDS_HERE, "syntax-error", files=trains_with("        dict(async=True)\n")),
    Shape("python2", REFUSED, "syntax-error", files={"main.py": MAIN + "print 'done'\n"}),
    # Files that lie about.
    Shape(
        "python2_lies_about",
        SCORED,
        files={"old/train_back.py": "print 'x'\n", "main (2).py": "print 1,\n", "backup.py": "x ="},
    ),
    Shape(
        "notebook_and_notes",
        SCORED,
        files={"看.ipynb": '{"cells": ["D:/jack/data/a.jpg"]}', ".ipynb_checkpoints/a.ipynb": "", "说明.html": "<p>"},
    ),
    Shape(
        "submit_script",
        SCORED,
        files={
            "upload.py": 'from flyai.train_helper import submit\nDATA = "F:/kaggle/data.zip"\nsubmit("x", cmd=DATA)\n'
        },
    ),
    Shape("paths_in_a_data_file", SCORED, files={"configs/net.yml": "OUTPUT: /data/output/model\nROOT: D:/data\n"}),
    # Absolute paths.
    Shape(
        "junk_below_the_guard",
        SCORED,
        files={
            "prediction.py": PREDICTION
            + GUARD
            + "    import wandb\n    print(Prediction().predict('/home/me/a.jpg'))\n"
        },
    ),
    Shape(
        "added_to_getcwd",
        SCORED,
        files=trains_with("        print(open(os.getcwd() + '/data/input/Genera/train.csv'))\n"),
    ),
    Shape(
        "another_system",
        SCORED,
        files=trains_with("        if os.name == 'nt':\n            folder = 'D:/data/Genera'\n"),
    ),
    Shape("default_that_is_not_used", SCORED, files={"path.py": PATHS + "ROOT = '/home/me/data'\n"}),
    Shape("path_of_a_library", SCORED, files={"main.py": before("import sys\nsys.path.append('/home/me/lib')\n")}),
    Shape(
        "absolute_path",
        REFUSED,
        "absolute-path",
        files={"prediction.py": changed(PREDICTION, ('os.path.join(MODEL_PATH, "means.npz")', "'/home/me/means.npz'"))},
    ),
    # Modules.
    Shape(
        "relative_imports",
        SCORED,
        files={
            "main.py": before("from nets import deep\n"),
            "nets/__init__.py": "from .deep import x\n",
            "nets/deep.py": "from . import wide\nx = wide.y\n",
            "nets/wide.py": "y = 1\n",
        },
    ),
    Shape(
        "folder_on_the_path",
        SCORED,
        files={"main.py": before("import sys\nsys.path.append('lib')\nimport deep\n"), "lib/deep.py": ""},
    ),
    Shape(
        "import_by_name",
        SCORED,
        files={"main.py": before("__import__('net', fromlist=['Net'])\n"), "net.py": "import yaml\n"},
    ),
    Shape("prediction_takes_from_main", SCORED, files={"prediction.py": before("from main import np\n", PREDICTION)}),
    Shape(
        "prediction_takes_main",
        REFUSED,
        "wrong-class",
        files={"prediction.py": before("from main import *\n", PREDICTION)},
    ),
    Shape(
        "arguments_at_import",
        REFUSED,
        "argparse-at-import",
        files={
            "main.py": before("import argparse\nargparse.ArgumentParser().parse_args([])\n"),
            "args.py": "import argparse\nP = argparse.ArgumentParser()\nA = P.parse_args()\n",
            "prediction.py": before("import args\n", PREDICTION),
        },
    ),
    # The form of 2022, and what else is usual.
    Shape(
        "no_arguments",
        SCORED,
        files={
            "main.py": changed(
                MAIN.partition(GUARD)[0],
                (
                    "from flyai.data_helper import DataHelper\nfrom flyai.framework import FlyAI",
                    "from flyai_sdk import *",
                ),
            )
            + "\n\nif 1:\n    main = Main()\n    main.download_data()\n    main.train(200, 256)\n",
            "flyai_sdk.py": "raise OSError('asks the network when it is imported')\n",
            "prediction.py": changed(PREDICTION, ("flyai.framework", "flyai_sdk")),
        },
    ),
    Shape("changes_to_its_folder", SCORED, files={"main.py": before("import os, sys\nos.chdir(sys.path[0])\n")}),
    Shape(
        "loads_in_the_constructor",
        SCORED,
        files={
            "prediction.py": changed(
                PREDICTION,
                (
                    "class Prediction(FlyAI):\n",
                    "class Prediction(FlyAI):\n    def __init__(self):\n        self.load_model()\n\n",
                ),
            )
        },
    ),
    Shape(
        "whole_row",
        REFUSED,
        "predict-arguments",
        files={"prediction.py": changed(PREDICTION, ("self, image_path", "self, input_data"))},
    ),
    Shape("no_base", REFUSED, "no-class", files={"prediction.py": changed(PREDICTION, ("(FlyAI)", "(object)"))}),
    Shape(
        "each_class_held_out",
        SCORED,
        files=trains_with(
            "        rows = list(csv.DictReader(open(os.path.join(folder, 'train.csv'))))\n"
            "        kinds = {row['label'] for row in rows}\n"
            "        if len(rows) * 0.2 < len(kinds):\n"
            "            raise ValueError('test_size should be greater or equal to the number of classes')\n"
        ),
    ),
    # Libraries of another time.
    Shape("name_that_is_gone", ENDS_HERE, "old-library-call", files=trains_with("        print(Image.ANTIALIAS)\n")),
    Shape("word_that_is_gone", ENDS_HERE, "old-library-call", files=trains_with("        np.zeros(3, kind='float')\n")),
    Shape("module_that_is_gone", ENDS_HERE, "old-library-call", files={"main.py": before("import numpy.dual\n")}),
    Shape("clock_is_gone", ENDS_HERE, "old-library-call", files={"main.py": before("from time import clock\n")}),
    Shape(
        "own_word_is_wrong",
        REFUSED,
        "training-failed",
        files={
            "main.py": changed(
                before("class Net:\n    def __init__(self, classes):\n        pass\n"),
                ("seen = {}", "seen = Net(classs=3)"),
            )
        },
    ),
    Shape("own_name_is_gone", REFUSED, "training-failed", files={"main.py": before("from path import LOG_PATH\n")}),
    # 1.x.
    Shape("saves_if_better", SCORED, base=OLD),
    Shape(
        "finds_none_of_eight_by_chance",
        ENDS_HERE,
        "no-checkpoint",
        base=OLD,
        files={
            "main.py": changed(
                OLD_MAIN,
                ("batch=args.BATCH)", "batch=args.BATCH, val_batch=8)"),
                ("(y_val == y_train[-1]).mean()", "0.0 * len(y_val)"),
            ),
            "model.py": OLD_MODEL,
        },
    ),
    Shape(
        "saves_in_no_case",
        REFUSED,
        "no-checkpoint",
        base=OLD,
        files={"main.py": changed(OLD_MAIN, ("if accuracy > best:", "if len(x_train) == 10**9:"))},
    ),
    Shape(
        "validates_in_batches",
        SCORED,
        base=OLD,
        files={"main.py": changed(OLD_MAIN, ("batch=args.BATCH)", "batch=args.BATCH, val_batch=9)"))},
    ),
    Shape(
        "samples_ten_rows",
        SCORED,
        base=OLD,
        files={
            "main.py": OLD_MAIN
            + "\nimport random\nrows = dataset.get_all_data()[2]\nprint(random.sample(range(len(rows)), 10))\n"
        },
    ),
    Shape(
        "reads_train_csv",
        SCORED,
        base=OLD,
        files={"main.py": OLD_MAIN + "open('data/input/train.csv')\nopen('data/input/dev.csv')\n"},
    ),
    Shape(
        "model_fetches_weights",
        ENDS_HERE,
        "missing-weights",
        base=OLD,
        files={"main.py": OLD_MAIN + "model.get_remote_date('https://www.flyai.com/m/v0.8|start.h5')\n"},
    ),
    Shape("card_in_gbk_1x", SCORED, base=OLD, files={"app.yaml": CARD.replace("---", "---\n# 项目").encode("gbk")}),
    Shape("no_card_1x", REFUSED, "no-prediction", base=OLD, files={"app.yaml": None}),
    # With torch.
    Shape(
        "needs_a_gpu",
        ENDS_HERE,
        "needs-gpu",
        torch=True,
        files=trains_with("        import torch\n        torch.nn.Linear(1, 1).cuda()\n"),
    ),
    Shape(
        "sets_a_device",
        ENDS_HERE,
        "needs-gpu",
        torch=True,
        files=trains_with("        import torch\n        torch.cuda.set_device(0)\n"),
    ),
    Shape(
        "network_of_torchvision",
        SCORED,
        torch=True,
        files=trains_with("        import torchvision\n        torchvision.models.squeezenet1_1(pretrained=False)\n"),
    ),
    Shape(
        "hub_weights_are_not_here",
        ENDS_HERE,
        "missing-weights",
        torch=True,
        files=trains_with("        import torchvision\n        torchvision.models.squeezenet1_1(pretrained=True)\n"),
    ),
    Shape(
        "timm_weights_are_not_here",
        ENDS_HERE,
        "missing-weights",
        torch=True,
        files={
            "requirements.txt": "timm\n",
            **trains_with("        import timm\n        timm.create_model('test_efficientnet', pretrained=True)\n"),
        },
    ),
]
BY_NAME = {shape.name: shape for shape in SHAPES}


def main() -> None:
    """Print the table, and how many are refused."""
    from flyai_local.checks.check import check

    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--chain", action="store_true", help="run every project")
    parser.add_argument("--only", default="", help="part of a name")
    args = parser.parse_args()
    refused, wrongly = 0, 0
    with tempfile.TemporaryDirectory() as folder:
        colours = plain_colours(Path(folder) / "colours")
        for shape in (each for each in SHAPES if args.only in each.name):
            report = check(shape.make(Path(folder)), colours, static=not args.chain)
            refused += not report.ok
            wrongly += not report.ok and shape.comes != REFUSED
            codes = ", ".join(f"{each.severity.value} {each.code.value}" for each in report.findings)
            state = report.chain.state.value if report.chain else "-"
            print(f"{shape.name:32} {shape.comes:10} {shape.code:20} | {state:8} {codes}", flush=True)
    print(f"{refused} refused, {wrongly} of them wrongly, of {len(SHAPES)}")


if __name__ == "__main__":
    main()
