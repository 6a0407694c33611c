import argparse
import json
import sys
from pathlib import Path

import pandas as pd
from flyai.data_helper import DataHelper
from flyai.framework import FlyAI

from histogram import histogram

ROOT = Path(sys.path[0])
DATA_ID = "MushroomSketch"


class Main(FlyAI):
    def download_data(self):
        DataHelper().download_from_ids(DATA_ID)

    def train(self, epochs, batch):
        folder = ROOT / "data" / "input" / DATA_ID
        table = pd.read_csv(folder / "train.csv")
        sums = {}
        for _ in range(epochs):
            for start in range(0, len(table), batch):
                for path, label in table.iloc[start:start + batch][["image_path", "label"]].itertuples(index=False):
                    sums.setdefault(label, []).append(histogram(folder / path))
        model = [
            {"label": getattr(label, "item", lambda: label)(), "mean": (sum(rows) / len(rows)).tolist()}
            for label, rows in sums.items()
        ]
        target = ROOT / "data" / "output" / "model" / "histograms.json"
        target.parent.mkdir(parents=True, exist_ok=True)
        target.write_text(json.dumps(model), encoding="utf-8")


if __name__ == "__main__":
    parser = argparse.ArgumentParser()
    parser.add_argument("-e", "--EPOCHS", default=1, type=int)
    parser.add_argument("-b", "--BATCH", default=32, type=int)
    args = parser.parse_args()
    main = Main()
    main.download_data()
    main.train(args.EPOCHS, args.BATCH)
