"""What a training does in each epoch and step, with one wait for the device an epoch."""

from contextlib import nullcontext
from functools import partial

import torch
from skorch import NeuralNetClassifier
from torch import nn

from skall.cache.shared_time import SHARED_TIME
from skall.classifier.stopping import MovingAverage, copy_state
from skall.classifier.training import RowBatches, take_batch
from skall.images.prefetch import read_ahead
from skall.network.blocks import (
    BLOCK,
    choose_multiple,
    choose_pass_size,
    run_halved,
    run_padded,
)
from skall.network.folding import accelerate, make_probe
from skall.network.frozen import ModuleState
from skall.preprocessing.augmentation import make_augmentation


class MadeParts:
    """Parts of a network that were compiled or made for prediction; copies start without them.

    An object of its own, because prediction must leave the attributes of an estimator as they are.
    """

    def __init__(self):
        self.clear()

    def clear(self):
        """Forget them."""
        self._found = {}

    def get(self, kind, made_of, make):
        """The part for this kind of rows that was made of this, or what ``make()`` makes."""
        # Read at once: another thread may predict.
        known, part = self._found.get(kind, (None, None))
        if known != made_of:
            part = make()
            self._found[kind] = made_of, part
        return part

    def __bool__(self):
        return bool(self._found)

    def __reduce__(self):
        return MadeParts, ()


