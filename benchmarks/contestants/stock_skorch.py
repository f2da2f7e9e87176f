"""skorch as it comes, with torchvision's ImageFolder."""

import torch
from skorch import NeuralNetClassifier
from torch import nn
from torch.utils.data import Subset

from contestants.by_hand import HEAD_LR, TRUNK_LR
from contestants.inputs import split_folds
from contestants.networks import Classifier
from contestants.timing import Timer, scale_up
from contestants.tutorial import make_folder


def make_net(task, frozen):
    """The estimator; it validates on nothing, as skall does by default."""
    return NeuralNetClassifier(
        Classifier,
        module__task=task,
        module__frozen=frozen,
        criterion=nn.CrossEntropyLoss,
        optimizer=torch.optim.Adam,
        lr=HEAD_LR if frozen else TRUNK_LR,
        max_epochs=1,
        batch_size=task["batch_size"],
        iterator_train__shuffle=True,
        train_split=None,
        classes=[0, 1],
        verbose=0,
    )


def prepare_training(task):
    """An epoch from files: the step, from the seconds of the epoch, and the whole of `fit`."""
    folder = make_folder(task)

    def run():
        net = make_net(task, frozen=False)
        with Timer() as timer:
            net.fit(folder, y=None)
        step = net.history[-1, "dur"] / task["steps"]
        return {"seconds": {"step": step, "fit": timer.seconds}, "precision": "float32"}

    return run


def prepare_frozen(task):
    """An epoch and a prediction of the first fold, scaled up to all."""
    folder = make_folder(task)
    train, test = split_folds(folder.targets, task["folds"])[0]

    def run():
        net = make_net(task, frozen=True).fit(Subset(folder, train), y=None)
        with Timer() as timer:
            net.predict(Subset(folder, test))
        return {**scale_up(net.history[-1, "dur"], timer.seconds, task), "precision": "float32"}

    return run
