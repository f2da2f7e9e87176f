"""The loop of PyTorch's tutorials: ImageFolder, DataLoader, float32, Adam."""

from pathlib import Path

import torch
from torch import nn
from torch.utils.data import DataLoader
from torchvision.datasets import ImageFolder
from torchvision.transforms import Compose, Normalize, Resize, ToTensor

from contestants.by_hand import TRUNK_LR
from contestants.inputs import MEAN, STD
from contestants.networks import Classifier
from contestants.timing import Timer


def make_folder(task):
    """The image files as torchvision reads them, decoded at each access."""
    size = task["size"]
    transform = Compose([Resize((size, size)), ToTensor(), Normalize(MEAN, STD)])
    return ImageFolder(Path(task["folder"], "files"), transform)


def train_epoch(model, loader, optimizer, device="cpu"):
    """One epoch, with the loss and accuracy that tutorials print."""
    criterion = nn.CrossEntropyLoss()
    model.train()
    total, right = 0.0, 0
    for images, targets in loader:
        images, targets = images.to(device), targets.to(device)
        optimizer.zero_grad()
        logits = model(images)
        loss = criterion(logits, targets)
        loss.backward()
        optimizer.step()
        total += loss.item() * len(images)
        right += (logits.argmax(1) == targets).sum().item()
    return total, right


def predict(model, loader, device="cpu"):
    """Classes of all images, batch by batch."""
    model.eval()
    with torch.no_grad():
        return torch.cat([model(images.to(device)).argmax(1).cpu() for images, _ in loader])


def prepare_training(task):
    """An epoch from files."""
    loader = DataLoader(make_folder(task), batch_size=task["batch_size"], shuffle=True)
    model = Classifier(task)
    optimizer = torch.optim.Adam(model.parameters(), lr=TRUNK_LR)

    def run():
        with Timer() as timer:
            train_epoch(model, loader, optimizer)
        return {"seconds": {"step": timer.seconds / task["steps"]}, "precision": "float32"}

    return run
