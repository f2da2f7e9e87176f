"""When training ends, and which of its weights are kept."""

from contextlib import contextmanager

import torch
from skorch.callbacks import Callback


class BestEpoch(Callback):
    """Stop when the validation loss falls no longer, and go back to the epoch where it was least.

    Parameters
    ----------
    patience : int
        Epochs without improvement after which training stops.
    tol : float
        The least fall of the loss that counts as an improvement.
    first : int, default=0
        Epochs, from the start, that do not try the patience.

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
            self.state_ = {name: tensor.clone() for name, tensor in net.get_kept_state().items()}
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


class MovingAverage:
    """The exponential moving average of a network's weights over the steps of its training.

    As in Tarvainen & Valpola 2017, arXiv 1703.01780. The decay grows to its final value as
    ``(1 + t) / (10 + t)`` with the step t, so that the average forgets the first weights in short
    trainings too.

    Parameters
    ----------
    network : Network
    decay : float
        In [0, 1); the share of the average that a step keeps.
    """

    def __init__(self, network, decay):
        self.network = network
        self.decay = decay
        self.n_steps = 0
        self.state = {name: tensor.clone() for name, tensor in network.learned_state().items()}

    def update(self):
        """Take the weights as they are now into the average."""
        self.n_steps += 1
        decay = min(self.decay, (1 + self.n_steps) / (10 + self.n_steps))
        for name, tensor in self.network.learned_state().items():
            if tensor.is_floating_point():
                self.state[name].lerp_(tensor, 1 - decay)
            else:
                self.state[name].copy_(tensor)

    @contextmanager
    def applied(self):
        """Have the average as the network's weights for a while."""
        own = {name: tensor.clone() for name, tensor in self.network.learned_state().items()}
        copy_state(self.state, self.network)
        try:
            yield
        finally:
            copy_state(own, self.network)


def copy_state(state, network):
    """Give a network the tensors of a state, which may be a part of its own."""
    learned = network.learned_state()
    with torch.no_grad():
        for name, tensor in state.items():
            learned[name].copy_(tensor)
