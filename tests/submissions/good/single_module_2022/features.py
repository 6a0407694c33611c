import numpy as np
from PIL import Image


def read_features(path):
    """A small copy of the picture and a constant."""
    image = Image.open(path).convert('RGB').resize((8, 8), Image.BILINEAR)
    values = np.asarray(image, dtype=np.float64).ravel() / 255.0 - 0.5
    return np.append(values, 1.0)
