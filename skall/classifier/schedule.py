"""Learning rates that change from epoch to epoch."""

from skorch.callbacks import LRScheduler
from torch.optim.lr_scheduler import CosineAnnealingLR, ReduceLROnPlateau, StepLR

SCHEDULES = {"cosine": CosineAnnealingLR, "plateau": ReduceLROnPlateau, "step": StepLR}


def make_schedule(lr_schedule, max_epochs, monitor, options):
    """The callback that changes the learning rate at the end of each epoch.

    Parameters
    ----------
    lr_schedule : {"cosine", "plateau", "step"} or class
        ``"cosine"`` falls to 0 along half a period (Loshchilov & Hutter 2017, arXiv 1608.03983);
        ``"step"`` divides by 10 after each third of the epochs; ``"plateau"`` divides by 10 when
        the loss has stopped falling for 2 epochs; or a class of :mod:`torch.optim.lr_scheduler`.
    max_epochs : int
    monitor : str
        The loss, a column of the history, that ``"plateau"`` watches.
    options : dict
        Other arguments of the scheduler.

    Returns
    -------
    skorch.callbacks.LRScheduler
    """
    defaults = {
        "cosine": {"T_max": max_epochs},
        "step": {"step_size": max(1, max_epochs // 3)},
        "plateau": {"patience": 2},
    }
    policy = SCHEDULES[lr_schedule] if isinstance(lr_schedule, str) else lr_schedule
    arguments = defaults.get(lr_schedule, {}) if isinstance(lr_schedule, str) else {}
    if policy is not ReduceLROnPlateau:
        # skorch would start where the history ends, which a new fit with warm_start does not.
        arguments["last_epoch"] = -1
    return LRScheduler(policy, monitor=monitor, event_name=None, **(arguments | options))
