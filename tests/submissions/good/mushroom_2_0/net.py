import torch.nn as nn


def block(inputs, outputs):
    return nn.Sequential(
        nn.Conv2d(inputs, outputs, 3, stride=2, padding=1),
        nn.ReLU(inplace=True),
        nn.MaxPool2d(2),
    )


class SmallVGG(nn.Module):
    """Three blocks of 3x3 convolutions for pictures of 224 pixels."""

    def __init__(self, num_classes):
        super(SmallVGG, self).__init__()
        self.features = nn.Sequential(block(3, 8), block(8, 16), block(16, 16))
        self.classifier = nn.Sequential(nn.Flatten(), nn.Linear(16 * 3 * 3, 64), nn.ReLU(), nn.Linear(64, num_classes))

    def forward(self, x):
        return self.classifier(self.features(x))
