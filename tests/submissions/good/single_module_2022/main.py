# -*- coding: utf-8 -*-
import argparse
import os

import numpy as np
import pandas as pd
from flyai_sdk import DATA_PATH, MODEL_PATH, DataHelper, FlyAI

from features import read_features

DATA_ID = "MushroomSketch"

if not os.path.exists(MODEL_PATH):
    os.makedirs(MODEL_PATH)


class Main(FlyAI):
    def __init__(self, epochs, batch_size):
        super().__init__()
        self.epochs = epochs
        self.batch_size = batch_size

    def download_data(self):
        DataHelper().download_from_ids(DATA_ID)

    def deal_with_data(self):
        table = pd.read_csv(os.path.join(DATA_PATH, DATA_ID, "train.csv"))
        # image_path begins with "./": the first character is dropped, as many submissions do.
        self.x = np.stack([read_features(DATA_PATH + "/" + DATA_ID + path[1:]) for path in table["image_path"]])
        self.y = table["label"].values
        self.classes = np.unique(self.y)

    def train(self):
        rng = np.random.RandomState(0)
        targets = (self.y[:, None] == self.classes[None]).astype(np.float64)
        weights = np.zeros((self.x.shape[1], len(self.classes)))
        for epoch in range(self.epochs * 20):
            order = rng.permutation(len(self.x))
            for start in range(0, len(order), self.batch_size):
                rows = order[start:start + self.batch_size]
                scores = self.x[rows] @ weights
                probs = np.exp(scores - scores.max(1, keepdims=True))
                probs /= probs.sum(1, keepdims=True)
                weights -= 0.1 * self.x[rows].T @ (probs - targets[rows]) / len(rows)
        np.savez(MODEL_PATH + "/linear.npz", weights=weights, classes=self.classes)


if __name__ == '__main__':
    parser = argparse.ArgumentParser()
    parser.add_argument("-e", "--EPOCHS", default=5, type=int)
    parser.add_argument("-b", "--BATCH", default=32, type=int)
    args = parser.parse_args()
    main = Main(args.EPOCHS, args.BATCH)
    main.download_data()
    main.deal_with_data()
    main.train()
