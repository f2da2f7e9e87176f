"""The weights of a trunk: random, published, or from a file."""

import os
import pickle
import re
import struct
from collections.abc import Mapping
from pathlib import Path
from zipfile import BadZipFile

import torch
from safetensors import SafetensorError
from safetensors.torch import load_file, save_file
from torch import Tensor, nn

from skall.backbones.registry import get_backbone

FOLDER_VARIABLE = "SKALL_WEIGHTS"
SUFFIXES = (".safetensors", ".pth", ".pt")
CLASSIFIERS = (
    *("AuxLogits", "aux_head", "classif", "classifier", "fc"),
    *("head", "head_dist", "heads", "heads_dist", "last_linear"),
)
# torchvision's published DenseNets have the names of its first release.
_DENSE_LAYER = re.compile(r"(denselayer\d+\.(?:norm|relu|conv))\.([12])\.")
# What torch.load raises for damaged files, found by damaging thousands.
_DAMAGED = (
    *(RuntimeError, EOFError, BadZipFile, LookupError, ValueError, TypeError),
    *(AttributeError, AssertionError, struct.error),
)


def build_trunk(name, weights="imagenet", backbone=None):
    """Build the trunk of a backbone.

    Parameters
    ----------
    name : str
        One of :func:`~skall.list_backbones`, or ``"timm/<model>"``.
    weights : {"imagenet", None} or path, default="imagenet"
        ``"imagenet"``: the file ``<name>.safetensors`` in the folder that the environment variable
        ``SKALL_WEIGHTS`` names, if there is one, else the published weights through the library's
        own loader and cache. None: random, from torch's global generator, which is not used
        otherwise. A path: a state dict of the trunk or of the whole model, as ``.safetensors`` or
        as ``.pth`` or ``.pt`` without code.
    backbone : Backbone, optional
        The backbone of this name, if it has been looked up, which takes milliseconds.

    Returns
    -------
    torch.nn.Module
        On the CPU, float32, in training mode.

    Raises
    ------
    ValueError
        Where the backbone has no published weights, or the file cannot be read safely or does not
        fit the backbone.
    FileNotFoundError
        Where the file is missing, or the published weights are neither in the folder nor in the
        cache and cannot be fetched.
    """
    backbone = backbone or get_backbone(name)
    if weights is None:
        return _call(name, backbone, None)
    path = _locate(name, weights)
    # Random initial weights that are overwritten leave the generator as it is.
    with torch.random.fork_rng(devices=[]):
        if path is None:
            return _fetch(name, backbone)
        state = read_weights(path)
        trunk = _call(name, backbone, None)
    _load(trunk, state, name, path)
    return trunk


def identify_weights(name, weights):
    """Identify weights, to tell whether the same were read before.

    Parameters
    ----------
    name : str
        The backbone's.
    weights : "imagenet" or path

    Returns
    -------
    identity : tuple
        With path, size and time of the file where it is known.
    """
    path = _locate(name, weights)
    if path is None:
        return (weights,)
    known = path.stat() if path.is_file() else None
    return path, known and (known.st_size, known.st_mtime_ns)


def export(name, folder):
    """Write the published weights of a backbone into a folder, for machines without internet.

    Parameters
    ----------
    name : str
        One of :func:`~skall.list_backbones`, or ``"timm/<model>"``.
    folder : path
        Made if missing. On the other machine set the environment variable ``SKALL_WEIGHTS`` to it.

    Returns
    -------
    pathlib.Path
        ``<folder>/<name>.safetensors``.
    """
    trunk = _fetch(name, get_backbone(name))
    path = Path(folder) / f"{name}.safetensors"
    path.parent.mkdir(parents=True, exist_ok=True)
    # Cloned, because safetensors refuses tensors that share memory.
    save_file({key: tensor.clone() for key, tensor in trunk.state_dict().items()}, path)
    return path


def read_weights(path):
    """Read a state dict without running code from the file.

    Parameters
    ----------
    path : path
        A ``.safetensors``, ``.pth`` or ``.pt`` file. Wrappers of training scripts (the keys
        ``state_dict`` and ``model``, the prefix ``module.``) are removed.

    Returns
    -------
    dict of str to torch.Tensor

    Raises
    ------
    FileNotFoundError
        Where there is no such file.
    ValueError
        Where it is of another kind, damaged, or would run code.
    """
    path = Path(path)
    _check_file(path)
    state = _read_safetensors(path) if path.suffix == ".safetensors" else _read_pickle(path)
    for wrapper in ("state_dict", "model"):
        if isinstance(state, Mapping) and isinstance(state.get(wrapper), Mapping):
            state = state[wrapper]
    if not isinstance(state, Mapping) or not all(map(torch.is_tensor, state.values())):
        raise ValueError(
            f"{path} does not hold a state dict (names and tensors); save model.state_dict()"
        )
    return {_rename(key): tensor for key, tensor in state.items()}


