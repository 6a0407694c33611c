import numpy as np
from PIL import Image


def read_picture(path, size=12):
    return np.asarray(Image.open(path).convert("RGB").resize((size, size)), dtype=np.float32).ravel() / 255
