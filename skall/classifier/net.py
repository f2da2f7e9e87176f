"""The part of the classifier that is skorch's: what its training loop does differently here."""

import inspect
from collections.abc import Mapping
from contextlib import contextmanager
from copy import deepcopy
from types import MappingProxyType

import numpy as np
import torch
from sklearn.base import BaseEstimator
from skorch.callbacks import EpochTimer, PassthroughScoring, PrintLog
from torch import nn

from skall.classifier.loop import EpochLoop, MadeParts
from skall.classifier.parameters import check_names, list_parameters
from skall.classifier.schedule import WarmUp, make_schedule
from skall.classifier.stopping import BestEpoch
from skall.network.device import Stay, move, resolve_device
from skall.network.precision import choose_numerics
from skall.persistence.pickling import PackedState

HEAD_LR = 1e-3
TRUNK_LR = 1e-4
# Ways of torch's optimizers to do the same, or what is done in one of them alone.
OPTIMIZER_KINDS = {"fused", "foreach", "capturable", "differentiable"}


class TrainingStopped(Exception):  # noqa: N818 - a signal, as StopIteration
    """A callback has ended the training."""


class VerboseLog(PrintLog):
    """skorch's table of epochs, made where it is printed."""

    def on_epoch_end(self, net, **kwargs):
        if net.verbose:
            super().on_epoch_end(net, **kwargs)


