"""Fitted classifiers as files: weights in safetensors, the rest in JSON, and a model in ONNX."""

import inspect
import json
import os
from hashlib import blake2b
from numbers import Integral, Real
from pathlib import Path

import numpy as np
import torch
from safetensors import SafetensorError
from safetensors.torch import load_file, save_file
from sklearn.utils.validation import check_is_fitted
from skorch.history import History

import skall
from skall.classifier.exporting import export_model
from skall.persistence.files import write_file

FORMAT = 1
WEIGHTS_FILE = "weights.safetensors"
DESCRIPTION_FILE = "classifier.json"
MODEL_FILE = "model.onnx"
FORMATS = ("safetensors", "onnx")


def save_classifier(classifier, folder, format="safetensors"):
    """Write a fitted classifier into a folder; each file is complete or absent.

    Parameters
    ----------
    classifier : CNNClassifier
    folder : path
    format : {"safetensors", "onnx"}, default="safetensors"
        ``"onnx"`` adds the model of :func:`skall.classifier.exporting.export_model`.

    Raises
    ------
    TypeError
        For a parameter or a class label that JSON cannot hold.
    ValueError
        For another format.
    ImportError, ValueError, RuntimeError
        Where the network cannot be exported; nothing is written then.
    NotADirectoryError
        Where `folder` is a file.
    """
    check_is_fitted(classifier)
    if format not in FORMATS:
        raise ValueError(f"format={format!r}; possible are {', '.join(map(repr, FORMATS))}")
    folder = Path(folder)
    if folder.exists() and not folder.is_dir():
        raise NotADirectoryError(f"{str(folder)!r} is a file; save() writes files into a folder")
    description = {
        "format": FORMAT,
        "skall": skall.__version__,
        "params": _encode_params(classifier),
        **_encode_state(classifier._fitted_state()),
    }
    model = export_model(classifier) if format == "onnx" else None
    description["model"] = None if model is None else _digest(model)
    state = classifier.module_.state_dict()
    # Tensors that share memory or are strided are not for safetensors.
    state = {name: tensor.detach().cpu().clone().contiguous() for name, tensor in state.items()}
    # Written last: without it the folder holds no whole classifier.
    (folder / DESCRIPTION_FILE).unlink(missing_ok=True)
    write_file(folder / WEIGHTS_FILE, lambda path: save_file(state, path))
    if model is None:
        # One that an earlier save left is of other weights.
        (folder / MODEL_FILE).unlink(missing_ok=True)
    else:
        write_file(folder / MODEL_FILE, lambda path: path.write_bytes(model))
    text = json.dumps(description, indent=1, allow_nan=True)
    write_file(folder / DESCRIPTION_FILE, lambda path: path.write_text(text, encoding="utf-8"))


def is_saved(folder):
    """Whether a folder holds a whole classifier: its description is written last."""
    return (Path(folder) / DESCRIPTION_FILE).is_file()


def check_savable(classifier):
    """Raise where a classifier, fitted or not, has a parameter that cannot be saved.

    Parameters
    ----------
    classifier : CNNClassifier

    Raises
    ------
    TypeError
        That names the parameter.
    """
    _encode_params(classifier)


def read_folder(folder):
    """What :func:`save_classifier` wrote; nothing is unpickled.

    Parameters
    ----------
    folder : path

    Returns
    -------
    description : dict
    state : dict of str to torch.Tensor

    Raises
    ------
    FileNotFoundError, ValueError
        Where the folder does not hold a classifier that this version can read.
    """
    folder = Path(folder)
    try:
        description = json.loads((folder / DESCRIPTION_FILE).read_text(encoding="utf-8"))
        state = load_file(folder / WEIGHTS_FILE)
    except FileNotFoundError as exc:
        raise FileNotFoundError(
            f"{str(folder)!r} holds no classifier: {exc.filename or exc} is missing; save() "
            f"writes {DESCRIPTION_FILE} and {WEIGHTS_FILE}"
        ) from exc
    except (json.JSONDecodeError, UnicodeDecodeError, SafetensorError) as exc:
        raise ValueError(f"the files in {str(folder)!r} are damaged: {exc}") from exc
    if not isinstance(description, dict) or description.get("format") != FORMAT:
        raise ValueError(
            f"{str(folder / DESCRIPTION_FILE)!r} is not of format {FORMAT}, the one that skall "
            f"{skall.__version__} reads"
        )
    return description, state


