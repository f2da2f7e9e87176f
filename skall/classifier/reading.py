"""The inputs of a network: images or their features, with or without augmentation."""

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial

import numpy as np
import torch

from skall.cache.memory import get_store
from skall.cache.shared_time import SHARED_TIME
from skall.classifier.batches import CellDataset
from skall.classifier.holding import Held, hold
from skall.classifier.inner_split import hold_out, split_by_user
from skall.features.extraction import extract_features, identify_extractor
from skall.images.rows import FileImages
from skall.preprocessing.augmentation import View


def make_prediction_set(net, images):
    """Make the data set that a fitted network predicts.

    Parameters
    ----------
    net : CNNClassifier
    images : Images

    Returns
    -------
    dataset : CellDataset
        Without classes.
    """
    rows = np.arange(len(images))
    return CellDataset(*_make_reader(net, images, rows), np.full(len(rows), -1))


def make_training_set(net, images, learned):
    """Make the data set to train on, augmented, and with it the one to validate on, as it is.

    Parameters
    ----------
    net : CNNClassifier
        With its network initialized.
    images : Images
    learned : TrainingRows

    Returns
    -------
    dataset : CellDataset
    """
    train, valid = np.arange(len(learned)), None
    if net.early_stopping:
        train, valid = hold_out(learned, net.validation_fraction, net.seed_)
    elif net.train_split is not None:
        train, valid = split_by_user(net.train_split, learned)
    if isinstance(valid, np.ndarray):
        rows = learned.take(valid)
        read = _make_reader(net, images, rows.rows, _may_hold(net, "iterator_valid"))
        valid = CellDataset(*read, rows.targets, rows.weights)
    rows = learned.take(train)
    return CellDataset(*_make_training_reader(net, images, rows), rows.targets, rows.weights, valid)


def _may_hold(net, iterator):
    """Whether rows may be kept on a device: not with loader processes or pinned memory."""
    loading = net.get_params_for(iterator)
    return not (loading.get("num_workers") or loading.get("pin_memory"))


def _make_training_reader(net, images, rows):
    """A reader of rows to train on, and the kind of its tensors."""
    module = net.module_
    held = _may_hold(net, "iterator_train")
    if net.augment is None:
        return _make_reader(net, images, rows.rows, held)
    if module.front is None or not (module.is_fixed or net.augment_views > 1):
        return _read_images(net, images, rows.rows, held)
    extract = partial(_extract_view, net, images)
    return ViewReader(extract, rows.rows, rows.copies, net.augment_views), "features"


def _make_reader(net, images, rows, held=False):
    """A reader of rows without augmentation, and the kind of its tensors."""
    if net.module_.front is None:
        return _read_images(net, images, rows, held)
    each, places = np.unique(rows, return_inverse=True)
    features = _extract(net, images, each)
    read = features.__getitem__
    if held:
        read = hold(read, len(each), net.module_.device)
    return RowReader(read, places), "features"


def _read_images(net, images, rows, held):
    read = partial(images.read_batch, size=net.image_size_, store=get_store(net.memory))
    if held:
        each, places = np.unique(rows, return_inverse=True)
        kept = hold(lambda places: read(each[places]), len(each), net.module_.device)
        if isinstance(kept, Held):
            return RowReader(kept, places), "images"
    return RowReader(read, rows, reads_files=isinstance(images, FileImages)), "images"


def _extract_view(net, images, rows, number):
    # Views of an unknown seed are never drawn again, so that there is no use in storing them.
    known = net.random_state is not None
    return _extract(net, images, rows, known, view=View(net.augment, net.seed_, number))


@SHARED_TIME.running()
def _extract(net, images, rows, known=True, view=None):
    """Features of rows, each given once."""
    front = net.module_.front
    key = None
    if known:
        key = identify_extractor(front, net.backbone, net.weights, net.random_state)
    options = {"store": get_store(net.memory), "key": key, "view": view}
    return extract_features(front, images, rows, net.image_size_, **options)


@dataclass(frozen=True)
class RowReader:
    """Images or features of items.

    Parameters
    ----------
    read : callable
        ``read(rows)`` returns a tensor.
    rows : ndarray of int
        The row of each item.
    reads_files : bool, default=False
        Whether reading is slow, so that the next batch should be prefetched.
    """

    read: Callable
    rows: np.ndarray
    reads_files: bool = False

    def __call__(self, items):
        return self.read(self.rows[items])


class ViewReader:
    """Features of images with another random augmentation (a view) in each epoch.

    Parameters
    ----------
    extract : callable
        ``extract(rows, view)`` returns the features of a view of these rows, each given once.
    rows, copies : ndarray of int, shape (n,)
        As in :class:`TrainingRows`. Copies of a row get different views.
    n_views : int
    """

    def __init__(self, extract, rows, copies, n_views):
        self.extract = extract
        self.rows, self.places = np.unique(rows, return_inverse=True)
        self.copies = copies
        self.n_views = n_views
        self.epoch = 0
        self._views = {}

    def __getstate__(self):
        # A loader process makes no views, and needs no network.
        return vars(self) | {"extract": None}

    def set_epoch(self, epoch):
        """Set the epoch, counted from 0, and compute the views that it needs."""
        self.epoch = epoch
        for view in np.unique((epoch + self.copies) % self.n_views).tolist():
            if view not in self._views:
                self._views[view] = self.extract(self.rows, view)

    def __call__(self, items):
        views, places = (self.epoch + self.copies[items]) % self.n_views, self.places[items]
        features = [self._views[view][[place]] for view, place in zip(views, places, strict=True)]
        return torch.cat(features)
