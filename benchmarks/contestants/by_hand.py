"""PyTorch without an estimator: what is possible on this machine."""

from concurrent.futures import ThreadPoolExecutor

import numpy as np
import torch
from PIL import Image
from processor import has_bfloat16
from torch.nn.functional import cross_entropy

from contestants import NotThere
from contestants.folding import find_pairs, fold_batch_norm, fold_pairs
from contestants.inputs import list_files, read_decoded, split_folds
from contestants.networks import Classifier, FromBytes, make_head, pool
from contestants.timing import Timer
from skall.backbones.weights import build_trunk

TRUNK_LR, HEAD_LR, WEIGHT_DECAY = 1e-4, 1e-3, 0.01


def check_precision(precision):
    """Leave bfloat16 out where it is only emulated."""
    if precision == "bfloat16" and not has_bfloat16():
        raise NotThere("this processor has no bfloat16 instructions")


def order_memory(model, channels_last):
    """The model with its weights in this order of memory."""
    layout = torch.channels_last if channels_last else torch.contiguous_format
    return model.to(memory_format=layout)


# -- training -------------------------------------------------------------------------------------


def make_step(model, precision, device="cpu"):
    """One step of training, which neither copies nor waits: images and classes are on the device.

    Parameters
    ----------
    model : FromBytes
    precision : {"float32", "bfloat16"}
    device : str, default="cpu"

    Returns
    -------
    callable
        ``step(images, targets)``, which returns the loss.
    """
    optimizer = torch.optim.AdamW(
        model.parameters(), lr=TRUNK_LR, weight_decay=WEIGHT_DECAY, fused=True
    )
    enabled = precision == "bfloat16"

    def step(images, targets):
        with torch.autocast(device, torch.bfloat16, enabled=enabled):
            loss = cross_entropy(model(images), targets)
        loss.backward()
        optimizer.step()
        # At once: CUDA graphs write the next gradients where these are.
        optimizer.zero_grad()
        return loss.detach()

    return step


def prepare_training(task, channels_last, precision="float32"):
    """An epoch of steps on bytes in memory."""
    check_precision(precision)
    images, targets = map(torch.from_numpy, read_decoded(task))
    model = order_memory(Classifier(task), channels_last)
    step = make_step(FromBytes(model, task["network"], channels_last), precision)

    def run():
        with Timer() as timer:
            for rows in torch.randperm(len(images)).split(task["batch_size"]):
                step(images[rows], targets[rows])
        return {"seconds": {"step": timer.seconds / task["steps"]}, "precision": precision}

    return run


# -- prediction -----------------------------------------------------------------------------------


def make_predictor(task, images, channels_last, folded=False, precision="float32"):
    """A network in evaluation mode, ready for bytes.

    Parameters
    ----------
    task : dict
    images : Tensor of uint8, shape (n, h, w, 3)
        To follow through the network.
    channels_last, folded : bool
    precision : {"float32", "bfloat16"}

    Returns
    -------
    FromBytes
    """
    model = Classifier(task).eval()
    if folded:
        fold_batch_norm(model, FromBytes(model, task["network"], False).normalise(images[:2]))
    dtype = getattr(torch, precision)
    model = order_memory(model.to(dtype), channels_last)
    return FromBytes(model, task["network"], channels_last, dtype).eval()


def prepare_prediction(task, channels_last, folded=False, precision="float32"):
    """Probabilities of one batch of decoded images."""
    check_precision(precision)
    images = torch.from_numpy(read_decoded(task)[0][: task["batch_size"]])
    model = make_predictor(task, images, channels_last, folded, precision)

    def run():
        with torch.inference_mode(), Timer() as timer:
            for _ in range(task["repeats"]):
                model(images).float().softmax(1).numpy()
        return {"seconds": {"batch": timer.seconds / task["repeats"]}, "precision": precision}

    return run


# -- the ideal of a frozen trunk ------------------------------------------------------------------


def prepare_frozen(task):
    """Each file decoded once, one trunk built and run once, heads trained with nothing around.

    What can be folded, and that it may be, is known before.
    """
    paths, targets = list_files(task)
    precision = "bfloat16" if has_bfloat16() else "float32"
    example = torch.from_numpy(np.stack([decode(paths[0], task["size"])]))
    known = build_trunk(task["network"], task["weights"]).eval()
    images = FromBytes(known, task["network"], False).normalise(example)
    pairs = find_pairs(known, images)
    fold_batch_norm(known, images)
    classes = torch.from_numpy(targets)
    folds = split_folds(targets, task["folds"])

    def run():
        with Timer() as timer:
            trunk = build_trunk(task["network"], task["weights"]).eval()
            dtype = getattr(torch, precision)
            trunk = order_memory(fold_pairs(trunk, pairs).to(dtype), channels_last=True)
            features = _read_all(FromBytes(trunk, task["network"], True, dtype), paths, task)
            for train, test in folds:
                head = _train_head(task, features, classes, train)
                head.eval()
                with torch.inference_mode():
                    (head(features[test]).argmax(1) == classes[test]).float().mean().item()
        return {"seconds": {"cross-validation": timer.seconds}, "precision": precision}

    return run


def decode(path, size):
    """An image file as uint8 ``(size, size, 3)``."""
    with Image.open(path) as image:
        return np.asarray(image.convert("RGB").resize((size, size), Image.Resampling.BILINEAR))


def _read_features(trunk, images, head):
    with torch.inference_mode():
        return pool(trunk(images), head).float()


def _read_all(trunk, paths, task):
    with ThreadPoolExecutor(task["threads"]) as threads:
        images = np.stack(list(threads.map(lambda path: decode(path, task["size"]), paths)))
    batches = torch.from_numpy(images).split(task["batch_size"])
    # A copy outside of inference mode, which training may read.
    return torch.cat([_read_features(trunk, batch, task["head"]) for batch in batches]).clone()


def _train_head(task, features, targets, rows):
    head = make_head(task["head"], features.shape[1:])
    optimizer = torch.optim.AdamW(
        head.parameters(), lr=HEAD_LR, weight_decay=WEIGHT_DECAY, fused=True
    )
    rows = torch.from_numpy(rows)
    for _ in range(task["epochs"]):
        for batch in rows[torch.randperm(len(rows))].split(task["batch_size"]):
            optimizer.zero_grad()
            cross_entropy(head(features[batch]), targets[batch]).backward()
            optimizer.step()
    return head
