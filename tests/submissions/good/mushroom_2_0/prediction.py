# -*- coding: utf-8 -*
import numpy as np
import torch
from flyai.framework import FlyAI

from pictures import load_image


class Prediction(FlyAI):
    def load_model(self):
        self.device = torch.device("cuda" if torch.cuda.is_available() else "cpu")
        self.model = torch.load('./trained/best.pth', map_location=self.device)
        self.model.eval()

    def predict(self, image_path):
        images = load_image(image_path).unsqueeze(0).to(self.device)
        with torch.no_grad():
            scores = self.model(images)
        return {"label": np.argmax(scores.cpu().numpy())}
