"""The last frozen trunk of this process, and what was made of it, for the next network."""

import sys
from threading import Lock
from weakref import WeakKeyDictionary, ref

import torch

from skall.device import list_tensors


class Spare:
    """A trunk that waits until nobody uses it any more.

    Folds and grid points train heads on one frozen trunk after the other. Each network has a trunk
    to itself, but where the network before is gone its trunk need not be built and read again.

    Examples
    --------
    >>> from skall.construction import build_extractor
    >>> spare = Spare()
    >>> extractor = build_extractor("timm/test_resnet", None, "avg")
    >>> spare.offer("test_resnet", extractor)
    >>> spare.take("test_resnet") is None
    True
    >>> number = id(extractor.trunk)
    >>> del extractor
    >>> id(spare.take("test_resnet")) == number
    True
    """

    def __init__(self):
        self._lock = Lock()
        self._held = None

    def offer(self, identity, extractor):
        """Keep the trunk of an extractor for when the extractor is gone.

        Parameters
        ----------
        identity : object
            What the trunk was made of; equal for equal trunks.
        extractor : FeatureExtractor
            Its only user, in evaluation mode.
        """
        trunk = extractor.trunk
        with self._lock:
            _, held, state, _ = self._held or (None, None, None, None)
            if held is not trunk:
                state = describe_state(trunk)
            self._held = identity, trunk, state, ref(extractor)

    def take(self, identity):
        """The trunk that is held, if it was made of this, has no user and was not changed.

        Parameters
        ----------
        identity : object

        Returns
        -------
        torch.nn.Module or None
        """
        with self._lock:
            if self._held is None:
                return None
            known, trunk, state, user = self._held
            if user() is not None or known != identity or _count_others(trunk) > 0:
                return None
            # It stays here, so that it need not be described again when it is offered.
            return trunk if describe_state(trunk) == state else None

    def clear(self):
        """Hold nothing."""
        with self._lock:
            self._held = None


class Derived:
    """What was made of the last module, as long as it lives and is not changed.

    Parameters
    ----------
    describe : callable, default=describe_state
        ``describe(module)`` differs once what it was made of has changed.

    Examples
    --------
    >>> import torch
    >>> layer, sizes = torch.nn.Linear(2, 3), Derived()
    >>> sizes.get(layer, lambda: layer.weight.numel())
    6
    >>> sizes.get(layer, lambda: "made again")
    6
    >>> torch.nn.init.zeros_(layer.weight).shape
    torch.Size([3, 2])
    >>> sizes.get(layer, lambda: "made again")
    'made again'
    """

    def __init__(self, describe=None):
        self._describe = describe or describe_state
        self._made = WeakKeyDictionary()

    def get(self, module, make, *details):
        """What was made of a module with these details, or what ``make()`` makes now.

        Parameters
        ----------
        module : torch.nn.Module
        make : callable
        *details : object
            What else it depends on.

        Returns
        -------
        object
        """
        wanted = details, self._describe(module)
        known, made = self._made.get(module, (None, None))
        if known != wanted:
            made = make()
            self.clear()
            # The module itself would live as long as what it is the key of.
            self._made[module] = wanted, None if made is module else made
        return module if made is None else made

    def clear(self):
        """Hold nothing."""
        self._made.clear()


def describe_state(module):
    """What differs once a module's layers, or its weights in place, were changed.

    Of weights on the CPU this holds their sums, which tell what was written past torch's counters,
    as :func:`torch.nn.utils.vector_to_parameters` does.

    Parameters
    ----------
    module : torch.nn.Module

    Returns
    -------
    list
    """
    cpu = torch.device("cpu")
    with torch.no_grad():
        tensors = [
            # On a GPU the sum would have to be waited for.
            (id(t), t._version, t.dtype, t.device, t.sum().item() if t.device == cpu else None)
            for t in list_tensors(module)
        ]
    return [*describe_layers(module), *tensors]


def describe_layers(module):
    """What differs once a module's layers were changed, whatever their weights."""
    return [
        (type(part), len(part._forward_hooks), len(part._forward_pre_hooks))
        for part in module.modules()
    ]


def _count_others(trunk):
    """How many refer to a trunk beside the spare that holds it and its method that asks."""
    return sys.getrefcount(trunk) - 4


SPARE = Spare()
DIGESTS, SHAPES, ACCELERATED = Derived(), Derived(describe_layers), Derived()


def forget():
    """Let go of the trunk that is held, and of what was made of it."""
    SPARE.clear()
    for derived in (DIGESTS, SHAPES, ACCELERATED):
        derived.clear()
