"""skorch's classifier: what its training loop and its manners do differently here."""

from collections.abc import Callable, Mapping
from contextlib import nullcontext, suppress
from copy import deepcopy
from dataclasses import dataclass
from types import MappingProxyType
from typing import Any

import torch
from sklearn.base import BaseEstimator
from skorch import NeuralNetClassifier
from torch import nn

from skall.classifier.batches import (
    RowBatches,
    fetch_scores,
    read_batches,
    record_scores,
    send,
    send_batch,
    take_batch,
    weigh_loss,
)
from skall.classifier.callbacks import (
    BestEpoch,
    EpochTasks,
    FiniteLoss,
    MovingAverage,
    Unfreezing,
    check_weights,
    copy_state,
    make_callbacks,
)
from skall.classifier.execution import Execution
from skall.classifier.optimizer import OptimizerSource, choose_options, part_trunk
from skall.classifier.parameters import check_names, list_parameters
from skall.network.device import move
from skall.persistence.pickling import PackedState
from skall.preprocessing.augmentation import make_augmentation


class TrainingStopped(Exception):  # noqa: N818 - a signal, as StopIteration
    """A callback has ended the training."""


@dataclass(frozen=True)
class Run:
    """What exists only while a network is trained.

    Parameters
    ----------
    average : MovingAverage, optional
    augmentation : callable, optional
        Changes a batch of images.
    callbacks : sequence of skorch.callbacks.Callback, default=()
        Called before the user's, and with ``callbacks="disable"`` too.
    tasks : EpochTasks, optional
    """

    average: MovingAverage | None = None
    augmentation: Callable | None = None
    callbacks: tuple = ()
    tasks: EpochTasks | None = None


