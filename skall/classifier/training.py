"""Training rows: copies merged, weights expanded, batches drawn."""

from dataclasses import dataclass
from itertools import pairwise

import numpy as np
import torch
from scipy.sparse import coo_array
from scipy.sparse.csgraph import connected_components
from torch.utils.data import Dataset, Sampler

# Beyond this mean number of copies, weights enter the loss instead: an epoch must end.
MOST_COPIES = 100


@dataclass
class TrainingRows:
    """What is trained on: rows of X in an order that does not depend on theirs.

    Attributes
    ----------
    rows : ndarray of int
        Rows of X; a row of whole-number weight k occurs k times.
    targets : ndarray of int64
        Index of each row's class.
    weights : ndarray of float64 or None
        Weight of each row in the loss, of mean 1; None where all are equal.
    groups : ndarray of int
        Rows that must not be parted by an inner split.
    copies : ndarray of int
        0 for the first copy of a row, 1 for the second, and so on.
    by_group : bool
        Whether the groups are the user's; else they only keep the copies of an image together.
    """

    rows: np.ndarray
    targets: np.ndarray
    weights: np.ndarray | None
    groups: np.ndarray
    copies: np.ndarray
    by_group: bool

    def __len__(self):
        return len(self.rows)

    def take(self, items):
        """Some of the rows.

        Parameters
        ----------
        items : ndarray of int
        """
        weights = None if self.weights is None else self.weights[items]
        parts = (array[items] for array in (self.rows, self.targets))
        return TrainingRows(*parts, weights, self.groups[items], self.copies[items], self.by_group)


def gather_rows(images, targets, sample_weight=None, groups=None, class_weight=None):
    """Merge the copies of an image, so that weight k equals k copies in any order.

    Rows with the same image and class become one, in the order of the images' identities, with
    their weights summed. Whole-number weights expand to copies; others weigh the loss.

    Parameters
    ----------
    images : Images
        n rows.
    targets : ndarray of int, shape (n,)
        Index of each row's class.
    sample_weight : ndarray of float, shape (n,), optional
        Rows of weight 0 are left out.
    groups : ndarray, shape (n,), optional
        Copies of an image that lie in two groups join them.
    class_weight : ndarray of float, shape (n_classes,), optional
        Weight of each class in the loss.

    Returns
    -------
    TrainingRows
    """
    weight = np.ones(len(targets)) if sample_weight is None else sample_weight
    kept = np.flatnonzero(weight > 0)
    identities = np.array([images.identity(row) for row in kept], dtype=object)
    _, image_codes = np.unique(identities, return_inverse=True)
    pairs = np.stack([image_codes, targets[kept]], axis=1)
    _, first, unit = np.unique(pairs, axis=0, return_index=True, return_inverse=True)
    total = np.bincount(unit, weight[kept])
    group = _join_groups(image_codes, image_codes if groups is None else groups[kept].astype(str))

    rows, group = kept[first], group[first]
    copy = np.zeros(len(rows), dtype=int)
    if np.array_equal(total, np.rint(total)) and total.sum() <= MOST_COPIES * len(total):
        copies = total.astype(int)
        rows, group = np.repeat(rows, copies), np.repeat(group, copies)
        copy = np.concatenate([np.arange(count) for count in copies])
        total = np.ones(len(rows))
    if class_weight is not None:
        total = total * class_weight[targets[rows]]
    weights = None if np.ptp(total) == 0 else total / total.mean()
    by_group = groups is not None
    return TrainingRows(rows, targets[rows].astype(np.int64), weights, group, copy, by_group)


def _join_groups(image_codes, groups):
    """Number of the component, linked by shared images, that each row's group lies in."""
    _, group_codes = np.unique(groups, return_inverse=True)
    n_images = image_codes.max() + 1
    n_nodes = n_images + group_codes.max() + 1
    links = (np.ones(len(groups)), (image_codes, n_images + group_codes))
    _, component = connected_components(coo_array(links, shape=(n_nodes, n_nodes)), directed=False)
    return component[image_codes]


class CellDataset(Dataset):
    """Rows as batches: images or their features, class indices and weights.

    Parameters
    ----------
    read : callable
        ``read(items)`` returns a tensor with the images or features of these items.
    kind : {"images", "features"}
        The argument of :class:`~skall.network.network.Network` that takes them.
    targets : ndarray of int64, shape (n,)
        Index of each item's class; -1 where there is none.
    weights : ndarray of float64, shape (n,), optional
        Weight of each item in the loss.
    valid : Dataset, optional
        What is validated on while this is trained on.
    """

    def __init__(self, read, kind, targets, weights=None, valid=None):
        self.read = read
        self.kind = kind
        self.targets = targets
        self.weights = weights
        self.valid = valid

    def __len__(self):
        return len(self.targets)

    def __getitem__(self, item):
        inputs, target = self.__getitems__([item])
        return {name: tensor[0] for name, tensor in inputs.items()}, target[0]

    def __getitems__(self, items):
        """A batch, collated: whole batches are read at once."""
        inputs = {self.kind: self.read(items)}
        if self.weights is not None:
            inputs["sample_weight"] = torch.from_numpy(self.weights[items]).float()
        return inputs, torch.from_numpy(self.targets[items])


def take_batch(batch):
    """Collate nothing: the data set has made the batch."""
    return batch


class RowBatches(Sampler):
    """Batches of item numbers, none of a single item while there are others.

    A batch of one has no variance, which batch normalisation needs in training.

    Parameters
    ----------
    n_items, batch_size : int
    shuffle : bool
        Draw a new order, from torch's generator, at each pass.

    Examples
    --------
    >>> list(RowBatches(5, 2, shuffle=False))
    [[0, 1], [2, 3, 4]]
    """

    def __init__(self, n_items, batch_size, shuffle):
        self.n_items = n_items
        self.batch_size = batch_size
        self.shuffle = shuffle

    def __len__(self):
        return len(self._bounds()) - 1

    def _bounds(self):
        bounds = [*range(0, self.n_items, self.batch_size), self.n_items]
        if len(bounds) > 2 and bounds[-1] - bounds[-2] == 1:
            del bounds[-2]
        return bounds

    def __iter__(self):
        order = torch.randperm(self.n_items) if self.shuffle else torch.arange(self.n_items)
        bounds = self._bounds()
        for start, stop in pairwise(bounds):
            yield order[start:stop].tolist()
