"""The networks of a comparison, each inside a search that sees the training part alone."""

from importlib.metadata import version

from sklearn.base import clone

from skall.classifier import CNNClassifier
from skall.comparison.description import describe_value
from skall.metrics import scorers
from skall.search import is_list, make_search

FIXED = {
    "backbone": "the backbones are what is compared; name each of them",
    "random_state": "every fold has a seed of its own",
}


def prepare(candidate, seed=None, search=None):
    """What is fitted in a fold: a copy of a candidate, with the fold's seed, inside a search.

    Parameters
    ----------
    candidate : classifier
    seed : int, optional
        Becomes its ``random_state``, and the search's.
    search : dict, optional
        Arguments of :func:`skall.search.make_search`; networks alone are searched.

    Returns
    -------
    classifier
    """
    estimator = clone(candidate)
    if seed is not None:
        estimator.set_params(random_state=seed)
    if search is None or not isinstance(estimator, CNNClassifier):
        return estimator
    return make_search(estimator, random_state=seed, **search)


def plan_search(tune, strategy="grid", trials=None, *, by_name, grouped, pos_label):
    """Arguments of :func:`skall.search.make_search` for every network of a comparison.

    Parameters
    ----------
    tune : dict of str to list, or None
        Without it nothing is searched.
    strategy : str
    trials : int, optional
    by_name : bool
        Whether the networks were given by name.
    grouped : bool
    pos_label : label or None

    Returns
    -------
    dict or None

    Raises
    ------
    ValueError, TypeError
        For what can't be tuned here, and for a strategy without anything to tune.
    """
    if tune is None:
        if strategy != "grid" or trials is not None:
            raise ValueError("strategy and trials say how to tune, but there is no tune")
        return None
    if not by_name:
        raise TypeError(
            "tune is for networks given by name; wrap your own estimators in a search, as "
            "skall.search.make_search gives"
        )
    for parameter, reason in FIXED.items():
        if parameter in tune:
            raise ValueError(f"{parameter} cannot be tuned here: {reason}")
    return {
        **{"space": tune, "strategy": strategy, "trials": trials, "grouped": grouped},
        "scoring": scorers(pos_label)["balanced_accuracy"],
    }


def check_search(search, candidates, folds, y, groups):
    """Raise where the networks, or the training part of a fold, cannot be searched.

    Parameters
    ----------
    search : dict
        See :func:`plan_search`.
    candidates : dict of str to classifier
    folds : list of Fold
    y, groups
        All labels, and all groups or None.
    """
    network = next(c for c in candidates.values() if isinstance(c, CNNClassifier))
    for fold in folds:
        inner = prepare(network, fold.seed, search).cv
        inner_groups = None if groups is None else groups[fold.train]
        try:
            list(inner.split(y[fold.train], y[fold.train], inner_groups))
        except ValueError as exc:
            raise ValueError(
                f"tune is not possible: the training part of {fold.title} cannot be split once "
                f"more: {exc}"
            ) from exc


def describe_search(search):
    """What a search adds to the fingerprint of a comparison.

    Parameters
    ----------
    search : dict or None
        See :func:`plan_search`.

    Returns
    -------
    dict of str to str
    """
    if search is None:
        return {}
    described = {"strategy": search["strategy"], "trials": str(search["trials"])}
    if search["strategy"] == "optuna":
        described["version of optuna"] = version("optuna")
    for parameter, values in search["space"].items():
        listed = values if is_list(values) else [values]
        described[f"tune {parameter}"] = ", ".join(map(describe_value, listed))
    return described