def check_weights(name, weights):
    """Check, without reading or fetching anything, that a backbone's weights can be found.

    Parameters
    ----------
    name : str
        Of the backbone.
    weights : {"imagenet", None} or path

    Raises
    ------
    TypeError, FileNotFoundError, NotADirectoryError
    ValueError
        For a file of another kind.
    """
    path = None if weights is None else _locate(name, weights)
    if path is not None:
        _check_file(path)


def _check_file(path):
    if path.suffix not in SUFFIXES:
        raise ValueError(
            f"weights={str(path)!r} is neither 'imagenet', None, nor a file that ends in one of "
            f"{', '.join(SUFFIXES)}"
        )
    if not path.is_file():
        raise FileNotFoundError(
            f"weights={str(path)!r}: there is no such file; give another path, 'imagenet' or None"
        )


def _read_safetensors(path):
    try:
        return load_file(path)
    except SafetensorError as exc:
        raise ValueError(f"{path} is damaged or not a safetensors file: {exc}") from exc


def _read_pickle(path):
    try:
        return torch.load(path, map_location="cpu", weights_only=True)
    except pickle.UnpicklingError as exc:
        raise ValueError(
            f"{path} is damaged, or holds more than tensors and would run code when read, which "
            "skall refuses; save model.state_dict() again, best as .safetensors"
        ) from exc
    except _DAMAGED as exc:
        raise ValueError(f"{path} is damaged or not a file of torch.save: {exc}") from exc


def _rename(key):
    return _DENSE_LAYER.sub(r"\1\2.", key.removeprefix("module."))


def _call(name, backbone, weights):
    """Build the trunk; its errors get the name of the backbone."""
    try:
        trunk = backbone.build(weights)
    except ValueError as exc:
        raise ValueError(f"backbone {name!r}: {exc}") from exc
    if not isinstance(trunk, nn.Module):
        raise TypeError(
            f"build({weights!r}) of backbone {name!r} must return a torch.nn.Module, got "
            f"{type(trunk).__name__}"
        )
    return trunk


def _locate(name, weights):
    """The file of the weights; None for those that a library fetches and caches."""
    if isinstance(weights, str) and weights == "imagenet":
        return _find_local(name)
    if isinstance(weights, (str, os.PathLike)):
        return Path(weights).expanduser()
    raise TypeError(f"weights must be 'imagenet', None or a path, got {type(weights).__name__}")


def _find_local(name):
    folder = os.environ.get(FOLDER_VARIABLE)
    if not folder:
        return None
    if not Path(folder).is_dir():
        raise NotADirectoryError(f"{FOLDER_VARIABLE}={folder!r} is not a folder")
    path = Path(folder) / f"{name}.safetensors"
    return path if path.is_file() else None


def _fetch(name, backbone):
    try:
        return _call(name, backbone, "imagenet")
    except OSError as exc:
        folder = os.environ.get(FOLDER_VARIABLE)
        place = (
            f"{Path(folder) / name}.safetensors"
            if folder
            else f"<folder>/{name}.safetensors and set {FOLDER_VARIABLE}=<folder> (it is unset)"
        )
        raise FileNotFoundError(
            f"the published weights of backbone {name!r} are not in a cache here and cannot be "
            f"fetched ({exc}). Put the file {place}; a machine with internet writes it with\n"
            '    python -c "from skall.backbones.weights import export; '
            f"export({name!r}, '<folder>')\"\n"
            "Or pass weights=None for random weights."
        ) from exc


def _load(trunk: nn.Module, state: dict[str, Tensor], name, path):
    # Without the counters of batch normalisation, which some files lack or have in another shape.
    own = {key: t for key, t in trunk.state_dict().items() if not _is_counter(key)}
    kept = {
        key: tensor
        for key, tensor in state.items()
        if key in own or not (_is_counter(key) or key.partition(".")[0] in CLASSIFIERS)
    }
    problems = [
        _list("missing", [key for key in own if key not in kept]),
        _list("unexpected", [key for key in kept if key not in own]),
        _list(
            "of another shape",
            [
                f"{key} {tuple(tensor.shape)} for {tuple(own[key].shape)}"
                for key, tensor in kept.items()
                if key in own and tensor.shape != own[key].shape
            ],
        ),
    ]
    if any(problems):
        raise ValueError(
            f"{path} seems to be of another architecture than backbone {name!r}: "
            + "; ".join(filter(None, problems))
        )
    broken = [key for key, t in kept.items() if t.is_floating_point() and not t.isfinite().all()]
    if broken:
        raise ValueError(f"{path} has NaN or infinite weights: {_list('tensors', broken)}")
    # This copies, and casts half precision to the trunk's float32.
    trunk.load_state_dict(kept, strict=False)


def _is_counter(key):
    return key.endswith("num_batches_tracked")


def _list(what, keys):
    """The number of keys, and the first of them."""
    shown = ", ".join(keys[:3]) + (", ..." if len(keys) > 3 else "")
    return f"{len(keys)} {what}: {shown}" if keys else ""
