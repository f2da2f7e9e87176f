"""Routing of groups to every split and ``fit`` inside an estimator."""

import warnings
from numbers import Integral
from typing import Any, TypeVar

from numpy.typing import ArrayLike
from sklearn import config_context
from sklearn.base import BaseEstimator
from sklearn.calibration import CalibratedClassifierCV
from sklearn.ensemble import StackingClassifier
from sklearn.utils.metadata_routing import get_routing_for_object
from sklearn.utils.validation import has_fit_parameter

from skall.environment.private_names import BaseSearchCV
from skall.model_selection.splitting import CompleteGroupKFold, find_largest
from skall.validation.groups import check_groups
from skall.validation.labels import read_labels

Fitted = TypeVar("Fitted", bound=BaseEstimator)


def fit_with_groups(
    estimator: Fitted, X: Any, y: ArrayLike, groups: ArrayLike | None = None
) -> Fitted:
    """Fit an estimator, and pass the groups to everything inside it that uses them.

    These are the splitters of searches and stacks, such as
    :class:`~sklearn.model_selection.StratifiedGroupKFold`, and each ``fit`` that takes ``groups``,
    as :class:`~skall.CNNClassifier`'s does for its inner split. scikit-learn's searches alone pass
    groups only to their splitter, and its other estimators do not pass them at all.

    Parameters
    ----------
    estimator : estimator
        The estimator, which is fitted in place. Parts that have no setting for groups are set to
        request them (``set_fit_request``), and so are their clones; parts after a step that
        resamples are set not to, because the groups belong to other rows there. An estimator with
        ``groups`` in the signature of its own ``fit`` gets them there: Optuna's ``OptunaSearchCV``
        splits by them and does not pass them on. A
        :class:`~sklearn.ensemble.StackingClassifier` cannot pass them on either; its splitter is
        replaced by its splits. If the ``cv`` of a stack, a search or a calibration is a number, it
        becomes as many folds (or as many as have every class in every part) of
        :class:`~skall.model_selection.splitting.CompleteGroupKFold`.
    X, y
        Samples, and labels of any type that :func:`skall.validation.labels.read_labels` accepts.
    groups : array-like of shape (n_samples,), optional
        The group of each sample, such as its patient.

    Returns
    -------
    estimator : estimator
        The fitted estimator itself.

    Examples
    --------
    >>> from skall import get_estimator
    >>> from skall.datasets import make_blood_cells
    >>> from skall.search import make_search
    >>> cells = make_blood_cells(24, n_patients=6, image_size=32, random_state=0)
    >>> net = get_estimator("timm/test_resnet", weights=None, image_size=32, max_epochs=1)
    >>> search = make_search(net, {"lr": [1e-3, 1e-2]}, cv=2, grouped=True, random_state=0)
    >>> fit_with_groups(search, cells.data, cells.target, cells.groups).n_splits_
    2
    """
    labels = read_labels(y)
    if groups is None:
        return estimator.fit(X, labels)
    groups = check_groups(groups, len(labels))
    if has_fit_parameter(estimator, "groups"):
        return estimator.fit(X, labels, groups=groups)
    if isinstance(estimator, StackingClassifier):
        _split_by_groups(estimator, labels, groups)
        # scikit-learn 1.9 routes groups to the final estimator too, which raises an error.
        if hasattr(estimator.cv, "split") and not isinstance(estimator.cv, str):
            estimator.set_params(cv=list(estimator.cv.split(X, labels, groups)))
        _warn_of_early_stopping(estimator)
        return estimator.fit(X, labels)
    with config_context(enable_metadata_routing=True):
        try:
            _request_groups(estimator, labels, groups)
            wanted = get_routing_for_object(estimator).consumes("fit", ["groups"])
        except NotImplementedError:
            # A part does not support routing; a search can still split by groups.
            wanted = None
        if wanted:
            return estimator.fit(X, labels, groups=groups)
    can_split = isinstance(estimator, BaseSearchCV) and hasattr(estimator.cv, "split")
    params = {"groups": groups} if wanted is None and can_split else {}
    return estimator.fit(X, labels, **params)


def _split_by_groups(estimator, y, groups):
    """Replace a number of folds, which would split groups, by as many folds of groups, or fewer."""
    if estimator.cv is not None and not isinstance(estimator.cv, Integral):
        return
    if find_largest(y, groups, 2, [0]):
        estimator.set_params(cv=CompleteGroupKFold(estimator.cv or 5, random_state=0))
    else:
        warnings.warn(
            f"{type(estimator).__name__} splits by image inside: no two folds of whole groups have "
            "every class in every part, for which each class needs two groups at least",
            stacklevel=4,
        )


def _warn_of_early_stopping(stacking):
    params = stacking.get_params(deep=True).items()
    if any(value is True for name, value in params if name.endswith("__early_stopping")):
        warnings.warn(
            "StackingClassifier passes no groups on: early_stopping=True of its members holds out "
            "images of patients that they are trained on. Use early_stopping=False there, or "
            "Comparison.stack",
            stacklevel=3,
        )


def _request_groups(estimator, y, groups, wanted=True):
    """Make the estimator and its parts request groups, where they have no setting for it."""
    if has_fit_parameter(estimator, "groups") and hasattr(estimator, "set_fit_request"):
        if estimator.get_metadata_routing().fit.requests.get("groups") is None:
            estimator.set_fit_request(groups=wanted)
        return
    wanted = wanted and not isinstance(estimator, StackingClassifier)
    # Without an ensemble, a calibration passes its splitter no groups (scikit-learn 1.9).
    calibrates = isinstance(estimator, CalibratedClassifierCV) and estimator.ensemble is not False
    if wanted and (calibrates or isinstance(estimator, BaseSearchCV)):
        _split_by_groups(estimator, y, groups)
    steps = getattr(estimator, "steps", [])
    resamples = any(hasattr(step, "fit_resample") for _, step in steps[:-1])
    for name, part in estimator.get_params(deep=True).items():
        is_part = "__" not in name and hasattr(part, "fit") and hasattr(part, "get_params")
        if is_part and not isinstance(part, type):
            last = bool(steps) and part is steps[-1][1]
            _request_groups(part, y, groups, wanted and not (resamples and last))
