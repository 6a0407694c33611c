import argparse
import logging
import os

import numpy as np
import pandas as pd
from flyai.data_helper import DataHelper
from flyai.framework import FlyAI
from flyai.utils.log_helper import train_log
from PIL import Image

from path import DATA_PATH, MODEL_PATH

DATA_ID = "MushroomSketch"


class Main(FlyAI):
    def __init__(self, args, logger):
        super().__init__()
        self.args = args
        self.logger = logger

    def download_data(self):
        DataHelper().download_from_ids(DATA_ID, log=False)

    def deal_with_data(self):
        self.table = pd.read_csv(os.path.join(DATA_PATH, DATA_ID, 'train.csv')).sample(frac=1, random_state=0)
        self.labels = sorted(self.table['label'].unique())

    def read(self, path):
        image = Image.open(os.path.join(DATA_PATH, DATA_ID, path)).convert('RGB').resize((10, 10))
        return np.asarray(image).astype(float).ravel() / 255

    def train(self):
        x = np.stack([self.read(path) for path in self.table['image_path']])
        y = np.array([self.labels.index(label) for label in self.table['label']])
        means = np.zeros((len(self.labels), x.shape[1]))
        for epoch in range(self.args.EPOCHS):
            for start in range(0, len(x), self.args.BATCH):
                for row, label in zip(x[start:start + self.args.BATCH], y[start:start + self.args.BATCH]):
                    means[label] += 0.1 * (row - means[label])
            distances = ((x[:, None] - means[None]) ** 2).sum(2)
            accuracy = (distances.argmin(1) == y).mean()
            # Numpy scalars, strings and missing values are all in use.
            train_log(train_loss=distances.min(1).mean(), train_acc="%.4f" % accuracy, val_loss=None)
            self.logger.info('epoch %d: %.4f', epoch, accuracy)
        os.makedirs(MODEL_PATH, exist_ok=True)
        np.savez(os.path.join(MODEL_PATH, 'means.npz'), means=means, labels=self.labels)


if __name__ == '__main__':
    parser = argparse.ArgumentParser()
    parser.add_argument("-e", "--EPOCHS", default=3, type=int)
    parser.add_argument("-b", "--BATCH", default=16, type=int)
    logging.basicConfig(level=logging.INFO)
    main = Main(parser.parse_args(), logging.getLogger(__name__))
    main.download_data()
    main.deal_with_data()
    main.train()
