import argparse
import os
import pickle

from flyai.data_helper import DataHelper
from flyai.framework import FlyAI

from classifier import Classifier
from path import DATA_PATH, MODEL_PATH

parser = argparse.ArgumentParser()
parser.add_argument("-e", "--EPOCHS", default=1, type=int)
parser.add_argument("-b", "--BATCH", default=32, type=int)


class Main(FlyAI):
    def download_data(self):
        DataHelper().download_from_ids("MushroomSketch")

    def train(self):
        folder = os.path.join(DATA_PATH, "MushroomSketch")
        lines = open(os.path.join(folder, "train.csv")).read().strip().split("\n")[1:]
        paths, labels = zip(*[line.split(",") for line in lines])
        model = Classifier()
        model.fit([os.path.join(folder, path) for path in paths], [int(label) for label in labels])
        if not os.path.exists(MODEL_PATH):
            os.makedirs(MODEL_PATH)
        with open(os.path.join(MODEL_PATH, "model.pkl"), "wb") as stream:
            pickle.dump(model, stream)


if __name__ == "__main__":
    args = parser.parse_args()
    print("args", args)
    main = Main()
    main.download_data()
    main.train()
