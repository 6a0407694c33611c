# -*- coding: utf-8 -*
import os

import cv2
import numpy as np
from flyai.framework import FlyAI

from path import MODEL_PATH


class Prediction(FlyAI):
    def load_model(self):
        self.means = np.load(os.path.join(MODEL_PATH, "means.npy"))
        self.labels = np.load(os.path.join(MODEL_PATH, "labels.npy"))

    def predict(self, image_path):
        image = cv2.resize(cv2.imread(image_path), (12, 12)).astype(np.float32)
        distances = ((self.means - image) ** 2).sum(axis=(1, 2, 3))
        return {"label": int(self.labels[distances.argmin()])}
