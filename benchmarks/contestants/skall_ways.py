"""skall, as a user calls it."""

import tempfile

import numpy as np
import torch
from sklearn.model_selection import cross_validate

import skall
from contestants.inputs import list_files, read_decoded
from contestants.timing import Timer
from skall.cache.memory import IN_PROCESS
from skall.network.frozen import LAST_TRUNK
from skall.network.precision import choose_numerics


def make_estimator(task, **params):
    """The estimator of a task."""
    return skall.get_estimator(
        task["network"],
        weights=task["weights"],
        image_size=task["size"],
        batch_size=task["batch_size"],
        device="cpu",
        # A random trunk without a seed would be another one in each fold.
        random_state=0,
        **params,
    )


def prepare_frozen(task):
    """A whole cross-validation of a frozen trunk, from files, with nothing kept from before."""
    paths, targets = list_files(task)
    net = make_estimator(task, trainable="head", head=task["head"], max_epochs=task["epochs"])
    precision = choose_numerics("auto", task["network"], torch.device("cpu")).precision

    def run():
        IN_PROCESS.clear()
        LAST_TRUNK.clear()
        with Timer() as timer:
            cross_validate(
                net, paths.reshape(-1, 1), targets, cv=task["folds"], error_score="raise"
            )
        return {"seconds": {"cross-validation": timer.seconds}, "precision": precision}

    return run


def prepare_training(task):
    """Fit on decoded images: the step, from the seconds of the epoch, and the whole of `fit`."""
    images, targets = read_decoded(task)

    def run():
        IN_PROCESS.clear()
        net = make_estimator(task, max_epochs=1)
        with Timer() as timer:
            net.fit(images, targets)
        step = net.history_frame_["dur"].iloc[-1] / task["steps"]
        return {"seconds": {"step": step, "fit": timer.seconds}, "precision": net.precision_}

    return run


def prepare_prediction(task):
    """Probabilities of one batch of decoded images, of which nothing is kept."""
    images, net = _fit_once(task)
    return _predict(net, images, task)


def prepare_runtime(task, runtime):
    """The same with what was exported, in another runtime."""
    images, net = _fit_once(task)
    with tempfile.TemporaryDirectory() as folder:
        net.save(folder, format="onnx")
        return _predict(skall.load(folder, runtime=runtime), images, task)


def _fit_once(task):
    """Images to predict, and what predicts them: fitted to two, so that it needs little memory."""
    images, targets = read_decoded(task)
    _, few = np.unique(targets, return_index=True)
    net = make_estimator(task, max_epochs=1, memory=None)
    return images[: task["batch_size"]], net.fit(images[few], targets[few])


def _predict(net, images, task):
    def run():
        with Timer() as timer:
            for _ in range(task["repeats"]):
                net.predict_proba(images)
        precision = getattr(net, "precision_", "float32")
        return {"seconds": {"batch": timer.seconds / task["repeats"]}, "precision": precision}

    return run
