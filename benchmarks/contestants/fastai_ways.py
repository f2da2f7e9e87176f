"""fastai as its tutorial trains on folders of images."""

import warnings
from pathlib import Path

from fastai.callback.core import Callback
from fastai.callback.progress import ProgressCallback
from fastai.learner import Learner
from fastai.losses import CrossEntropyLossFlat
from fastai.metrics import accuracy
from fastai.torch_core import default_device
from fastai.vision.augment import Normalize, Resize, ResizeMethod
from fastai.vision.data import ImageDataLoaders

from contestants.by_hand import TRUNK_LR
from contestants.inputs import MEAN, STD
from contestants.networks import Classifier
from contestants.timing import Timer


class EpochTimer(Callback):
    """Seconds and steps of the training part of an epoch, without its validation."""

    def before_train(self):
        self.steps = 0
        self.timer = Timer().__enter__()

    def after_batch(self):
        self.steps += self.training

    def after_train(self):
        self.timer.__exit__()


def prepare_training(task):
    """An epoch from files; fastai leaves the incomplete batch of an epoch out."""
    default_device(use=False)
    loaders = ImageDataLoaders.from_folder(
        Path(task["folder"], "files"),
        # fastai validates after each epoch, on something.
        valid_pct=0.01,
        seed=0,
        item_tfms=Resize(task["size"], method=ResizeMethod.Squish),
        batch_tfms=Normalize.from_stats(MEAN, STD),
        bs=task["batch_size"],
        num_workers=0,
    )
    timer = EpochTimer()
    learner = Learner(
        loaders, Classifier(task), loss_func=CrossEntropyLossFlat(), metrics=accuracy, cbs=timer
    )
    learner.remove_cb(ProgressCallback)

    def run():
        with learner.no_logging(), warnings.catch_warnings():
            warnings.simplefilter("ignore")
            learner.fit(1, TRUNK_LR)
        seconds = timer.timer.seconds / timer.steps
        note = f"{timer.steps} steps"
        return {"seconds": {"step": seconds}, "precision": "float32", "note": note}

    return run
