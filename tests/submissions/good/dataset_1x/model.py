# -*- coding: utf-8 -*
import os

import torch
from flyai.model.base import Base

from path import MODEL_PATH

__import__('net', fromlist=["Net"])

TORCH_MODEL_NAME = "model.pkl"


class Model(Base):
    def __init__(self, data):
        self.data = data
        self.net = None
        self.net_path = os.path.join(MODEL_PATH, TORCH_MODEL_NAME)
        if os.path.exists(self.net_path):
            self.net = torch.load(self.net_path)

    def predict(self, **data):
        if self.net is None:
            self.net = torch.load(self.net_path)
        x_data = torch.from_numpy(self.data.predict_data(**data))
        with torch.no_grad():
            outputs = self.net(x_data)
        return self.data.to_categorys(outputs.numpy())[0]

    def predict_all(self, datas):
        return [{"label": self.predict(**data)} for data in datas]

    def save_model(self, network, path, name=TORCH_MODEL_NAME, overwrite=False):
        self.check(path, overwrite)
        torch.save(network, os.path.join(path, name))
