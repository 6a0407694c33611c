import os

import numpy as np
from flyai.framework import FlyAI

from models.perceptron import Perceptron
from path import MODEL_PATH
from utils.pictures import read_picture


class Prediction(FlyAI):
    def load_model(self):
        weights = np.loadtxt(os.path.join(MODEL_PATH, "weights.txt"))
        self.model = Perceptron(weights.shape[1] - 1, weights.shape[0])
        self.model.weights = weights

    def predict(self, image_path):
        return {"label": self.model.scores(read_picture(image_path)).argmax()}