def read_model(folder, description):
    """The ONNX model that :func:`save_classifier` wrote with a description.

    Parameters
    ----------
    folder : path
    description : dict

    Returns
    -------
    bytes

    Raises
    ------
    FileNotFoundError
        Where there is none.
    ValueError
        Where it is damaged, or not of the weights in the folder.
    """
    path = Path(folder) / MODEL_FILE
    try:
        model = path.read_bytes()
    except FileNotFoundError as exc:
        raise FileNotFoundError(
            f"{str(folder)!r} holds no {MODEL_FILE}, which other runtimes than torch need; "
            "save(folder, format='onnx') writes it"
        ) from exc
    if _digest(model) != description.get("model"):
        raise ValueError(
            f"{str(path)!r} is damaged, or was not written with the other files in the folder; "
            "save(folder, format='onnx') writes them anew"
        )
    return model


def _digest(model):
    return blake2b(model, digest_size=16).hexdigest()


def restore(classifier, description, weights):
    """Fit an unfitted classifier with what was read, instead of with images.

    Parameters
    ----------
    classifier : CNNClassifier
        With the parameters of the description.
    description : dict
    weights : dict of str to torch.Tensor
    """
    classifier._restore(_decode_state(description), weights)


def _encode_state(state):
    """What fit found, as JSON holds it."""
    names = state["feature_names_in"]
    return state | {
        "classes": _encode_classes(state["classes"]),
        "feature_names_in": [] if names is None else list(names),
        "device": str(state["device"]),
        "history": json.loads(json.dumps(state["history"].to_list(), default=float)),
    }


def _decode_state(description):
    """What fit found, from what JSON holds of it; None where there is none."""
    names = description["feature_names_in"]
    plain = ("n_features_in", "n_iter", "best_epoch", "n_threads", "precision")
    return {name: description[name] for name in plain} | {
        "classes": _decode_classes(description["classes"]),
        "feature_names_in": np.array(names, dtype=object) if names else None,
        # Folders of before it was recorded have none.
        "memory_format": description.get("memory_format", "channels_last"),
        "device": torch.device(description["device"]),
        "history": History(description["history"]),
    }


def _encode_params(classifier):
    """Parameters that differ from their defaults, as JSON holds them."""
    defaults = inspect.signature(type(classifier).__init__).parameters
    params = {}
    for name, value in classifier.get_params(deep=False).items():
        if name in defaults and value is defaults[name].default:
            continue
        params[name] = _encode(value, name)
    return params


def _encode(value, name):
    if value is None or isinstance(value, (bool, str)):
        return value
    if isinstance(value, Integral):
        return int(value)
    if isinstance(value, Real):
        return float(value)
    if isinstance(value, os.PathLike):
        return os.fspath(value)
    if isinstance(value, tuple):
        return {"tuple": [_encode(item, name) for item in value]}
    if isinstance(value, list):
        return [_encode(item, name) for item in value]
    if isinstance(value, dict):
        return {"dict": [[_encode(k, name), _encode(v, name)] for k, v in value.items()]}
    raise TypeError(
        f"{name}={value!r} cannot be saved: JSON holds numbers, strings, "
        "lists, tuples and dicts of them, and never names code; pickle the classifier instead"
    )


def decode_params(params):
    """Parameters from what JSON holds of them."""
    return {name: _decode(value) for name, value in params.items()}


def _decode(value):
    if isinstance(value, dict):
        if "tuple" in value:
            return tuple(_decode(item) for item in value["tuple"])
        return {_decode(key): _decode(item) for key, item in value["dict"]}
    if isinstance(value, list):
        return [_decode(item) for item in value]
    return value


def _encode_classes(classes):
    labels = classes.tolist()
    if not all(isinstance(label, (bool, int, float, str)) for label in labels):
        raise TypeError(f"classes {labels} cannot be saved: JSON holds numbers and strings")
    dtype = "object" if classes.dtype == object else classes.dtype.str
    return {"dtype": dtype, "labels": labels}


def _decode_classes(description):
    return np.array(description["labels"], dtype=np.dtype(description["dtype"]))
