"""Flags: what readers of the results should know, as failures, missing values, unequal budgets."""

import pandas as pd

from skall.displays.probabilities import list_with_probabilities
from skall.displays.style import shorten_number
from skall.metrics.formulas import describe_metric
from skall.statistics.sentences import capitalize, list_words

# Folds of each estimator that a sentence names.
MOST_FOLDS = 5
# Sizes are unequal where one network trains this many times as many parameters as another.
UNEQUAL = 10


def list_flags(comparison):
    """Sentences on failures, classes not learnt, metrics without a value, and unequal budgets."""
    return [
        *_flag_failures(comparison),
        *_flag_unlearnt(comparison),
        *flag_missing(comparison),
        *_flag_budgets(comparison),
    ]


def _flag_failures(comparison):
    """Which estimators failed, where, and why."""
    sentences = []
    for name, failed in comparison.failures_.groupby("estimator", sort=False):
        where = _name_folds(_list_folds(failed), comparison.scores_)
        where += "" if where == "in every fold" else ", which its means leave out"
        # The first line tells the error; the rest is in failures_.
        errors = pd.unique(failed["error"].str.partition("\n")[0])
        more = f" (and {len(errors) - 1} other errors)" if len(errors) > 1 else ""
        sentences.append(f"{name} failed {where}: {errors[0].rstrip('.')}{more}.")
    return sentences


def _flag_unlearnt(comparison):
    """Which classes were not learnt, where, and by which estimators."""
    alike = {}
    for (label, name), rows in comparison.unlearnt_.groupby(["label", "estimator"], sort=False):
        where = _name_folds(_list_folds(rows), comparison.scores_)
        alike.setdefault((label, where), []).append(name)
    return [
        f"The class {label} was not learnt {where} by {list_words(names)}: its probability is 0 "
        "there."
        for (label, where), names in alike.items()
    ]


def flag_missing(comparison):
    """Which metrics could not be computed in some folds, and why.

    Folds that failed are flagged themselves, and estimators without any probabilities named by the
    report.
    """
    scores, predictions = comparison.scores_, comparison.predictions_
    known = list_with_probabilities(predictions, predictions["estimator"].unique())
    missing = scores[scores["value"].isna() & scores["estimator"].isin(known)]
    failed = pd.MultiIndex.from_frame(comparison.failures_[["estimator", "repeat", "fold"]])
    missing = missing[~pd.MultiIndex.from_frame(missing[failed.names]).isin(failed)]
    absent = _find_absent_classes(predictions)
    found = {}
    for (name, metric), rows in missing.groupby(["estimator", "metric"], sort=False):
        folds = _list_folds(rows)
        for labels in dict.fromkeys(absent.get(fold, ()) for fold in folds):
            there = tuple(fold for fold in folds if absent.get(fold, ()) == labels)
            found.setdefault((labels, there), {}).setdefault(name, []).append(metric)
    return [
        sentence
        for (labels, folds), by_name in found.items()
        for sentence in _describe_missing(labels, folds, by_name, scores)
    ]


def _find_absent_classes(predictions):
    """The classes that are not in the test part, by (repeat, fold) where there are any."""
    classes = sorted(predictions["y_true"].unique())
    tested = predictions.groupby(["repeat", "fold"])["y_true"].unique()
    absent = {fold: tuple(c for c in classes if c not in {*held}) for fold, held in tested.items()}
    return {fold: labels for fold, labels in absent.items() if labels}


def _describe_missing(absent, folds, metrics_by_name, scores):
    """Sentences on metrics that are missing in the same folds for the same reason."""
    where = _name_folds(folds, scores)
    if absent:
        have = "has" if len(folds) == 1 else "have"
        where += f", which {have} no cell of class {' or '.join(map(str, absent))}"
    names_by_metrics = {}
    for name, metrics in metrics_by_name.items():
        names_by_metrics.setdefault(tuple(metrics), []).append(name)
    everybody = {*scores["estimator"]}
    return [
        f"{capitalize(list_words(map(describe_metric, metrics)))} could not be computed "
        + ("" if {*names} == everybody else f"for {list_words(names)} ")
        + f"{where}."
        for metrics, names in names_by_metrics.items()
    ]


def _list_folds(rows):
    return list(zip(rows["repeat"], rows["fold"], strict=True))


def _name_folds(folds, scores):
    """Folds in words, the first of them by number."""
    n_folds = len(scores[["repeat", "fold"]].drop_duplicates())
    if len(folds) == n_folds:
        return "in every fold"
    named = [f"repeat {repeat}, fold {fold}" for repeat, fold in folds]
    listed = "; ".join(named[:MOST_FOLDS]) + ("; ..." if len(named) > MOST_FOLDS else "")
    return f"in {len(folds)} of {n_folds} folds ({listed})"


def _flag_budgets(comparison):
    """What was unequal: trained parts of networks, sizes, epochs, trials."""
    rivals, _ = comparison.split_names()
    table = comparison.budgets().loc[[name for name in rivals if name not in comparison.members_]]
    flags = []
    parts = {}
    for name in table.index[table["trainable"].notna()]:
        parts.setdefault(comparison.estimators_[name]["network"]["trained"], []).append(name)
    if len(parts) > 1:
        listed = "; ".join(f"{part} of {', '.join(names)}" for part, names in parts.items())
        flags.append(f"Unequal training: what was trained is {listed}.")
    sizes = table["trainable"][table["trainable"] > 0].sort_values()
    if len(sizes) > 1 and sizes.iloc[-1] >= UNEQUAL * sizes.iloc[0]:
        ends = [f"{shorten_number(sizes.iloc[i])} of {sizes.index[i]}" for i in (0, -1)]
        flags.append(f"Unequal sizes: the parameters trained lie between the {' and '.join(ends)}.")
    epochs = table["epochs"].dropna()
    if epochs.nunique() > 1:
        listed = _list_values(epochs, "{:.3g}")
        flags.append(f"Unequal epochs, on average over the folds: {listed}.")
    if table["trials"].nunique() > 1:
        listed = _list_values(table["trials"], "{:.0f}")
        flags.append(f"Unequal tuning: combinations tried in each fold are {listed}.")
    return flags


def _list_values(values, form):
    return ", ".join(f"{form.format(value)} for {name}" for name, value in values.items())
