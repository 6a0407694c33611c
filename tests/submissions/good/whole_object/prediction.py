import os
import pickle

from flyai.framework import FlyAI

from path import MODEL_PATH


class Prediction(FlyAI):
    def __init__(self):
        self.model = None

    def load_model(self):
        with open(os.path.join(MODEL_PATH, "model.pkl"), "rb") as stream:
            self.model = pickle.load(stream)

    def predict(self, image_path):
        # The two leading characters are dropped, as some submissions do.
        path = image_path[2:] if image_path.startswith("./") else image_path
        return {"label": self.model.answer(path)}
