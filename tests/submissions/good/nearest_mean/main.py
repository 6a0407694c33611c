# -*- coding: utf-8 -*-
import argparse
import os

import cv2
import numpy as np
from flyai.data_helper import DataHelper
from flyai.framework import FlyAI

from path import DATA_PATH, MODEL_PATH

parser = argparse.ArgumentParser()
parser.add_argument("-e", "--EPOCHS", default=1, type=int, help="rounds over the data")
parser.add_argument("-b", "--BATCH", default=32, type=int, help="pictures read at once")
args = parser.parse_args()

if not os.path.exists(MODEL_PATH):
    os.makedirs(MODEL_PATH)


class Main(FlyAI):
    def download_data(self):
        DataHelper().download_from_json()

    def train(self):
        folder = os.path.join(DATA_PATH, "MushroomSketch")
        rows = [line.strip().split(",") for line in open(os.path.join(folder, "train.csv")).readlines()[1:]]
        sums, counts = {}, {}
        for _ in range(args.EPOCHS):
            for start in range(0, len(rows), args.BATCH):
                for path, label in rows[start:start + args.BATCH]:
                    image = cv2.resize(cv2.imread(os.path.join(folder, path)), (12, 12)).astype(np.float32)
                    sums[label] = sums.get(label, 0) + image
                    counts[label] = counts.get(label, 0) + 1
        labels = sorted(sums)
        means = np.stack([sums[label] / counts[label] for label in labels])
        np.save(os.path.join(MODEL_PATH, "means.npy"), means)
        np.save(os.path.join(MODEL_PATH, "labels.npy"), np.array([int(label) for label in labels]))


if __name__ == '__main__':
    main = Main()
    main.download_data()
    main.train()
