"""Further shapes of other people's submissions, of a second look at public code: see tests/strangers.py."""

from __future__ import annotations

from strangers import CARD, MAIN, OLD, OLD_MAIN, OLD_MODEL, PREDICTION, REFUSED, SCORED, Shape, before, changed
from strangers import SHAPES as FIRST

LOADS = 'np.load(os.path.join(MODEL_PATH, "means.npz"))'
SAVES = '        np.savez(os.path.join(MODEL_PATH, "means.npz"),'
TRAINED = '        print("trained", epochs, batch)\n'
AT_THE_END = "    main.train(args.EPOCHS, args.BATCH)\n"
SAVED = "    model.save_model(int(y_train[-1]), MODEL_PATH, overwrite=True)\n"


def at_the_end(lines: str) -> dict[str, str]:
    """Files whose training ends with these lines."""
    return {"main.py": changed(MAIN, (TRAINED, TRAINED + lines))}


def of_1x(*pairs: tuple[str, str], **files: str) -> dict[str, str]:
    """A 1.x main.py with texts replaced, and more files."""
    return {"main.py": changed(OLD_MAIN, *pairs), **files}


TABLES = """
import os, sys
import pandas as pd
from flyai.source.base import DATA_PATH
from flyai.source.source import Source


def tables(first, second):
    try:
        line = open(os.path.join(sys.path[0], "train.json")).readline().strip()
    except IOError:
        line = ""
    urls = {"train_url": os.path.join(DATA_PATH, first), "test_url": os.path.join(DATA_PATH, second)}
    return Source().create_instance("flyai.source.csv_source", "Csv", urls, line)


def one_per_class():
    both = tables("dev.csv", "dev.csv")
    rows = pd.concat([pd.DataFrame(data=both.c.data), pd.DataFrame(data=both.c.val)], axis=0)
    names = []
    for label in sorted(set(rows["label"])):
        names.append("class-%d.csv" % label)
        rows[rows["label"] == label].sample(frac=1).to_csv(os.path.join(DATA_PATH, names[-1]), index=False)
    return names
"""
OWN_READER = """
import json, os, platform, random, sys
from time import time
from urllib import request
from flyai.processor.download import check_download
from flyai.source.base import DATA_PATH
from flyai.utils import read_data
from flyai.utils.yaml_helper import Yaml


def load_csv():
    card = Yaml()
    told = {"id": card.get_data_id(), "time": time(), "sign": random.random(), "goos": platform.platform()}
    try:
        url = card.get_servers()[0]["url"] + "/dataset"
        source = json.loads(request.urlopen(url, json.dumps(told).encode()).read())
    except:
        source = None
    print(source)
    return [read_data.read(check_download(os.path.join(DATA_PATH, "dev.csv"), DATA_PATH, is_print=True)) for _ in "ab"]
"""
TRAINER = """
import argparse, json, os
from flyai.dataset import Dataset
from path import MODEL_PATH

SIZE = 3


class Instructor(object):
    def __init__(self, epochs, batch):
        self.dataset = Dataset(epochs=epochs, batch=batch)

    def run(self):
        x_train, y_train = self.dataset.next_train_batch()
        os.makedirs(MODEL_PATH, exist_ok=True)
        json.dump(int(y_train[-1]), open(os.path.join(MODEL_PATH, "model.json"), "w"))


if __name__ == "__main__":
    parser = argparse.ArgumentParser()
    parser.add_argument("-e", "--EPOCHS", default=1, type=int)
    parser.add_argument("-b", "--BATCH", default=8, type=int)
    args = parser.parse_args()
    Instructor(args.EPOCHS, args.BATCH).run()
"""
WRAPS = "import io, sys\nsys.stdout = io.TextIOWrapper(sys.stdout.buffer, encoding='utf8')\nprint('开始 🍄')\n"
DETACHES = "import codecs, sys\nsys.stdout = codecs.getwriter('utf-8')(sys.stdout.detach())\nprint('开始')\n"
MORE = [
    # Tables of 1.x by other ways.
    Shape(
        "a_dataset_per_class",
        SCORED,
        base=OLD,
        files=of_1x(
            (
                "dataset = Dataset(",
                "from tables import one_per_class, tables\nfrom flyai.core import Lib\n"
                "parts = [Lib(source=tables(name, name), epochs=1) for name in one_per_class()]\n"
                "print([part.next_batch(size=2, test_size=0)[0].shape for part in parts])\ndataset = Dataset(",
            ),
            **{"tables.py": TABLES},
        ),
    ),
    Shape(
        "reads_the_tables_as_the_sdk_does",
        SCORED,
        base=OLD,
        files=of_1x(
            ("best = 0\n", "best = 0\nimport own_reader\nprint([len(each) for each in own_reader.load_csv()])\n"),
            **{
                "own_reader.py": OWN_READER,
                "app.yaml": CARD.replace("...", "servers: [{name: x, url: 'http://x.invalid'}]\n..."),
            },
        ),
    ),
    Shape(
        "get_all_processor_data",
        SCORED,
        base=OLD,
        files=of_1x(
            (
                "best = 0\n",
                "best = 0\nx_train, y_train, x_val, y_val = dataset.get_all_processor_data()\n"
                "print(x_train.shape, dataset.get_all_validation_data()[1].shape, y_train.sum())\n",
            )
        ),
    ),
    # Models of 1.x.
    Shape(
        "answers_as_an_array",
        SCORED,
        base=OLD,
        files={
            "model.py": changed(
                OLD_MODEL,
                (
                    "        return [self.predict(**data) for data in datas]\n",
                    "        import numpy as np\n        return np.array([self.predict(**data) for data in datas])\n",
                ),
            )
        },
    ),
    Shape(
        "model_takes_from_main",
        SCORED,
        base=OLD,
        files={"main.py": TRAINER, "model.py": "from main import SIZE\n" + OLD_MODEL},
    ),
    Shape(
        "modules_that_need_each_other",
        REFUSED,
        "training-failed",
        base=OLD,
        files={"main.py": "from model import Model\n" + TRAINER, "model.py": "from main import SIZE\n" + OLD_MODEL},
    ),
    Shape(
        "model_path_is_a_file",
        SCORED,
        base=OLD,
        files={
            "path.py": OLD["path.py"].replace("'output', 'model')", "'output', 'model', 'best.json')"),
            "main.py": changed(
                OLD_MAIN,
                (
                    SAVED,
                    "    import json, os\n    os.makedirs(os.path.dirname(MODEL_PATH), exist_ok=True)\n"
                    "    json.dump(int(y_train[-1]), open(MODEL_PATH, 'w'))\n",
                ),
            ),
            "model.py": changed(
                OLD_MODEL,
                (
                    "        self.data = data\n",
                    "        self.data = data\n        self.net = None\n"
                    "        if os.path.exists(MODEL_PATH):\n            self.net = json.load(open(MODEL_PATH))\n",
                ),
                ('json.load(open(os.path.join(MODEL_PATH, "model.json")))', "self.net"),
            ),
        },
    ),
    # Predictions of 2.0.
    Shape(
        "folder_named_model",
        SCORED,
        files={
            "model/load.py": "import os\nimport numpy as np\nfrom path import MODEL_PATH\n\n\ndef load():\n    return "
            + LOADS
            + "\n",
            "prediction.py": changed(PREDICTION, (LOADS, "load()"), ("import os\n", "from model.load import load\n")),
        },
    ),
    Shape(
        "loads_in_every_answer",
        SCORED,
        files={
            "prediction.py": changed(
                PREDICTION,
                (
                    "    def predict(self, image_path):\n",
                    "    def predict(self, image_path):\n        model = self.load_model()\n",
                ),
            )
        },
    ),
    Shape(
        "takes_the_best_by_its_name",
        SCORED,
        files={
            "main.py": changed(MAIN, ('"means.npz"', '"%.3f.npz" % 0.875')),
            "prediction.py": changed(
                PREDICTION,
                (
                    '"means.npz"',
                    '"%s.npz" % max(float(name[:-4]) for _, _, names in os.walk(MODEL_PATH) for name in names)',
                ),
            ),
        },
    ),
    Shape(
        "classes_from_the_training_table",
        SCORED,
        files={
            "prediction.py": changed(
                PREDICTION,
                (
                    "        self.labels, self.means",
                    '        with open("./data/input/Genera/train.csv") as f:\n'
                    '            print(len({line.rstrip().split(",")[1] for line in f.readlines()[1:]}))\n'
                    "        self.labels, self.means",
                ),
            )
        },
    ),
    Shape(
        "settings_from_a_file",
        SCORED,
        files={
            "configs/net.yaml": "MODEL: {NAME: means}\n",
            "prediction.py": changed(
                PREDICTION,
                ('"means.npz"', 'yaml.safe_load(open("./configs/net.yaml"))["MODEL"]["NAME"] + ".npz"'),
                ("import os\n", "import os\nimport yaml\n"),
            ),
        },
    ),
    Shape("stdout_wrapped_again", SCORED, files={"main.py": before(WRAPS), "prediction.py": before(WRAPS, PREDICTION)}),
    Shape(
        "stdout_detached", SCORED, files={"main.py": before(DETACHES), "prediction.py": before(DETACHES, PREDICTION)}
    ),
    Shape(
        "prints_to_its_own_log",
        SCORED,
        files={
            "main.py": before(
                "import logging, os, sys\nos.makedirs('logs', exist_ok=True)\nlog = logging.getLogger()\n"
                "log.addHandler(logging.FileHandler('logs/train.log'))\n"
                "log.addHandler(logging.StreamHandler(sys.stdout))\n"
                "log.setLevel(10)\nlog.info('开始')\n"
            ),
            "prediction.py": before(
                "import logging\nlogging.basicConfig(filename='logs/train.log', level=10)\n", PREDICTION
            ),
        },
    ),
    # What training does besides.
    Shape(
        "evaluates_itself",
        SCORED,
        files=at_the_end(
            "        from prediction import Prediction\n        p = Prediction()\n        p.load_model()\n"
            "        print(p.predict(image_path=os.path.join(folder, row['image_path'])))\n"
            "        open('result.csv', 'w').write('image_path,label\\n')\n"
        ),
    ),
    Shape(
        "moves_the_pictures",
        SCORED,
        files=at_the_end(
            "        import shutil\n        os.makedirs(os.path.join(folder, 'split', row['label']), exist_ok=True)\n"
            "        shutil.move(folder + '/' + row['image_path'], os.path.join(folder, 'split', row['label']))\n"
        ),
    ),
    Shape(
        "empties_its_output_first",
        SCORED,
        files={
            "main.py": changed(
                MAIN,
                (
                    "        os.makedirs(MODEL_PATH, exist_ok=True)\n",
                    "        import shutil\n"
                    "        shutil.rmtree(os.path.join(sys.path[0], 'data', 'output'), ignore_errors=True)\n"
                    "        os.makedirs(MODEL_PATH)\n",
                ),
                ("import os\n", "import os\nimport sys\n"),
            )
        },
    ),
    Shape(
        "links_its_data",
        SCORED,
        files=at_the_end("        os.symlink(folder, 'dataset')\n        print(os.listdir('dataset')[:2])\n"),
    ),
    Shape(
        "installs_by_itself",
        SCORED,
        files={
            "main.py": before(
                "import os\nos.system('nvidia-smi')\n"
                "os.system('pip install -i https://pypi.invalid/simple nothing==1')\n"
            )
        },
    ),
    Shape(
        "reads_in_processes",
        SCORED,
        files={
            "main.py": changed(
                MAIN,
                (
                    SAVES,
                    "        from multiprocessing import Pool\n        with Pool(4) as pool:\n"
                    "            print(sum(pool.map(abs, range(8))))\n" + SAVES,
                ),
            )
        },
    ),
    Shape(
        "known_arguments_only",
        SCORED,
        files={"main.py": changed(MAIN, ("parser.parse_args()", "parser.parse_known_args()[0]"))},
    ),
    Shape("no_class_in_main", SCORED, files={"main.py": changed(MAIN, ("class Main(FlyAI):", "class Main(object):"))}),
    Shape(
        "everything_by_star",
        SCORED,
        files={
            "prediction.py": changed(
                PREDICTION, ("from path import MODEL_PATH", "from path import *\nfrom settings import *")
            ),
            "settings.py": "from path import *\nimport os, sys\nSIZE = 32\n",
        },
    ),
    Shape(
        "old_super",
        SCORED,
        files={
            "prediction.py": changed(
                PREDICTION,
                (
                    "    def load_model(self):",
                    "    def __init__(self):\n        super(Prediction, self).__init__()\n"
                    "        self.net = None\n\n    def load_model(self):",
                ),
            )
        },
    ),
    Shape(
        "uploads_to_its_disk",
        SCORED,
        files={
            "main.py": before(
                "from flyai.train_helper import upload_data, download, sava_train_model\n"
                "upload_data('./data/a.zip', dir_name='/data', overwrite=True)\n"
            ).replace(
                TRAINED,
                TRAINED
                + "        sava_train_model(model_file=MODEL_PATH + '/means.npz', dir_name='/model', overwrite=True)\n",
            )
        },
    ),
    Shape(
        "curves_with_odd_numbers",
        SCORED,
        files=at_the_end(
            "        from flyai.utils.log_helper import train_log as curve\n"
            "        curve(train_loss=None, train_acc='0.5', val_loss=np.float32(1), val_acc=float('nan'))\n"
            "        curve(0.1, 0.2, 0.3, 0.4)\n"
        ),
    ),
    Shape(
        "an_evaluation_of_its_own_lies_beside",
        SCORED,
        files={
            "evaluate.py": "from flyai.framework import FlyAI\nfrom flyai.processor.download import data_download\n",
            "run.sh": "python main.py -e 1\n",
            "Dockerfile": "FROM x\nENV ROOT /root/data\n",
        },
    ),
]
SHAPES = FIRST + MORE
BY_NAME = {shape.name: shape for shape in SHAPES}
