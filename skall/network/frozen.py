"""Frozen trunks: what is computed once from weights that training does not change."""

from copy import copy, deepcopy
from hashlib import blake2b
from threading import Lock
from weakref import WeakKeyDictionary, WeakValueDictionary, ref

import torch
from torch import nn

from skall.environment.private_names import count_hooks, count_writes
from skall.network.device import list_tensors
from skall.network.folding import accelerate, make_probe


class FrozenTrunk:
    """What a trunk with certain weights computes: it is never changed and never handed out.

    It holds no reference to the module that it was made from. Estimators of a process whose trunks
    have the same source and weights share one, as long as one of them, or :data:`LAST_TRUNK`, holds
    it. Features are computed with a copy of the weights, of which a process keeps one.

    A trunk that an estimator shows (``net.module_.extractor.trunk``) is that estimator's alone.
    :func:`get_frozen` compares it, at each use, with what it was before, and makes another
    `FrozenTrunk` where it has changed. A change is

    - another layer or another number of hooks,
    - another tensor, or another dtype,
    - a version counter of torch that has moved (``tensor._version``): operations in place,
      optimizers, ``load_state_dict``,
    - on the CPU another address: ``tensor.data = ...``, which
      :func:`torch.nn.utils.vector_to_parameters` does too.

    Writes into the same memory that torch does not count, as ``tensor.data.mul_(2)`` or
    ``tensor.numpy()[...] = 0``, are not noticed: features go on being those of the weights before.
    No features of such weights reach other estimators or a cache, because where they would be
    copied their sums are compared, and that is an error. Change the tensors themselves, under
    ``torch.no_grad()``.

    Parameters
    ----------
    trunk : torch.nn.Module

    Attributes
    ----------
    digest : bytes
        Identifies layers and weights.
    shapes : dict
        Shape of the features of one image, by pooling and image size.

    Examples
    --------
    >>> layer = torch.nn.Conv2d(3, 4, 1)
    >>> frozen = get_frozen(layer)
    >>> get_frozen(layer) is frozen
    True
    >>> torch.nn.init.zeros_(layer.weight).shape
    torch.Size([4, 3, 1, 1])
    >>> get_frozen(layer) is frozen
    False
    """

    # A reference to the one whose copy was made last.
    _newest = staticmethod(lambda: None)

    def __init__(self, trunk):
        self.digest = digest_weights(trunk)
        self._sums = _sum_weights(trunk)
        self.shapes = {}
        # Numerics and image size, and the copy for them.
        self._accelerated = None
        self._lock = Lock()

    def accelerate(self, extractor, size):
        """An extractor with this trunk as it runs fastest, on the device of the extractor.

        Parameters
        ----------
        extractor : FeatureExtractor
            Whose trunk this one was made from, in evaluation mode.
        size : int
            Height and width of the images in pixels.

        Returns
        -------
        FeatureExtractor
            For prediction only.
        """
        numerics, device = extractor.numerics, extractor.mean.device
        with self._lock, torch.inference_mode(False):
            made_for, trunk = self._accelerated or (None, None)
            if made_for != (numerics, size):
                self._check_weights(extractor.trunk)
                trunk = _copy_accelerated(extractor, size)
                self._keep((numerics, size), trunk)
            if device.type != "cpu":
                trunk = deepcopy(trunk).to(device)
                numerics.arrange_weights(trunk)
        return extractor.with_trunk(trunk)

    def _keep(self, made_for, trunk):
        """Keep the copy, the only one of a process: the one that was made before is dropped."""
        before = FrozenTrunk._newest()
        if before is not None:
            before._accelerated = None
        self._accelerated = made_for, trunk
        FrozenTrunk._newest = ref(self)

    def _check_weights(self, trunk):
        """Raise rather than give all estimators features of weights that only one has."""
        if not self.has_weights_of(trunk):
            raise RuntimeError(
                "weights of a frozen trunk were changed in a way that torch does not count, as by "
                "tensor.data.mul_ or tensor.numpy(); change the tensors themselves, under "
                "torch.no_grad(), or use load_state_dict"
            )

    def has_weights_of(self, trunk):
        """Whether a trunk has these weights, also where torch has not counted a change."""
        # Sums take a tenth of the time, but their last bits depend on device and threads.
        return _sum_weights(trunk) == self._sums or digest_weights(trunk) == self.digest

    @property
    def nbytes(self):
        """Bytes of the copy for prediction."""
        accelerated = self._accelerated
        return 0 if accelerated is None else _count_bytes(accelerated[1])


def _copy_accelerated(extractor, size):
    """A copy on the CPU that shares no memory with the extractor's trunk."""
    trunk = accelerate(extractor, make_probe(size, torch.device("cpu"))).trunk
    return (deepcopy(trunk) if trunk is extractor.trunk else trunk).cpu().requires_grad_(False)


def digest_weights(module):
    """Bytes that identify the layers and weights of a module."""
    digest = blake2b(digest_size=16)
    layers = [type(part).__name__ for part in module.modules()]
    digest.update(f"{type(module)}{layers}".encode())
    for tensor in module.state_dict().values():
        digest.update(tensor.cpu().contiguous().numpy())
    return digest.digest()


