import cv2
import numpy as np
from flyai.framework import FlyAI


class Prediction(FlyAI):
    def load_model(self):
        saved = np.load("neighbours.npz")
        self.colours, self.labels = saved["colours"], saved["labels"]

    # Competitions with further input columns give them by name; here they may be absent.
    def predict(self, image_path, age=None, sex=None):
        colour = cv2.imread(image_path).mean(axis=(0, 1))
        nearest = ((self.colours - colour) ** 2).sum(axis=1).argsort()[:5]
        votes = self.labels[nearest].tolist()
        return {"label": max(set(votes), key=votes.count)}
