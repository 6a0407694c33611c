# -*- coding: utf-8 -*-
import argparse

import torch
from flyai.dataset import Dataset

from model import Model
from net import Net
from path import MODEL_PATH

parser = argparse.ArgumentParser()
parser.add_argument("-e", "--EPOCHS", default=10, type=int, help="train epochs")
parser.add_argument("-b", "--BATCH", default=32, type=int, help="batch size")
args = parser.parse_args()

dataset = Dataset(epochs=args.EPOCHS, batch=args.BATCH)
model = Model(dataset)

_, y_train, _, _ = dataset.get_all_data()
torch.manual_seed(0)
net = Net(max(row['label'] for row in y_train) + 1)
optimizer = torch.optim.Adam(net.parameters(), lr=0.003)
criterion = torch.nn.CrossEntropyLoss()

best = -1.0
for step in range(dataset.get_step()):
    x_train, y_train = dataset.next_train_batch()
    loss = criterion(net(torch.from_numpy(x_train)), torch.from_numpy(y_train).long())
    optimizer.zero_grad()
    loss.backward()
    optimizer.step()
    x_val, y_val = dataset.next_validation_batch()
    with torch.no_grad():
        accuracy = (net(torch.from_numpy(x_val)).argmax(1).numpy() == y_val).mean()
    print(str(step + 1) + "/" + str(dataset.get_step()), loss.item(), accuracy)
    if accuracy > best:
        best = accuracy
        model.save_model(net, MODEL_PATH, overwrite=True)
