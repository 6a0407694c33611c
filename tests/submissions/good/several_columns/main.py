import argparse
import csv
import json
import os
import sys

import cv2
import numpy as np
from flyai.data_helper import DataHelper
from flyai.framework import FlyAI

with open(os.path.join(sys.path[0], "app.json")) as card:
    card = json.load(card)
DATA_ID = card["data"]["source"][0]["id"]
IMAGE = card["model"]["input"]["columns"][0]["name"]
LABEL = card["model"]["output"]["columns"][0]["name"]

parser = argparse.ArgumentParser()
parser.add_argument("-e", "--EPOCHS", default=1, type=int)
parser.add_argument("-b", "--BATCH", default=8, type=int)


class Main(FlyAI):
    def download_data(self):
        DataHelper().download_from_ids(DATA_ID)

    def train(self, epochs, batch):
        folder = os.path.join("data", "input", DATA_ID)
        with open(os.path.join(folder, "train.csv"), newline="") as table:
            rows = list(csv.DictReader(table))
        print("epochs", epochs, "batch", batch, "rows", len(rows))
        colours = np.stack([cv2.imread(os.path.join(folder, row[IMAGE])).mean(axis=(0, 1)) for row in rows])
        np.savez("neighbours.npz", colours=colours, labels=np.array([int(row[LABEL]) for row in rows]))


if __name__ == "__main__":
    args = parser.parse_args()
    main = Main()
    main.download_data()
    main.train(args.EPOCHS, args.BATCH)
