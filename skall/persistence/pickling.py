"""The state of an estimator as bytes, for tools that know no tensors."""

import copyreg
from io import BytesIO

import torch


class PackedState:
    """An estimator whose ``__getstate__`` gives plain values: its networks are packed as bytes.

    So that skops, which asks for that state, can keep it. Pickling and copying take the attributes
    as they are; subclasses that pickle others give ``_pickled_state``. As with pickle, what unpacks
    the bytes may run code: read such files only from people you trust. A fitted classifier saved
    with :meth:`skall.CNNClassifier.save` holds none.
    """

    # Names of the attributes that are packed, where there are any.
    _packed_names: tuple[str, ...] = ()

    def _pickled_state(self):
        return vars(self).copy()

    def __reduce_ex__(self, protocol):
        # object's own would call __getstate__, and cloudpickle could not pickle by value in bytes.
        return copyreg.__newobj__, (type(self),), self._pickled_state()

    def __getstate__(self):
        state = self._pickled_state()
        parts = {name: state.pop(name) for name in self._packed_names if name in state}
        if parts:
            file = BytesIO()
            torch.save(parts, file)
            state["_packed"] = file.getvalue()
        return state

    def __setstate__(self, state):
        vars(self).update(state)
        if "_packed" in state:
            packed = BytesIO(vars(self).pop("_packed"))
            vars(self).update(torch.load(packed, weights_only=False))
