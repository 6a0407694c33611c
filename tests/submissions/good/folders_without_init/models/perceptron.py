import numpy as np


class Perceptron(object):
    def __init__(self, inputs, classes):
        self.weights = np.zeros((classes, inputs + 1))

    def scores(self, x):
        return self.weights[:, :-1] @ x + self.weights[:, -1]

    def update(self, x, label):
        guess = self.scores(x).argmax()
        if guess != label:
            for row, sign in ((label, 1), (guess, -1)):
                self.weights[row, :-1] += sign * x
                self.weights[row, -1] += sign
        return guess == label
