import os

import numpy as np
from flyai.framework import FlyAI
from PIL import Image

from path import MODEL_PATH


class Prediction(FlyAI):
    def load_model(self):
        saved = np.load(os.path.join(MODEL_PATH, 'means.npz'))
        self.means, self.labels = saved['means'], saved['labels']

    def predict(self, **input_data):
        image = Image.open(input_data['image_path']).convert('RGB').resize((10, 10))
        row = np.asarray(image).astype(float).ravel() / 255
        return {'label': self.labels[((self.means - row) ** 2).sum(1).argmin()].item()}


if __name__ == '__main__':
    predictor = Prediction()
    predictor.load_model()
    print(predictor.predict(image_path='data/input/MushroomSketch/image/0.png'))
