import cv2
import numpy as np


class Classifier(object):
    """Nearest mean over small pictures and their edges; the whole object is saved."""

    def __init__(self, size=10):
        self.size = size
        self.means = {}

    def read(self, path):
        image = cv2.imread(path)
        if image is None:
            raise IOError("cannot read " + path)
        edges = cv2.Canny(image, 60, 120)[..., None].repeat(3, axis=2)
        small = [cv2.resize(part, (self.size, self.size)).astype(np.float32) for part in (image, edges)]
        return np.concatenate(small).ravel() / 255

    def fit(self, paths, labels):
        rows = np.stack([self.read(path) for path in paths])
        for label in sorted(set(labels)):
            self.means[label] = rows[[other == label for other in labels]].mean(axis=0)

    def answer(self, path):
        row = self.read(path)
        return min(self.means, key=lambda label: float(((self.means[label] - row) ** 2).sum()))
