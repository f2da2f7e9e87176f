"""Callbacks of a training: skorch's, one for each thing, and the tasks of scikit-learn's."""

from contextlib import contextmanager

import numpy as np
import torch
from skorch.callbacks import Callback, EpochTimer, LRScheduler, PassthroughScoring, PrintLog
from torch.optim.lr_scheduler import CosineAnnealingLR, ReduceLROnPlateau, StepLR

from skall.environment.randomness import seeded

SCHEDULES = {"cosine": CosineAnnealingLR, "plateau": ReduceLROnPlateau, "step": StepLR}


def make_callbacks(net):
    """The callbacks that a classifier's parameters ask for, which users can replace by name.

    Parameters
    ----------
    net : CNNClassifier

    Returns
    -------
    list of (str, skorch.callbacks.Callback)
    """
    callbacks = [
        ("epoch_timer", EpochTimer()),
        ("train_loss", PassthroughScoring("train_loss", on_train=True)),
        ("train_acc", PassthroughScoring("train_acc", lower_is_better=False, on_train=True)),
        ("valid_loss", PassthroughScoring("valid_loss")),
        # skorch's own would compare predicted labels with class indices.
        ("valid_acc", PassthroughScoring("valid_acc", lower_is_better=False)),
    ]
    if net.lr_schedule is not None:
        validates = net.early_stopping or net.train_split is not None
        schedule = make_schedule(
            net.lr_schedule,
            net.max_epochs,
            net.warmup_epochs,
            monitor="valid_loss" if validates else "train_loss",
            options=net.get_params_for("lr_schedule"),
        )
        callbacks.append(("lr_schedule", schedule))
    if net.warmup_epochs:
        # After the schedule, which may have changed the rate at which the warm-up ends.
        callbacks.append(("warmup", WarmUp(net.warmup_epochs)))
    if net.early_stopping:
        best = BestEpoch(net.n_iter_no_change, net.tol, first=net.unfreeze_after)
        callbacks.append(("early_stopping", best))
    return [*callbacks, ("print_log", VerboseLog())]


# -- learning rates -------------------------------------------------------------------------------


