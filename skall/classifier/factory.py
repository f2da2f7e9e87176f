"""Where classifiers come from: a backbone's name, or the files of a fitted one."""

import os
from typing import Any, Literal

from skall.backbones.registry import get_backbone
from skall.classifier.estimator import CNNClassifier
from skall.classifier.runtimes import Session, check_runtime
from skall.classifier.saving import decode_params, read_folder, read_model, restore


def get_estimator(name: str, **params: Any) -> CNNClassifier:
    """The classifier of a backbone's name.

    Parameters
    ----------
    name : str
        A name of :func:`~skall.list_backbones`, or ``"timm/<model>"`` for any of timm's models.
    **params
        Parameters of :class:`CNNClassifier`.

    Returns
    -------
    CNNClassifier

    Raises
    ------
    ValueError
        For an unknown name, with the nearest ones, or a name that two packages claim.

    Examples
    --------
    >>> from skall import get_estimator
    >>> get_estimator("squeezenet", trainable="head")
    CNNClassifier(backbone='squeezenet', trainable='head')
    """
    get_backbone(name)
    return CNNClassifier(backbone=name, **params)


def load(
    folder: str | os.PathLike,
    runtime: Literal["torch", "onnxruntime", "openvino"] | None = None,
) -> CNNClassifier:
    """Read a classifier that :meth:`CNNClassifier.save` wrote.

    Nothing is unpickled, and no name in the files is imported: the backbone is looked up among
    the registered ones.

    Parameters
    ----------
    folder : path
    runtime : {None, "torch", "onnxruntime", "openvino"}, default=None
        What runs the network where it predicts. None means torch; the others, of the extras
        ``onnx`` and ``openvino``, run on the CPU what ``save(folder, format="onnx")`` wrote, until
        the classifier is fitted again. The estimator's ``runtime_`` says which.

    Returns
    -------
    CNNClassifier
        Fitted, on the CPU.

    Raises
    ------
    FileNotFoundError
        Where the folder holds no classifier, or no model for the runtime.
    ValueError
        Where this version, or the runtime, cannot read what it holds, and for an unknown runtime.
    ImportError
        Where the runtime is not installed.
    """
    chosen = check_runtime(runtime)
    description, state = read_folder(folder)
    session = None
    try:
        if chosen != "torch":
            model = read_model(folder, description)
            session = Session(chosen, model, description["precision"])
            # Now, to fail here rather than at the first prediction.
            session.start()
        classifier: Any = CNNClassifier(**decode_params(description["params"]))
        restore(classifier, description, state)
    except KeyError as exc:
        raise ValueError(f"the description in {str(folder)!r} lacks {exc}") from exc
    classifier._session = session
    return classifier
