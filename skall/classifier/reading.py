"""What a network reads: images or their features, as they are or augmented."""

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial

import numpy as np
import torch

from skall.augmentation import View
from skall.cache import get_store
from skall.classifier.inner_split import hold_out, split_by_user
from skall.classifier.training import CellDataset
from skall.extraction import extract_features


def make_prediction_set(net, images):
    """The data set that a fitted network predicts.

    Parameters
    ----------
    net : CNNClassifier
    images : Images

    Returns
    -------
    CellDataset
        Without classes.
    """
    rows = np.arange(len(images))
    return CellDataset(*_make_reader(net, images, rows), np.full(len(rows), -1))


def make_training_set(net, images, learned):
    """The rows to train on, augmented, with those to validate on, as they are.

    Parameters
    ----------
    net : CNNClassifier
        With its network.
    images : Images
    learned : TrainingRows

    Returns
    -------
    CellDataset
    """
    train, valid = np.arange(len(learned)), None
    if net.early_stopping:
        train, valid = hold_out(learned, net.validation_fraction, net.seed_)
    elif net.train_split is not None:
        train, valid = split_by_user(net.train_split, learned)
    if isinstance(valid, np.ndarray):
        rows = learned.take(valid)
        valid = CellDataset(*_make_reader(net, images, rows.rows), rows.targets, rows.weights)
    rows = learned.take(train)
    if net.augment is not None and net.module_.is_fixed:
        extract = partial(_extract_view, net, images)
        reader = ViewReader(extract, rows.rows, rows.copies, net.augment_views), "features"
    else:
        reader = _make_reader(net, images, rows.rows)
    return CellDataset(*reader, rows.targets, rows.weights, valid)


def _make_reader(net, images, rows):
    """What reads rows as they are, and the kind of what it reads."""
    if net.module_.is_fixed:
        each, places = np.unique(rows, return_inverse=True)
        features = _extract(net, images, each, key=net.trunk_key_)
        return RowReader(features.__getitem__, places), "features"
    read = partial(images.read_batch, size=net.image_size_, store=get_store(net.memory))
    return RowReader(read, rows), "images"


def _extract_view(net, images, rows, number):
    # Views of a seed that nobody knows are not drawn again.
    key = None if net.random_state is None else net.trunk_key_
    return _extract(net, images, rows, key=key, view=View(net.augment, net.seed_, number))


def _extract(net, images, rows, **options):
    """Features of rows, each given once."""
    extractor, store = net.module_.extractor.eval(), get_store(net.memory)
    return extract_features(extractor, images, rows, net.image_size_, store=store, **options)


@dataclass(frozen=True)
class RowReader:
    """Images or features of items.

    Parameters
    ----------
    read : callable
        ``read(rows)`` returns a tensor.
    rows : ndarray of int
        The row of each item.
    """

    read: Callable
    rows: np.ndarray

    def __call__(self, items):
        return self.read(self.rows[items])


class ViewReader:
    """Features of another random view of each image in each epoch.

    Parameters
    ----------
    extract : callable
        ``extract(rows, view)`` returns the features of one view of these rows, each given once.
    rows, copies : ndarray of int, shape (n,)
        As in :class:`TrainingRows`. Copies of a row are shown in different views.
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
        # A process that loads batches makes no views, and needs no network for that.
        return vars(self) | {"extract": None}

    def set_epoch(self, epoch):
        """Go to an epoch, counted from 0, and make the views that it needs."""
        self.epoch = epoch
        for view in np.unique((epoch + self.copies) % self.n_views).tolist():
            if view not in self._views:
                self._views[view] = self.extract(self.rows, view)

    def __call__(self, items):
        views = (self.epoch + self.copies[items]) % self.n_views
        places = self.places[items]
        pairs = zip(views.tolist(), places.tolist(), strict=True)
        return torch.stack([self._views[view][place] for view, place in pairs])
