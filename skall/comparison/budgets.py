"""What the estimators of a comparison were given and took: whether their chances were equal."""

import numpy as np
import pandas as pd

from skall.displays.style import shorten_number

# Below this ratio of parameters trained, sizes are taken for alike.
UNEQUAL = 10


def tabulate_budgets(comparison):
    """Size, training and cost of each estimator.

    Parameters
    ----------
    comparison : Comparison

    Returns
    -------
    DataFrame
        Indexed by estimator in the order of the scores. ``trainable``, ``non_trainable``: numbers
        of parameters; ``macs``: multiply-accumulates for an image; ``image_size`` in pixels;
        ``epochs``: mean over the folds; ``trials``: combinations of parameters tried in a fold;
        ``fit_seconds``, ``shared_seconds``, ``predict_ms``, ``peak_memory``: what it cost. NaN
        where it is not known or there is none.

    Notes
    -----
    Costs do not depend on which estimators came before; what libraries do once, when they are
    first used, is why they are medians over the folds. ``fit_seconds`` is the time of ``fit``
    without the reading of images and the computing of frozen trunks' features, which caches keep
    for estimators, folds and epochs to come. That time stands apart: ``shared_seconds`` is all that
    this estimator spent on it in all folds, much where it came first and little where others had
    been there. ``predict_ms`` is the time of labels and probabilities for an image, of 16 that the
    network of the first fold predicts together: they are decoded already, but nothing comes from a
    cache, so that frozen trunks compute. ``peak_memory`` is the rise of the process's resident
    memory during ``fit`` in bytes, without what a cache keeps; Linux alone tells it. The memory of
    a GPU, and of processes that a search starts, is not in it.
    """
    names = comparison.scores_["estimator"].unique()
    table = pd.DataFrame(index=pd.Index(names, name="estimator"))
    networks = {name: about.get("network") for name, about in comparison.estimators_.items()}
    for key in ("trainable", "non_trainable", "macs", "image_size"):
        table[key] = [(networks.get(name) or {}).get(key, np.nan) for name in names]
    table = table.astype(float)
    epochs = comparison.history_.groupby(["estimator", "repeat", "fold"]).size()
    table["epochs"] = epochs.groupby("estimator").mean()
    table["trials"] = [comparison.trials_.get(name, 1) for name in names]
    resources = comparison.resources_.groupby("estimator")
    table["fit_seconds"] = resources["fit_seconds"].median()
    table["shared_seconds"] = resources["shared_seconds"].sum(min_count=1)
    table["predict_ms"] = resources["predict_ms"].median()
    table["peak_memory"] = resources["peak_memory"].median()
    return table


def flag_budgets(comparison):
    """Sentences about budgets that were not equal.

    Parameters
    ----------
    comparison : Comparison

    Returns
    -------
    list of str
        Empty where all networks had the same chances. Sizes count where one trains ten times as
        many parameters as another, and where a trunk is frozen in one and trained in another.
    """
    table = tabulate_budgets(comparison)
    rivals, _ = comparison.split_names()
    table = table.loc[[name for name in rivals if name not in comparison.members_]]
    flags = _flag_parts(table, comparison.estimators_) + _flag_sizes(table) + _flag_epochs(table)
    if table["trials"].nunique() > 1:
        listed = _list(table["trials"], "{:.0f}")
        flags.append(f"Unequal tuning: combinations tried in each fold are {listed}.")
    return flags


def _flag_parts(table, estimators):
    """Frozen trunks beside trained ones."""
    parts = {}
    for name in table.index[table["trainable"].notna()]:
        parts.setdefault(estimators[name]["network"]["trained"], []).append(name)
    if len(parts) < 2:
        return []
    listed = "; ".join(f"{part} of {', '.join(names)}" for part, names in parts.items())
    return [f"Unequal training: what was trained is {listed}."]


def _flag_sizes(table):
    known = table["trainable"][table["trainable"] > 0].sort_values()
    if len(known) < 2 or known.iloc[-1] < UNEQUAL * known.iloc[0]:
        return []
    ends = " and ".join(f"{shorten_number(known.iloc[i])} of {known.index[i]}" for i in (0, -1))
    return [f"Unequal sizes: the parameters trained lie between the {ends}."]


def _flag_epochs(table):
    epochs = table["epochs"].dropna()
    if epochs.nunique() < 2:
        return []
    return [f"Unequal epochs, on average over the folds: {_list(epochs, '{:.3g}')}."]


def _list(values, form):
    return ", ".join(f"{form.format(value)} for {name}" for name, value in values.items())
