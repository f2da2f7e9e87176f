"""The last frozen trunk of this process, and what was made of it, for the next network."""

import sys
from threading import Lock
from weakref import WeakKeyDictionary, ref


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
            state = describe_state(trunk), _add_up(trunk)
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
            if (describe_state(trunk), _add_up(trunk)) != state:
                return None
            self._held = None
            return trunk

    def clear(self):
        """Hold nothing."""
        with self._lock:
            self._held = None


class Derived:
    """What was made of the last module, as long as it lives and is not changed.

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

    def __init__(self):
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
        wanted = details, describe_state(module)
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

    Parameters
    ----------
    module : torch.nn.Module

    Returns
    -------
    list
    """
    parts, tensors = module.modules(), module.state_dict(keep_vars=True).items()
    return [
        *[(type(part), len(part._forward_hooks), len(part._forward_pre_hooks)) for part in parts],
        *[(name, id(t), t._version, t.dtype, t.device) for name, t in tensors],
    ]


def _count_others(trunk):
    """How many refer to a trunk beside the spare that holds it and its method that asks."""
    return sys.getrefcount(trunk) - 4


def _add_up(trunk):
    """Sums of a trunk's tensors, which tell what was written past torch's counters."""
    return [tensor.detach().sum().item() for tensor in trunk.state_dict().values()]


SPARE = Spare()
DIGESTS, SHAPES, ACCELERATED = Derived(), Derived(), Derived()


def forget():
    """Let go of the trunk that is held, and of what was made of it."""
    SPARE.clear()
    for derived in (DIGESTS, SHAPES, ACCELERATED):
        derived.clear()
