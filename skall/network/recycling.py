"""The last frozen trunk of this process, and what was made of it, for the next network."""

from copy import copy
from threading import Lock
from weakref import WeakKeyDictionary, ref

import torch

from skall.network.device import list_tensors


class Spare:
    """A trunk that waits until nobody uses it any more.

    Folds and grid points train heads on one frozen trunk after the other. Each network has a trunk
    to itself, but where the network before is gone its trunk need not be built and read again.
    What is handed out is a stand-in, a module with the same layers: the trunk is in use as long as
    its stand-in lives, whoever has that.

    Examples
    --------
    >>> layers, spare = torch.nn.Sequential(torch.nn.Linear(2, 3)), Spare()
    >>> stand_in = spare.keep("layers", layers)
    >>> stand_in[0] is layers[0]
    True
    >>> spare.take("layers") is None
    True
    >>> del stand_in
    >>> spare.take("layers")[0] is layers[0]
    True
    """

    def __init__(self):
        self._lock = Lock()
        self._held = None

    def keep(self, identity, trunk):
        """Hold a trunk for when its user is gone, instead of the one that was held before.

        Parameters
        ----------
        identity : object
            What the trunk was made of; equal for equal trunks.
        trunk : torch.nn.Module
            That nobody else has.

        Returns
        -------
        torch.nn.Module
            The stand-in to use.
        """
        stand_in, state = _stand_in(trunk), describe_state(trunk)
        with self._lock:
            self._held = identity, trunk, state, ref(stand_in)
        return stand_in

    def take(self, identity):
        """A stand-in for the trunk that is held; None if it was not made of this or is in use.

        Nor is one handed out whose layers or weights somebody has changed.

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
            if user() is not None or known != identity or describe_state(trunk) != state:
                return None
            stand_in = _stand_in(trunk)
            self._held = identity, trunk, state, ref(stand_in)
        return stand_in

    def describe(self):
        """What is held, and its bytes with those of what was made of it.

        Returns
        -------
        held : weakref.ref or None
            Of the trunk; None where there is none.
        n_bytes : int
        """
        with self._lock:
            if self._held is None:
                return None, 0
            trunk = self._held[1]
            tensors = list_tensors(trunk)
            made = ACCELERATED.find(trunk)
            tensors += [] if made is None else list_tensors(made)
            return ref(trunk), sum(tensor.nbytes for tensor in tensors)

    def is_used(self):
        """Whether a network has the trunk that is held."""
        return self._held is not None and self._held[3]() is not None

    def clear(self):
        """Hold nothing."""
        with self._lock:
            self._held = None


# The trunk that each stand-in stands for.
_ORIGINALS = WeakKeyDictionary()


def _stand_in(trunk):
    """Another module with the same layers, weights and hooks."""
    stand_in = copy(trunk)
    _ORIGINALS[stand_in] = trunk
    return stand_in


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
        original = _ORIGINALS.get(module, module)
        known, made = self._made.get(original, (None, None))
        if known != wanted:
            made = make()
            self.clear()
            # The module itself would live as long as what it is the key of.
            self._made[original] = wanted, None if made is module else made
        return module if made is None else made

    def find(self, module):
        """What was made of a module last, if it is another object; else None."""
        return self._made.get(module, (None, None))[1]

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


SPARE = Spare()
DIGESTS, SHAPES, ACCELERATED = Derived(), Derived(describe_layers), Derived()


def forget():
    """Let go of the trunk that is held, and of what was made of it."""
    SPARE.clear()
    for derived in (DIGESTS, SHAPES, ACCELERATED):
        derived.clear()