class ModuleState:
    """Layers and weights of a module at one time, as :class:`FrozenTrunk` compares them.

    Parameters
    ----------
    module : torch.nn.Module

    Examples
    --------
    >>> layer = torch.nn.Linear(2, 3)
    >>> before = ModuleState(layer)
    >>> before == ModuleState(layer)
    True
    >>> layer.weight.data = layer.weight.data.clone()
    >>> before == ModuleState(layer)
    False
    """

    def __init__(self, module):
        self.layers = [(type(part), *count_hooks(part)) for part in module.modules()]
        tensors = list_tensors(module)
        self.tensors = [(id(tensor), count_writes(tensor), tensor.dtype) for tensor in tensors]
        self.addresses = self._find_addresses(tensors)

    def _find_addresses(self, tensors):
        # Moving to another device and back changes addresses, and nothing else.
        if all(tensor.device.type == "cpu" for tensor in tensors):
            return [tensor.data_ptr() for tensor in tensors]
        return None

    def __eq__(self, other):
        if not isinstance(other, ModuleState) or not self.has_tensors_of(other):
            return False
        return None in (self.addresses, other.addresses) or self.addresses == other.addresses

    __hash__ = None  # type: ignore[assignment]  # which is how Python says it

    def has_tensors_of(self, other):
        """Whether layers and tensors are the same, wherever the numbers lie."""
        return self.layers == other.layers and self.tensors == other.tensors


# What each trunk was when it was last used, and what was computed from it then.
_USED: WeakKeyDictionary[nn.Module, tuple] = WeakKeyDictionary()
# By source and digest.
_SHARED: WeakValueDictionary[tuple, FrozenTrunk] = WeakValueDictionary()


def find_frozen(trunk):
    """The `FrozenTrunk` of a trunk, if there is one and the trunk has not changed; else None."""
    state, frozen = _USED.get(trunk, (None, None))
    if frozen is None:
        return None
    now = ModuleState(trunk)
    if now != state:
        return None
    _USED[trunk] = now, frozen
    return frozen


def get_frozen(trunk, source=None):
    """The `FrozenTrunk` of a trunk as it is now.

    Parameters
    ----------
    trunk : torch.nn.Module
        That is not being trained.
    source : tuple, optional
        What the trunk was built from; trunks of equal source and weights share one.

    Returns
    -------
    FrozenTrunk
    """
    frozen = find_frozen(trunk)
    if frozen is None:
        frozen = FrozenTrunk(trunk)
        if source is not None:
            frozen = _SHARED.setdefault((source, frozen.digest), frozen)
        _USED[trunk] = ModuleState(trunk), frozen
    return frozen


class LastTrunk:
    """The trunk that was used last with frozen weights, for the next estimator.

    Folds and grid points train heads on one trunk after the other, and each estimator is gone
    before the next is built. Here, and nowhere else, a trunk and its `FrozenTrunk` are kept alive
    for the next one: one of each in a process, until another is used or :meth:`clear` is called.

    An estimator gets a module that shows the layers of the trunk; while that module lives the trunk
    is not given to another, which builds its own.

    Examples
    --------
    >>> last, build = LastTrunk(), lambda: torch.nn.Sequential(torch.nn.Linear(2, 3))
    >>> first = last.get("source", build)
    >>> layer = first[0]
    >>> last.get("source", build)[0] is layer
    False
    >>> del first
    >>> last.clear()
    """

    def __init__(self):
        self._lock = Lock()
        self.clear()

    def get(self, source, build):
        """A trunk with frozen weights that no other estimator has.

        Parameters
        ----------
        source : tuple
            What the trunk is built from.
        build : callable
            Builds it, where the last one is of another source, in use, or changed.

        Returns
        -------
        torch.nn.Module
        """
        with self._lock:
            if self._source == source and not self.is_used and self._is_unchanged():
                return self._show()
        trunk = build()
        frozen = get_frozen(trunk, source)
        with self._lock:
            self._source, self._trunk, self._frozen = source, trunk, frozen
            self._state = ModuleState(trunk)
            return self._show()

    def _show(self):
        """A module with the layers and weights of the trunk, whose life tells who uses it."""
        shown = copy(self._trunk)
        self._shown = ref(shown)
        _USED[shown] = ModuleState(shown), self._frozen
        return shown

    def _is_unchanged(self):
        # Once per estimator, and not at each prediction, the weights themselves are compared.
        now = ModuleState(self._trunk)
        if now.addresses is None or not now.has_tensors_of(self._state):
            return False
        return self._frozen.has_weights_of(self._trunk)

    @property
    def is_used(self):
        """Whether an estimator has the trunk."""
        return self._shown is not None and self._shown() is not None

    def describe(self):
        """The trunk that is kept, and its size.

        Returns
        -------
        trunk : weakref.ref or None
        n_bytes : int
            Bytes of the weights, and of their copy for prediction.
        """
        with self._lock:
            if self._trunk is None:
                return None, 0
            return ref(self._trunk), _count_bytes(self._trunk) + self._frozen.nbytes

    def clear(self):
        """Keep nothing alive."""
        with self._lock:
            self._source = self._trunk = self._state = self._frozen = self._shown = None


def _sum_weights(module):
    with torch.no_grad():
        return [tensor.sum().item() for tensor in list_tensors(module)]


def _count_bytes(module):
    return sum(tensor.nbytes for tensor in list_tensors(module))


LAST_TRUNK = LastTrunk()
