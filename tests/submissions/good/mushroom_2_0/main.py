# -*- coding: utf-8 -*-
import argparse
import os

import torch
import torch.nn as nn
from flyai.data_helper import DataHelper
from flyai.framework import FlyAI
from flyai.utils.log_helper import train_log
from torch.utils.data import DataLoader

from net import SmallVGG
from pictures import Pictures

parser = argparse.ArgumentParser()
parser.add_argument("-e", "--EPOCHS", default=1, type=int, help="train epochs")
parser.add_argument("-b", "--BATCH", default=8, type=int, help="batch size")
args = parser.parse_args()

DATA_ID = "MushroomSketch"
train_csv = os.path.join(".", "data", "input", DATA_ID, "train.csv")
device = torch.device("cuda" if torch.cuda.is_available() else "cpu")

# The official sample keeps its model here, not under MODEL_PATH.
save_dir = './trained'
if not os.path.exists(save_dir):
    os.makedirs(save_dir)


class Main(FlyAI):
    def download_data(self):
        DataHelper().download_from_ids(DATA_ID)

    def deal_with_data(self):
        pictures = Pictures(train_csv)
        self.classes = max(label for _, label in pictures.rows) + 1
        self.loader = DataLoader(pictures, batch_size=args.BATCH, shuffle=True)

    def train(self):
        torch.manual_seed(0)
        net = SmallVGG(self.classes).to(device)
        optimizer = torch.optim.Adam(net.parameters(), lr=0.01)
        criterion = nn.CrossEntropyLoss()
        for epoch in range(args.EPOCHS):
            right, seen, total = 0, 0, 0.0
            for images, labels in self.loader:
                images, labels = images.to(device), labels.to(device)
                outputs = net(images)
                loss = criterion(outputs, labels)
                optimizer.zero_grad()
                loss.backward()
                optimizer.step()
                right += (outputs.argmax(1) == labels).sum()
                seen += len(labels)
                total += loss.item() * len(labels)
            train_log(train_loss=loss, train_acc=right.float() / seen)
            print('epoch', epoch, 'loss', total / seen, 'acc', float(right) / seen)
        torch.save(net, os.path.join(save_dir, 'best.pth'))


if __name__ == '__main__':
    main = Main()
    main.download_data()
    main.deal_with_data()
    main.train()
