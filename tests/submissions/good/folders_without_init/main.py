import argparse
import os
import random

import numpy as np
from flyai.data_helper import DataHelper
from flyai.framework import FlyAI
from flyai.utils.log_helper import train_log

from models.perceptron import Perceptron
from path import DATA_PATH, MODEL_PATH
from utils.pictures import read_picture

parser = argparse.ArgumentParser()
parser.add_argument("-e", "--EPOCHS", default=10, type=int)
parser.add_argument("-b", "--BATCH", default=32, type=int)
args = parser.parse_args()


class Main(FlyAI):
    def download_data(self):
        DataHelper().download_from_ids("MushroomSketch")

    def deal_with_data(self):
        folder = os.path.join(DATA_PATH, "MushroomSketch")
        with open(os.path.join(folder, "train.csv")) as table:
            next(table)
            rows = [line.rstrip("\n").split(",") for line in table]
        self.pairs = [(read_picture(os.path.join(folder, path)), int(label)) for path, label in rows]

    def train(self):
        random.seed(0)
        model = Perceptron(len(self.pairs[0][0]), max(label for _, label in self.pairs) + 1)
        for epoch in range(args.EPOCHS):
            random.shuffle(self.pairs)
            right = 0
            for start in range(0, len(self.pairs), args.BATCH):
                right += sum(model.update(x, label) for x, label in self.pairs[start:start + args.BATCH])
            train_log(train_acc=right / len(self.pairs))
        os.makedirs(MODEL_PATH, exist_ok=True)
        np.savetxt(os.path.join(MODEL_PATH, "weights.txt"), model.weights)


if __name__ == "__main__":
    main = Main()
    main.download_data()
    main.deal_with_data()
    main.train()