class EpochLoop(NeuralNetClassifier):
    """skorch's loop over epochs and batches, as :class:`CellNet` has it."""

    # -- epochs -------------------------------------------------------------------------------

    def on_train_begin(self, net, X=None, y=None, **kwargs):
        vars(self).pop("best_epoch_", None)
        self._average = None
        if self.ema_decay is not None:
            self._average = MovingAverage(self.module_, self.ema_decay)
        changes = X.kind == "images"
        self._augmentation = make_augmentation(self.augment) if changes else None

    def on_train_end(self, net, **kwargs):
        if self._average is not None:
            copy_state(self._average.state, self.module_)

    def on_epoch_begin(self, net, dataset_train=None, **kwargs):
        super().on_epoch_begin(net, dataset_train=dataset_train, **kwargs)
        epoch = len(self.history) - 1
        self.module_.freeze(*[self.module_.extractor] if epoch < self.unfreeze_after else [])
        if hasattr(dataset_train.read, "set_epoch"):
            dataset_train.read.set_epoch(epoch)

    def get_kept_state(self):
        """The weights that would be kept if training ended now, by name."""
        if self._average is not None:
            return self._average.state
        return self.module_.learned_state()

    def run_single_epoch(self, iterator, training, prefix, step_fn, **fit_params):
        # As skorch's, but scores stay on the device until the epoch is over.
        if iterator is None:
            return
        # What is validated is what would be kept.
        averaged = self._average is not None and not training
        n_batches = 0
        try:
            with self._average.applied() if averaged else nullcontext():
                for batch in map(self._bring, _read_batches(iterator)):
                    self.notify("on_batch_begin", batch=batch, training=training)
                    step = step_fn(batch, **fit_params)
                    self._record_batch(prefix, batch, step)
                    self.notify("on_batch_end", batch=batch, training=training, **step)
                    n_batches += 1
        finally:
            self._fetch_scores()
        self.history.record(prefix + "_batch_count", n_batches)

    def _bring(self, batch):
        """A batch on the device of the network; the device is not waited for."""
        inputs, targets = batch
        inputs = {name: _send(rows, self.module_.device) for name, rows in inputs.items()}
        return inputs, _send(targets, self.module_.device)

    def _record_batch(self, prefix, batch, step):
        hits = step["y_pred"].detach().argmax(dim=1) == batch[1]
        self.history.record_batch(f"{prefix}_loss", step["loss"].detach())
        self.history.record_batch(f"{prefix}_acc", hits.float().mean())
        self.history.record_batch(f"{prefix}_batch_size", len(batch[1]))

    def _fetch_scores(self):
        """Bring this epoch's scores from the device, all at once."""
        records = [
            (batch, name)
            for batch in self.history[-1]["batches"]
            for name, value in batch.items()
            if torch.is_tensor(value)
        ]
        if records:
            values = torch.stack([batch[name].float() for batch, name in records]).tolist()
            for (batch, name), value in zip(records, values, strict=True):
                batch[name] = value

    def on_batch_end(self, net, batch=None, training=False, **step):
        if training and self._average is not None:
            self._average.update()

    # -- data ---------------------------------------------------------------------------------

    def get_iterator(self, dataset, training=False, batch_size=None):
        # Whole batches are read at once, in an order drawn here, and none has a single row.
        name = "iterator_train" if training else "iterator_valid"
        batch_size = batch_size or self.batch_size
        options = {"batch_size": batch_size, "shuffle": training} | self.get_params_for(name)
        batch_size, shuffle = options.pop("batch_size"), options.pop("shuffle")
        batches = RowBatches(len(dataset), batch_size if batch_size > 0 else len(dataset), shuffle)
        # A loader draws a seed for workers; by default from torch's own generator.
        own = {"batch_sampler": batches, "collate_fn": take_batch, "generator": torch.Generator()}
        options = own | options
        return getattr(self, name)(dataset, **options)

    # -- steps --------------------------------------------------------------------------------

    def _set_training(self, training=True):
        # skorch goes through all layers for every batch.
        if self.module_.training != training or self.criterion_.training != training:
            super()._set_training(training)

    def train_step(self, batch, **fit_params):
        # Here, where neither validation nor prediction passes, and on the device.
        inputs, targets = batch
        if self._augmentation is not None:
            batch = inputs | {"images": self._augmentation(inputs["images"])}, targets
        return super().train_step(batch, **fit_params)

    def infer(self, x, part=None, **fit_params):
        # Rows are padded so that a prediction does not depend on its batch, and so that batch
        # normalisation never trains on a single row.
        kind, rows = _find_rows(x)
        if self.module_.training:
            multiple = 2 if len(rows) == 1 else 1
        elif kind == "features" and self.module_.is_fixed:
            multiple = BLOCK
        else:
            multiple = choose_multiple(len(rows), self.image_size_)
        rows = _send(rows, self.module_.device)
        part = self._choose_part(x) if part is None else part
        # Halves of a batch are other batches to what is trained.
        run = run_padded if self.module_.training else run_halved
        return run(lambda padded: self.module_.classify(part(padded)), rows, multiple)

    def _choose_part(self, x, accelerated=False):
        """What turns such rows into what the head takes."""
        kind, rows = _find_rows(x)
        part = self.module_.extractor if kind == "images" else self.module_.back
        if part is None:
            return nn.Identity()
        if self.compile:
            return self._make_part(part, kind, None, self._compile)
        if accelerated:
            make = partial(self._accelerate, kind, rows)
            return self._make_part(part, kind, ModuleState(part), make)
        return part

    def _make_part(self, part, kind, state, make):
        """The part that was made of this one, if it is not out of date."""
        made_of = state, id(self.module_), str(self.module_.device), part.numerics
        return self._made_parts.get(kind, made_of, lambda: make(part))

    def _accelerate(self, kind, rows, part):
        device = self.module_.device
        sample = make_probe(self.image_size_, device) if kind == "images" else rows[:1].to(device)
        return accelerate(part, sample)

    def _compile(self, part):
        options = self.get_params_for("compile")
        if self.module_.device.type == "cuda" and not {"mode", "options", "backend"} & set(options):
            # CUDA graphs take away the cost of launching small kernels.
            options["mode"] = "reduce-overhead"
        # torch counts together what it has compiled for all networks of a process, and leaves the
        # third or fourth as it is.
        limits = torch.compiler.config
        limits.recompile_limit = max(limits.recompile_limit, limits.accumulated_recompile_limit)
        return torch.compile(part, **options)

    def get_loss(self, y_pred, y_true, X=None, training=False):
        # Weights of rows and classes enter here, whatever the criterion.
        y_true = _send(y_true, y_pred.device)
        if "sample_weight" not in X:
            return self.criterion_(y_pred, y_true)
        if not hasattr(self.criterion_, "reduction"):
            raise ValueError(
                f"criterion={self.criterion.__name__} cannot weigh rows, because it has no "
                "attribute `reduction`; fit without sample_weight and class_weight, or add it"
            )
        reduction, self.criterion_.reduction = self.criterion_.reduction, "none"
        try:
            losses = self.criterion_(y_pred, y_true)
        finally:
            self.criterion_.reduction = reduction
        return (losses * X["sample_weight"].to(losses)).mean()

    # -- prediction ---------------------------------------------------------------------------

    def forward_iter(self, X, training=False, device="cpu"):
        # In batches that suit the device, through a network made for prediction.
        dataset = self.get_dataset(X)
        on_cpu = self.module_.device.type == "cpu"
        pass_size = choose_pass_size(self.module_.device, self.image_size_)
        iterator = self.get_iterator(dataset, batch_size=pass_size)
        part = None
        for inputs, _ in _read_batches(iterator, ahead=not on_cpu):
            self._set_training(training)
            with torch.set_grad_enabled(training):
                if part is None:
                    part = self._choose_part(inputs, accelerated=not training)
                logits = self.infer(inputs, part).to(device)
            yield logits
        if on_cpu and len(dataset) > pass_size and not self.compile:
            # It is a copy of the weights, and made again in less time than this took.
            self._made_parts.clear()


def _find_rows(x):
    """The kind of rows that a batch holds, and the rows."""
    return next((name, x[name]) for name in ("images", "features") if name in x)


def _send(rows, device):
    """Rows on a device; what is done there next comes after them, and nobody waits."""
    return rows.to(device, non_blocking=True)


def _read_batches(iterator, ahead=False):
    """Batches, each read while the one before is at work, where files are read or it is asked."""
    reads_files = getattr(getattr(iterator.dataset, "read", None), "reads_files", False)
    has_workers = getattr(iterator, "num_workers", 0)
    early = (reads_files or ahead) and not has_workers
    return SHARED_TIME.iterate(read_ahead(iterator) if early else iterator)
