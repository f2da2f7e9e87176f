"""Data sets and their batches."""

from itertools import pairwise

import torch
from torch.utils.data import Dataset, Sampler

from skall.cache.shared_time import SHARED_TIME
from skall.images.prefetch import read_ahead


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


def read_batches(iterator, ahead=False):
    """Batches, each read during the step before where files are read or `ahead` is True."""
    reads_files = getattr(getattr(iterator.dataset, "read", None), "reads_files", False)
    has_workers = getattr(iterator, "num_workers", 0)
    early = (reads_files or ahead) and not has_workers
    return SHARED_TIME.iterate(read_ahead(iterator) if early else iterator)


def find_rows(x):
    """The kind of the rows in a batch, and the rows."""
    return next((name, x[name]) for name in ("images", "features") if name in x)


def send(rows, device):
    """Rows on a device; what is done there next comes after them, and nobody waits."""
    return rows.to(device, non_blocking=True)


def send_batch(batch, device):
    """A batch on a device; the device is not waited for."""
    inputs, targets = batch
    return {name: send(rows, device) for name, rows in inputs.items()}, send(targets, device)


def weigh_loss(criterion, y_pred, y_true, weights):
    """The mean of a criterion's losses, weighted by row."""
    if not hasattr(criterion, "reduction"):
        raise ValueError(
            f"criterion={type(criterion).__name__} cannot weigh rows, because it has no attribute "
            "`reduction`; fit without sample_weight and class_weight, or add it"
        )
    reduction, criterion.reduction = criterion.reduction, "none"
    try:
        losses = criterion(y_pred, y_true)
    finally:
        criterion.reduction = reduction
    return (losses * weights.to(losses)).mean()


def record_scores(history, prefix, batch, step):
    """Record a batch in skorch's history, with scores that stay on the device for now."""
    hits = step["y_pred"].detach().argmax(dim=1) == batch[1]
    history.record_batch(f"{prefix}_loss", step["loss"].detach())
    history.record_batch(f"{prefix}_acc", hits.float().mean())
    history.record_batch(f"{prefix}_batch_size", len(batch[1]))


def fetch_scores(history):
    """Bring the scores of the last epoch from the device, all at once."""
    records = [
        (batch, name)
        for batch in history[-1]["batches"]
        for name, value in batch.items()
        if torch.is_tensor(value)
    ]
    if records:
        values = torch.stack([batch[name].float() for batch, name in records]).tolist()
        for (batch, name), value in zip(records, values, strict=True):
            batch[name] = value
