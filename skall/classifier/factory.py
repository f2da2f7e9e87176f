"""Where classifiers come from: a backbone's name, or the files of a fitted one."""

from skall.classifier.estimator import CNNClassifier
from skall.classifier.persistence import decode_params, read_folder, restore
from skall.registry import get_backbone


def get_estimator(name, **params):
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


def load(folder):
    """Read a classifier that :meth:`CNNClassifier.save` wrote.

    Nothing is unpickled, and no name in the files is imported: the backbone is looked up among
    the registered ones.

    Parameters
    ----------
    folder : path

    Returns
    -------
    CNNClassifier
        Fitted, on the CPU.

    Raises
    ------
    FileNotFoundError, ValueError
        Where the folder does not hold a classifier that this version can read.
    """
    description, state = read_folder(folder)
    try:
        classifier = CNNClassifier(**decode_params(description["params"]))
        restore(classifier, description, state)
    except KeyError as exc:
        raise ValueError(f"the description in {str(folder)!r} lacks {exc}") from exc
    return classifier
