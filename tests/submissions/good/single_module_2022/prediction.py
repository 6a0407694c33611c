# -*- coding: utf-8 -*
import numpy as np
from flyai_sdk import MODEL_PATH, FlyAI

from features import read_features


class Prediction(FlyAI):
    def __init__(self) -> None:
        self.model = None

    def load_model(self):
        saved = np.load(MODEL_PATH + "/linear.npz")
        self.model = saved["weights"]
        self.classes = saved["classes"]
        return self.model

    def predict(self, image_path):
        best = (read_features(image_path) @ self.model).argmax()
        return {"label": self.classes[best]}
