"""What the folds of a comparison gave, as tables."""

import os

import numpy as np
import pandas as pd

CHOICES = ["estimator", "repeat", "fold", "parameter", "value"]
FOLD = ["repeat", "fold", "n_train", "n_test"]
EPOCH = ["estimator", "repeat", "fold", "epoch"]
UNLEARNT = ["estimator", "repeat", "fold", "label"]
FAILURE = ["estimator", "repeat", "fold", "error"]
RESOURCES = ["estimator", "repeat", "fold"]
RESOURCES += ["fit_seconds", "shared_seconds", "predict_ms", "peak_memory"]
SAMPLE = ["sample", "file", "height", "width", "group", "y_true"]


def tabulate_scores(results):
    """The scores of ``(name, fold, result)`` triples as one table."""
    rows = [
        (name, fold.repeat, fold.fold, metric, value)
        for name, fold, result in results
        for metric, value in result["scores"].items()
    ]
    return pd.DataFrame(rows, columns=["estimator", "repeat", "fold", "metric", "value"])


def tabulate_predictions(results, y, groups, classes):
    """The out-of-fold probabilities of ``(name, fold, result)`` triples as one table."""
    columns = [f"proba_{label}" for label in classes.tolist()]
    parts = []
    for name, fold, result in results:
        part = pd.DataFrame({"sample": fold.test})
        part.insert(0, "estimator", name)
        part.insert(1, "repeat", fold.repeat)
        part.insert(2, "fold", fold.fold)
        part["group"] = None if groups is None else groups[fold.test]
        part["y_true"] = y[fold.test]
        unknown = np.full((len(part), len(columns)), np.nan)
        part[columns] = unknown if result["proba"] is None else result["proba"]
        parts.append(part)
    return pd.concat(parts, ignore_index=True)


def tabulate_choices(results):
    """What the searches of ``(name, fold, result)`` triples chose as one table."""
    rows = [
        (name, fold.repeat, fold.fold, parameter, value)
        for name, fold, result in results
        for parameter, value in result.get("best_params", {}).items()
    ]
    # As objects: else whole numbers beside fractions would become fractions.
    table = pd.DataFrame(rows, columns=CHOICES, dtype=object)
    return table.astype({"estimator": str, "repeat": int, "fold": int, "parameter": str})


def tabulate_histories(results):
    """The epochs of ``(name, fold, result)`` triples as one table."""
    rows = [
        {"estimator": name, "repeat": fold.repeat, "fold": fold.fold}
        | dict(zip(result["history"], values, strict=True))
        for name, fold, result in results
        if "history" in result
        for values in zip(*result["history"].values(), strict=True)
    ]
    return pd.DataFrame(rows) if rows else pd.DataFrame(columns=EPOCH)


def tabulate_failures(results):
    """The folds of ``(name, fold, result)`` triples that failed as one table."""
    rows = [
        (name, fold.repeat, fold.fold, result["error"])
        for name, fold, result in results
        if "error" in result
    ]
    return pd.DataFrame(rows, columns=FAILURE)


def tabulate_unlearnt(results):
    """The classes that the estimators of ``(name, fold, result)`` triples lack as one table."""
    rows = [
        (name, fold.repeat, fold.fold, label)
        for name, fold, result in results
        for label in result.get("unlearnt", ())
    ]
    return pd.DataFrame(rows, columns=UNLEARNT)


def count_trials(results):
    """The largest number of trials in a fold, by the name of ``(name, fold, result)`` triples."""
    trials = {}
    for name, _, result in results:
        trials[name] = max(trials.get(name, 1), result.get("trials", 1))
    return trials


def tabulate_resources(results):
    """What ``(name, fold, result)`` triples took as one table."""
    rows = [
        (
            *(name, fold.repeat, fold.fold),
            *(result["seconds"][part] for part in ("fit", "shared")),
            *(result.get(cost) for cost in ("predict_ms", "peak_memory")),
        )
        for name, fold, result in results
    ]
    return pd.DataFrame(rows, columns=RESOURCES).astype(dict.fromkeys(RESOURCES[3:], float))


def tabulate_sizes(folds):
    """The folds, and how many samples train and test in each, as one table."""
    rows = [(fold.repeat, fold.fold, len(fold.train), len(fold.test)) for fold in folds]
    return pd.DataFrame(rows, columns=FOLD)


def tabulate_samples(y, groups, images, sizes):
    """The samples as one table.

    Parameters
    ----------
    y, groups
        Labels, and groups or None.
    images : Images or None
    sizes : ndarray, shape (n_samples, 2)
        Height and width of each in pixels, NaN where they are not known.

    Returns
    -------
    DataFrame
        Columns ``sample, file, height, width, group, y_true``: the absolute path of the file, and
        the size of the image in pixels, where they are known.
    """
    table = pd.DataFrame({"sample": np.arange(len(y))})
    paths = getattr(images, "paths", None)
    table["file"] = None if paths is None else [os.path.abspath(path) for path in paths]
    table[["height", "width"]] = sizes
    table["group"] = None if groups is None else groups
    table["y_true"] = y
    return table