class SkorchClassifier(PackedState, NeuralNetClassifier):
    """skorch's classifier with scikit-learn's manners; :class:`CNNClassifier` adds the images."""

    # skorch sets these in its constructor; scikit-learn wants nothing fitted there.
    history_: Any = None
    initialized_ = False
    virtual_params_: Mapping = MappingProxyType({})
    _packed_names = ("module_", "criterion_", "optimizer_")
    _run = Run()

    def __init__(self, **params):
        super().__init__(module=nn.Module, **params)
        for name in ("history_", "initialized_", "virtual_params_"):
            del vars(self)[name]

    # -- parameters ---------------------------------------------------------------------------

    def _get_param_names(self):
        # skorch counts every attribute as a parameter.
        extra = [name for name in vars(self) if "__" in name and not name.startswith("_")]
        return list_parameters(type(self)) + sorted(extra)

    def get_params(self, deep=True):
        # skorch adds its default callbacks, which are not parameters here.
        return BaseEstimator.get_params(self, deep=deep)

    def __setattr__(self, name, value):
        # skorch takes every module for a part of the network, a transform too.
        if name == "augment":
            vars(self)[name] = value
        else:
            super().__setattr__(name, value)

    def set_params(self, **params):
        # skorch rebuilds the network at once; scikit-learn's estimators wait for the next fit.
        before = vars(self).copy()
        vars(self).update(params)
        try:
            check_names(self, params)
        except TypeError:
            vars(self).clear()
            vars(self).update(before)
            raise
        return self

    def get_metadata_routing(self):
        # skorch also routes to the inner split, which gets its groups from fit here.
        return BaseEstimator.get_metadata_routing(self)

    # skorch shows its own parts and not the parameters.
    __repr__ = BaseEstimator.__repr__

    def _validate_params(self):
        # skorch would check names again, which were checked when they were given.
        pass

    # -- set-up -------------------------------------------------------------------------------

    @property
    def _default_callbacks(self):
        # skorch's do not know the schedule, and compare predicted labels with class indices.
        return make_callbacks(self)

    def _initialize_module(self, reason=None):
        # skorch moves the module to `device`, which may be "auto" here.
        with self._current_init_context("module"):
            self.initialize_module()
        move(self.module_, self.device_)
        self._execution = Execution()

    def _initialize_criterion(self, reason=None):
        # As for the module.
        with self._current_init_context("criterion"):
            self.initialize_criterion()
        self.criterion_.to(self.device_)

    def initialize_optimizer(self, *args):
        # skorch does not record what the optimizer was made of, as training that goes on asks.
        super().initialize_optimizer(*args)
        self._optimizer_source = OptimizerSource(self)
        return self

    def _renew_optimizer(self):
        """Have an optimizer with the parameters and rates of now, which may go on from before."""
        if self.optimizer_ is None or not self._optimizer_source.is_current(self):
            with self._current_init_context("optimizer"):
                self.initialize_optimizer()
        self._optimizer_source.reset_rates(self.optimizer_)

    def get_params_for_optimizer(self, prefix, named_parameters):
        # Fixed parameters need no optimizer, and the defaults depend on what is trained.
        trained = [(name, p) for name, p in named_parameters if p.requires_grad]
        groups, options = super().get_params_for_optimizer(prefix, trained)
        options = choose_options(self, options)
        if self.unfreeze_after and "param_groups" not in self.get_params_for(prefix):
            groups = (part_trunk(trained, options["lr"]),)
        return groups, options

    # -- data ---------------------------------------------------------------------------------

    def check_data(self, X, y=None):
        # skorch would infer the classes from the data set, which holds class indices.
        pass

    def get_split_datasets(self, X, y=None, **split_params):
        # The split was made before the data sets: only the one trained on is augmented.
        return X, X.valid

    def get_iterator(self, dataset, training=False, batch_size=None):
        # Whole batches are read at once, in an order drawn here, and none has a single row.
        name = "iterator_train" if training else "iterator_valid"
        batch_size = batch_size or self.batch_size
        options = {"batch_size": batch_size, "shuffle": training} | self.get_params_for(name)
        batch_size, shuffle = options.pop("batch_size"), options.pop("shuffle")
        batches = RowBatches(len(dataset), batch_size if batch_size > 0 else len(dataset), shuffle)
        # A loader draws a seed for workers; by default from torch's own generator.
        own = {"batch_sampler": batches, "collate_fn": take_batch, "generator": torch.Generator()}
        return getattr(self, name)(dataset, **(own | options))

    # -- training -----------------------------------------------------------------------------

    def _train(self, dataset, n_epochs, tasks=None, keep_optimizer=False):
        """Train for some epochs, and keep what prediction, or more training, needs."""
        vars(self).pop("best_epoch_", None)
        try:
            average = None if self.ema_decay is None else MovingAverage(self.ema_decay)
            self._run = Run(
                average,
                make_augmentation(self.augment) if dataset.kind == "images" else None,
                (*[average] * (average is not None), Unfreezing(self.unfreeze_after), FiniteLoss()),
                tasks,
            )
            with suppress(TrainingStopped):
                self.notify("on_train_begin", X=dataset, y=None)
                self.fit_loop(dataset, epochs=n_epochs)
            self.notify("on_train_end", X=dataset, y=None)
            check_weights(self)
        finally:
            self.n_iter_ = len(self.history_)
            self._finish_training(keep_optimizer)

    def _finish_training(self, keep_optimizer):
        """Keep the weights once: no gradients, and no optimizer unless training goes on."""
        vars(self).pop("_run", None)
        if not self.compile:
            self._execution.clear()
        self.module_.freeze()
        self.module_.zero_grad(set_to_none=True)
        self.module_.eval()
        if not keep_optimizer:
            self.optimizer_ = None
        if not self.keep_on_device:
            self._move(torch.device("cpu"))

    def _move(self, device):
        """Bring the weights, and what goes with them, to a device."""
        if not move(self.module_, device):
            return
        self.criterion_.to(device)
        if self.optimizer_ is not None:
            # Loading casts the state to the device of the weights.
            self.optimizer_.load_state_dict(self.optimizer_.state_dict())

    def notify(self, method_name, **kwargs):
        # skorch's callbacks stop with the exception of Ctrl-C, which itself must reach the user;
        # an epoch of scikit-learn's is over when skorch's callbacks have had it, or have stopped.
        run, is_over, cause = self._run, False, None
        if method_name == "on_epoch_begin" and run.tasks is not None:
            run.tasks.begin_epoch()
        try:
            for callback in run.callbacks:
                getattr(callback, method_name)(self, **kwargs)
            super().notify(method_name, **kwargs)
            if method_name == "on_epoch_end":
                is_over = any(getattr(each, "is_over_", False) for _, each in self.callbacks_)
        except KeyboardInterrupt as exc:
            is_over, cause = True, exc
        if (is_over or method_name == "on_epoch_end") and run.tasks is not None:
            is_over = run.tasks.end_epoch() or is_over
        if is_over:
            raise TrainingStopped from cause

    def on_epoch_begin(self, net, dataset_train=None, **kwargs):
        # skorch's data sets do not change with the epoch.
        super().on_epoch_begin(net, dataset_train=dataset_train, **kwargs)
        if hasattr(dataset_train.read, "set_epoch"):
            dataset_train.read.set_epoch(len(self.history) - 1)

    def get_kept_state(self):
        """The weights that would be kept if training ended now, by name."""
        average = self._run.average
        return self.module_.trained_state() if average is None else average.state_

    def run_single_epoch(self, iterator, training, prefix, step_fn, **fit_params):
        # As skorch's, but scores stay on the device until the epoch is over, and the averaged
        # weights are validated, because they are kept.
        if iterator is None:
            return
        average, n_batches = self._run.average, 0
        is_averaged = average is not None and not training
        try:
            with average.applied(self.module_) if is_averaged else nullcontext():
                for batch in read_batches(iterator):
                    batch = send_batch(batch, self.module_.device)
                    self.notify("on_batch_begin", batch=batch, training=training)
                    step = step_fn(batch, **fit_params)
                    record_scores(self.history, prefix, batch, step)
                    self.notify("on_batch_end", batch=batch, training=training, **step)
                    n_batches += 1
        finally:
            fetch_scores(self.history)
        self.history.record(prefix + "_batch_count", n_batches)

    # -- steps --------------------------------------------------------------------------------

    def _set_training(self, training=True):
        # skorch goes through all layers for every batch.
        if self.module_.training != training or self.criterion_.training != training:
            super()._set_training(training)

    def train_step(self, batch, **fit_params):
        # Images are augmented here, where neither validation nor prediction passes.
        inputs, targets = batch
        if self._run.augmentation is not None:
            batch = inputs | {"images": self._run.augmentation(inputs["images"])}, targets
        return super().train_step(batch, **fit_params)

    def infer(self, x, part=None, **fit_params):
        # skorch calls the module, with rows as they are, on a device known beforehand.
        return self._execution.run(self, x, part)

    def get_loss(self, y_pred, y_true, X=None, training=False):
        # Weights of rows and classes enter here, whatever the criterion.
        y_true = send(y_true, y_pred.device)
        if "sample_weight" not in X:
            return self.criterion_(y_pred, y_true)
        return weigh_loss(self.criterion_, y_pred, y_true, X["sample_weight"])

    # -- prediction ---------------------------------------------------------------------------

    def forward_iter(self, X, training=False, device="cpu"):
        # In batches that suit the device, through a network made for prediction.
        return self._execution.predict(self, self.get_dataset(X), training, device)

    # -- copies -------------------------------------------------------------------------------

    def load_params(self, *args, **kwargs):
        # skorch reads files onto `device`, which may be "auto" here, and may change it.
        device, self.device = self.device, str(self.device_)
        try:
            super().load_params(*args, **kwargs)
        finally:
            self.device = device
        self._session = None

    def _copy(self, names):
        """A copy that shares all attributes, except these and what exists while it is trained."""
        copy = type(self).__new__(type(self))
        vars(copy).update(vars(self))
        vars(copy).pop("_run", None)
        # Copied together, so that the optimizer's weights are the module's.
        vars(copy).update(deepcopy({name: vars(self)[name] for name in names}))
        copy._execution = Execution()
        return copy

    def _pickled_state(self):
        # skorch pickles CUDA tensors in a file of their own; here they go to the CPU.
        if not self.initialized_:
            return vars(self).copy()
        is_elsewhere = self.module_.device.type != "cpu"
        copy = self._copy(self._packed_names if is_elsewhere else ())
        copy._move(torch.device("cpu"))
        return vars(copy)

    def _list_fitted_attributes(self):
        """Attributes of the classifier as if training had ended now, for callbacks."""
        fitted = self._copy(("module_", "criterion_"))
        fitted.optimizer_ = None
        callbacks = [callback for _, callback in self.callbacks_]
        best = next((each for each in callbacks if isinstance(each, BestEpoch)), None)
        if best is not None and best.state_ is not None:
            copy_state(best.state_, fitted.module_)
            fitted.best_epoch_ = best.epoch_
        else:
            copy_state(self.get_kept_state(), fitted.module_)
        fitted._finish_training(keep_optimizer=False)
        # The list grows while training goes on.
        fitted.history_ = type(self.history_)(self.history_)
        fitted.n_iter_ = len(self.history_)
        return vars(fitted)