def make_schedule(lr_schedule, max_epochs, warmup_epochs, monitor, options):
    """The callback that changes the learning rate at the end of each epoch.

    Parameters
    ----------
    lr_schedule : {"cosine", "plateau", "step"} or class
        ``"cosine"`` falls to 0 along half a period (Loshchilov & Hutter 2017, arXiv 1608.03983);
        ``"step"`` divides by 10 after each third of the epochs; ``"plateau"`` divides by 10 when
        the loss has stopped falling for 2 epochs; or a class of :mod:`torch.optim.lr_scheduler`.
    max_epochs : int
    warmup_epochs : int
        Epochs before the schedule begins.
    monitor : str
        The loss, a column of the history, that ``"plateau"`` watches.
    options : dict
        Other arguments of the scheduler.

    Returns
    -------
    skorch.callbacks.LRScheduler
    """
    n_epochs = max(1, max_epochs - warmup_epochs)
    defaults = {
        "cosine": {"T_max": n_epochs},
        "step": {"step_size": max(1, n_epochs // 3)},
        "plateau": {"patience": 2},
    }
    policy = SCHEDULES[lr_schedule] if isinstance(lr_schedule, str) else lr_schedule
    arguments = defaults.get(lr_schedule, {}) if isinstance(lr_schedule, str) else {}
    if policy is not ReduceLROnPlateau:
        # skorch would start where the history ends, which a new fit with warm_start does not.
        arguments["last_epoch"] = -1
    arguments |= {"monitor": monitor, "event_name": None}
    return DelayedScheduler(policy, warmup_epochs, **(arguments | options))


class DelayedScheduler(LRScheduler):
    """skorch's scheduler of a policy, which begins after a number of epochs."""

    def __init__(self, policy, delay=0, **options):
        super().__init__(policy, **options)
        self.delay = delay

    @property
    def kwargs(self):
        # skorch takes every other attribute for an argument of the class.
        return {name: value for name, value in super().kwargs.items() if name != "delay"}

    def on_train_begin(self, net, **kwargs):
        super().on_train_begin(net, **kwargs)
        self.epoch_ = 0

    def on_train_end(self, net, **kwargs):
        # It refers to the optimizer and its state.
        self.lr_scheduler_ = None

    def on_epoch_begin(self, net, **kwargs):
        self.epoch_ += 1

    def on_batch_end(self, net, training, **kwargs):
        if self.epoch_ > self.delay:
            super().on_batch_end(net, training, **kwargs)

    def on_epoch_end(self, net, **kwargs):
        if self.epoch_ > self.delay:
            super().on_epoch_end(net, **kwargs)


class WarmUp(Callback):
    """Learning rates that rise linearly, batch by batch, in the first epochs.

    Goyal et al. 2017, arXiv 1706.02677.
    """

    def __init__(self, n_epochs):
        self.n_epochs = n_epochs

    def on_train_begin(self, net, X=None, **kwargs):
        self.goals_ = [group["lr"] for group in net.optimizer_.param_groups]
        self.n_steps_ = self.n_epochs * len(net.get_iterator(X, training=True))
        self.step_ = 0

    def on_batch_begin(self, net, batch=None, training=False, **kwargs):
        if training and self.step_ < self.n_steps_:
            self.step_ += 1
            for group, goal in zip(net.optimizer_.param_groups, self.goals_, strict=True):
                group["lr"] = goal * self.step_ / self.n_steps_


# -- which weights are kept -----------------------------------------------------------------------


class BestEpoch(Callback):
    """Stop when the validation loss no longer falls, and restore the weights of the best epoch.

    Parameters
    ----------
    patience : int
        Epochs without improvement after which training stops.
    tol : float
        The least fall of the loss that counts as an improvement.
    first : int, default=0
        Epochs, from the start, that are not counted toward patience.

    Attributes
    ----------
    epoch_ : int
        The best epoch, counted from 1 in this training.
    is_over_ : bool
        Whether training is to stop; it does when the other callbacks have had the epoch.
    """

    def __init__(self, patience, tol, first=0):
        self.patience = patience
        self.tol = tol
        self.first = first

    def on_train_begin(self, net, **kwargs):
        self.epoch_ = self.n_epochs_ = self.n_waited_ = 0
        self.loss_ = self.goal_ = float("inf")
        self.state_ = None
        self.is_over_ = False

    def on_epoch_end(self, net, **kwargs):
        loss = net.history[-1, "valid_loss"]
        self.n_epochs_ += 1
        if loss < self.loss_:
            self.loss_, self.epoch_ = loss, self.n_epochs_
            state = net.get_kept_state()
            self.state_ = {name: tensor.clone() for name, tensor in state.items()}
        if loss < self.goal_:
            self.goal_ = loss - self.tol
            self.n_waited_ = 0
        elif self.n_epochs_ > self.first:
            self.n_waited_ += 1
        self.is_over_ = self.n_waited_ >= self.patience

    def on_train_end(self, net, **kwargs):
        if self.state_ is not None:
            copy_state(self.state_, net.module_)
            net.best_epoch_ = self.epoch_
        self.state_ = None


class MovingAverage(Callback):
    """The exponential moving average of a network's weights over the steps of its training.

    As in Tarvainen & Valpola 2017, arXiv 1703.01780. The decay grows to its final value as
    ``(1 + t) / (10 + t)`` with the step t, so that the first weights have little influence in
    short trainings too.

    Parameters
    ----------
    decay : float
        In [0, 1); the share of the average that a step keeps.
    """

    def __init__(self, decay):
        self.decay = decay

    def on_train_begin(self, net, **kwargs):
        self.n_steps_ = 0
        self.state_ = copy_trained(net.module_)

    def on_batch_end(self, net, training=False, **kwargs):
        if not training:
            return
        self.n_steps_ += 1
        decay = min(self.decay, (1 + self.n_steps_) / (10 + self.n_steps_))
        for name, tensor in net.module_.trained_state().items():
            if tensor.is_floating_point():
                self.state_[name].lerp_(tensor, 1 - decay)
            else:
                self.state_[name].copy_(tensor)

    def on_train_end(self, net, **kwargs):
        copy_state(self.state_, net.module_)

    @contextmanager
    def applied(self, network):
        """Have the average as the network's weights for a while."""
        own = copy_trained(network)
        copy_state(self.state_, network)
        try:
            yield
        finally:
            copy_state(own, network)


def copy_trained(network):
    """Copies of the tensors that training changes, by name."""
    return {name: tensor.clone() for name, tensor in network.trained_state().items()}


def copy_state(state, network):
    """Give a network the tensors of a state, which may be a part of its own."""
    own = network.trained_state()
    with torch.no_grad():
        for name, tensor in state.items():
            own[name].copy_(tensor)


# -- epochs ---------------------------------------------------------------------------------------


class Unfreezing(Callback):
    """Train only the head in the first epochs of the history, and then the trunk too."""

    def __init__(self, n_epochs):
        self.n_epochs = n_epochs

    def on_epoch_begin(self, net, **kwargs):
        is_first = len(net.history) < self.n_epochs
        net.module_.freeze(*[net.module_.extractor] if is_first else [])


class FiniteLoss(Callback):
    """Raise at the end of an epoch with a loss that is not finite; predictions would show it late.

    Also records the learning rate of the epoch.
    """

    def on_epoch_end(self, net, **kwargs):
        for part, words in (("train_loss", "training loss"), ("valid_loss", "validation loss")):
            losses = [batch[part] for batch in net.history[-1]["batches"] if part in batch]
            if not np.isfinite(losses).all():
                raise_not_finite(net, f"the {words} of epoch {len(net.history)} is")
        net.history.record("lr", net.optimizer_.param_groups[0]["lr"])


def check_weights(net):
    """Raise where the last step, after which no loss was computed, gave weights not finite."""
    groups = net.optimizer_.param_groups
    finite = [tensor.isfinite().all() for group in groups for tensor in group["params"]]
    if finite and not torch.stack(finite).all():
        raise_not_finite(net, f"the weights after epoch {len(net.history)} are")


def raise_not_finite(net, what):
    """Raise ValueError with the learning rate and the precision."""
    rate = max(group["lr"] for group in net.optimizer_.param_groups)
    precision = net.module_.extractor.numerics.precision
    other = "" if precision == "float32" else ", or precision='float32'"
    raise ValueError(
        f"{what} not finite (learning rate {rate:g}, precision {precision}); try a learning "
        f"rate below {rate:g}{other}"
    )


class VerboseLog(PrintLog):
    """skorch's table of epochs, made only where it is printed."""

    def on_epoch_end(self, net, **kwargs):
        if net.verbose:
            super().on_epoch_end(net, **kwargs)


# -- scikit-learn's callbacks ---------------------------------------------------------------------


class EpochTasks:
    """The tasks of `fit` that scikit-learn's callbacks are told of: all of it, and each epoch.

    Not one of skorch's callbacks, in which Ctrl-C would end the training as if it were complete,
    and which ``callbacks="disable"`` takes away.

    Parameters
    ----------
    net : CNNClassifier
    X, y, sample_weight
        What `fit` got.
    """

    def __init__(self, net, X, y, sample_weight):
        self._net = net
        metadata = None if sample_weight is None else {"sample_weight": sample_weight}
        self._arguments = {"estimator": net, "X": X, "y": y, "metadata": metadata}
        self._fit = self._epoch = None

    @contextmanager
    def running(self):
        """Be in the task that has the epochs as subtasks."""
        self._fit = self._net._init_callback_context(max_subtasks=self._net.max_epochs)
        self._fit.call_on_fit_task_begin(**self._arguments)
        yield
        self._fit.call_on_fit_task_end(**self._arguments, reconstruction_attributes={})

    def begin_epoch(self):
        """Begin the task of an epoch."""
        self._epoch = self._fit.subcontext(task_name="epoch")
        self._call(self._epoch.call_on_fit_task_begin)

    def end_epoch(self):
        """End the epoch's task, if one runs; True where a callback asks to stop."""
        task, self._epoch = self._epoch, None
        return task is not None and self._call(task.call_on_fit_task_end)

    def _call(self, hooks):
        net = self._net
        # What callbacks draw must not change the training.
        with seeded(net.seed_ + len(net.history_), net.device_):
            return hooks(**self._arguments, reconstruction_attributes=net._list_fitted_attributes)
