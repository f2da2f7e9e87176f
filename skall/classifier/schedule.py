"""Learning rates that change from epoch to epoch."""

from skorch.callbacks import Callback, LRScheduler
from torch.optim.lr_scheduler import CosineAnnealingLR, ReduceLROnPlateau, StepLR

SCHEDULES = {"cosine": CosineAnnealingLR, "plateau": ReduceLROnPlateau, "step": StepLR}


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
    """skorch's scheduler, which begins after the warm-up.

    Parameters
    ----------
    policy : class
        Of :mod:`torch.optim.lr_scheduler`.
    delay : int
        Epochs before it begins.
    **options
        Those of :class:`skorch.callbacks.LRScheduler` and of the class.
    """

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
        # It holds the optimizer and its state.
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
    """Learning rates that rise in a line, batch by batch, in the first epochs.

    Goyal et al. 2017, arXiv 1706.02677.

    Parameters
    ----------
    n_epochs : int
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
