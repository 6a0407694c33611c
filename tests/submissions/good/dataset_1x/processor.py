# -*- coding: utf-8 -*
import numpy
from flyai.processor.base import Base
from flyai.processor.download import check_download
from PIL import Image

from path import DATA_PATH


class Processor(Base):
    def input_x(self, image_path):
        path = check_download(image_path, DATA_PATH)
        image = Image.open(path).convert('RGB').resize((32, 32))
        return numpy.array(image).astype(numpy.float32).transpose(2, 0, 1) / 255.0 - 0.5

    def input_y(self, label):
        return label

    def output_y(self, data):
        return numpy.argmax(data, axis=1)