class CellNet(PackedState, EpochLoop):
    """skorch's classifier with scikit-learn's manners; :class:`CNNClassifier` adds the images."""

    # skorch sets these in its constructor; scikit-learn wants nothing fitted there.
    history_ = None
    initialized_ = False
    virtual_params_: Mapping = MappingProxyType({})
    _packed_names = ("module_", "criterion_", "optimizer_")

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

    # -- set-up -------------------------------------------------------------------------------

    @property
    def _default_callbacks(self):
        # skorch's valid_acc would compare predicted labels with class indices.
        scores = [
            PassthroughScoring("train_loss", on_train=True),
            PassthroughScoring("train_acc", lower_is_better=False, on_train=True),
            PassthroughScoring("valid_loss"),
            PassthroughScoring("valid_acc", lower_is_better=False),
        ]
        callbacks = [("epoch_timer", EpochTimer()), *((score.name, score) for score in scores)]
        if self.lr_schedule is not None:
            validates = self.early_stopping or self.train_split is not None
            schedule = make_schedule(
                self.lr_schedule,
                self.max_epochs,
                self.warmup_epochs,
                monitor="valid_loss" if validates else "train_loss",
                options=self.get_params_for("lr_schedule"),
            )
            callbacks.append(("lr_schedule", schedule))
        if self.warmup_epochs:
            # After the schedule, which may have changed the rate that is risen to.
            callbacks.append(("warmup", WarmUp(self.warmup_epochs)))
        if self.early_stopping:
            best = BestEpoch(self.n_iter_no_change, self.tol, first=self.unfreeze_after)
            callbacks.append(("early_stopping", best))
        return [*callbacks, ("print_log", VerboseLog())]

    def _validate_params(self):
        # The names of the parameters were checked when they were given.
        pass

    def _initialize_module(self, reason=None):
        # skorch moves the module to `device`, which may be "auto" here.
        with self._current_init_context("module"):
            self.initialize_module()
        move(self.module_, self.device_)
        self._made_parts, self._stay = MadeParts(), Stay()

    def _initialize_criterion(self, reason=None):
        # As for the module.
        with self._current_init_context("criterion"):
            self.initialize_criterion()
        self.criterion_.to(self.device_)

    def initialize_optimizer(self, *args):
        # To know, when training goes on, what it was made of and what its rates were.
        super().initialize_optimizer(*args)
        self._optimizer_settings = self._describe_optimizer()
        self._rates = [group["lr"] for group in self.optimizer_.param_groups]
        return self

    def _describe_optimizer(self):
        return [self.optimizer, self.lr, self.weight_decay, self.get_params_for("optimizer")]

    def _renew_optimizer(self):
        """Have an optimizer with the parameters and rates of now, which may go on from before."""
        if self.optimizer_ is None or self._optimizer_settings != self._describe_optimizer():
            with self._current_init_context("optimizer"):
                self.initialize_optimizer()
        for group, rate in zip(self.optimizer_.param_groups, self._rates, strict=True):
            group["lr"] = rate

    def get_params_for_optimizer(self, prefix, named_parameters):
        # Fixed parameters need no optimizer, and `lr=None` depends on what is trained.
        learned = [(name, p) for name, p in named_parameters if p.requires_grad]
        groups, options = super().get_params_for_optimizer(prefix, learned)
        if options["lr"] is None:
            head_first = self.trainable == "head" or self.unfreeze_after
            options["lr"] = HEAD_LR if head_first else TRUNK_LR
        if self.unfreeze_after and "param_groups" not in self.get_params_for(prefix):
            in_trunk = [name.startswith("extractor.") for name, _ in learned]
            trunk = [p for (_, p), inside in zip(learned, in_trunk, strict=True) if inside]
            others = [p for (_, p), inside in zip(learned, in_trunk, strict=True) if not inside]
            slow = options["lr"] * TRUNK_LR / HEAD_LR
            groups = ([{"params": others}, {"params": trunk, "lr": slow}],)
        known = inspect.signature(self.optimizer).parameters
        if "weight_decay" in known:
            options.setdefault("weight_decay", self.weight_decay)
        chosen = OPTIMIZER_KINDS & options.keys()
        if "fused" in known and not chosen and self.device_.type in ("cpu", "cuda"):
            # One pass over the weights and their statistics a step, instead of a dozen.
            options["fused"] = True
        return groups, options

    # -- data ---------------------------------------------------------------------------------

    def check_data(self, X, y=None):
        # skorch would infer the classes from the data set, which holds class indices.
        pass

    def get_split_datasets(self, X, y=None, **split_params):
        # The split was made before the data sets: only the one trained on is augmented.
        return X, X.valid

    # -- epochs ------------------------------------------------------------------------------

    def on_epoch_end(self, net, **datasets):
        # For the learning rate of `history`, and because NaN would only show in the predictions.
        for part, words in (("train_loss", "training loss"), ("valid_loss", "validation loss")):
            losses = [batch[part] for batch in self.history[-1]["batches"] if part in batch]
            if not np.isfinite(losses).all():
                self._refuse_infinite(f"the {words} of epoch {len(self.history)} is")
        self.history.record("lr", self.optimizer_.param_groups[0]["lr"])

    def _check_weights(self):
        """Raise where the last step, which no loss has seen, gave weights that are not finite."""
        groups = self.optimizer_.param_groups
        finite = [tensor.isfinite().all() for group in groups for tensor in group["params"]]
        if finite and not torch.stack(finite).all():
            self._refuse_infinite(f"the weights after epoch {len(self.history)} are")

    def _refuse_infinite(self, what):
        rate = max(group["lr"] for group in self.optimizer_.param_groups)
        precision = self.module_.extractor.numerics.precision
        other = "" if precision == "float32" else ", or precision='float32'"
        raise ValueError(
            f"{what} not finite (learning rate {rate:g}, precision {precision}); try a learning "
            f"rate below {rate:g}{other}"
        )

    def notify(self, method_name, **kwargs):
        # skorch's callbacks stop with the exception of Ctrl-C, which itself must reach the user.
        try:
            super().notify(method_name, **kwargs)
        except KeyboardInterrupt as exc:
            raise TrainingStopped from exc
        if method_name == "on_epoch_end" and any(
            getattr(callback, "is_over_", False) for _, callback in self.callbacks_
        ):
            raise TrainingStopped

    def load_params(self, *args, **kwargs):
        # skorch reads files onto `device`, which may be "auto" here, and may change it.
        device, self.device = self.device, str(self.device_)
        try:
            super().load_params(*args, **kwargs)
        finally:
            self.device = device
        self._session = None

    # -- where the weights are ----------------------------------------------------------------

    @contextmanager
    def _on_device(self):
        """Have the network on its device for a while."""
        device = resolve_device(self.device)
        self._choose_numerics(device)
        try:
            with self._stay.visit(self.module_, device, remain=self.keep_on_device):
                yield
        finally:
            if self.module_.device != device and not self.compile:
                # A copy of the weights that would stay there.
                self._made_parts.clear()

    def _choose_numerics(self, device):
        """Have the trunk computed as is best on a device."""
        numerics = choose_numerics(self.precision, self.backbone, device)
        self.module_.extractor.numerics = numerics
        return numerics

    def _put_away(self, keep_optimizer):
        """Keep the weights once: no gradients, and no optimizer unless training goes on."""
        self._average = self._augmentation = None
        if not self.compile:
            self._made_parts = MadeParts()
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

    def _forget(self):
        """Be unfitted again."""
        self.initialized_ = False
        for name in ("module_", "optimizer_", "_average", "_augmentation", "_made_parts", "_stay"):
            vars(self).pop(name, None)

    # -- copies -------------------------------------------------------------------------------

    def _pickled_state(self):
        # skorch pickles CUDA tensors in a file of their own; here they go to the CPU.
        state = vars(self).copy()
        if self.initialized_ and self.module_.device.type != "cpu":
            copy = CellNet.__new__(type(self))
            # Copied together, so that the optimizer's weights are the module's.
            vars(copy).update(deepcopy({name: state[name] for name in self._packed_names}))
            copy._move(torch.device("cpu"))
            state |= vars(copy)
        return state
