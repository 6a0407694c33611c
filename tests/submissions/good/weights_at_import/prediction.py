import numpy as np
from flyai.framework import FlyAI

from backbone import features
from path import MODEL_PATH


class Prediction(FlyAI):
    def load_model(self):
        self.readout = np.load(MODEL_PATH + "/readout.npy")

    def predict(self, image_path):
        return {"label": np.argmax(features(image_path) @ self.readout)}
