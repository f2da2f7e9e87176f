"""Tests of pairs of estimators on a table of held-out predictions."""

import warnings

from skall.statistics.held_out import list_classes, read_outcome, select_first_repeat
from skall.statistics.samples import delong_test, mcnemar_test


def compare_samples(predictions, pairs, method, *, pos_label=None, confidence_level=0.95):
    """McNemar's or DeLong's test of pairs of estimators on stored predictions.

    Parameters
    ----------
    predictions : DataFrame
        As :attr:`skall.comparison.Comparison.predictions_`; the first repeat is used.
    pairs : list of (str, str)
    method : {"mcnemar", "delong"}
    pos_label : label or None
        The positive class of two, for DeLong's test.
    confidence_level : float, default=0.95

    Returns
    -------
    list of PairedResult

    Raises
    ------
    ValueError
        If the predictions do not allow the test.

    Warns
    -----
    UserWarning
        If McNemar's test is asked of groups of several samples.
    """
    names = list(dict.fromkeys(name for pair in pairs for name in pair))
    classes, columns = list_classes(predictions)
    if method == "delong" and len(classes) > 2:
        raise ValueError(
            f"DeLong's test compares ROC curves of two classes, here are {len(classes)}: choose "
            "method='corrected_t', metric='roc_auc'"
        )
    rows = {name: select_first_repeat(predictions, name) for name in names}
    first = rows[names[0]]
    if any(not part["sample"].equals(first["sample"]) for part in rows.values()):
        raise ValueError("the estimators were not tested on the same samples")
    if method == "delong" and any(not part["fold"].equals(first["fold"]) for part in rows.values()):
        raise ValueError("the estimators were not tested in the same folds")
    groups = first["group"] if "group" in first and first["group"].notna().all() else None
    # Right and wrong labels need no positive class, which two classes would be asked for.
    pos_label = pos_label if method == "delong" else classes[0]
    outcomes = {
        name: read_outcome(part, classes, columns, pos_label) for name, part in rows.items()
    }
    missing = "proba" if method == "delong" else "predicted"
    without = [name for name, outcome in outcomes.items() if getattr(outcome, missing) is None]
    if without:
        raise ValueError(
            f"{', '.join(map(repr, without))}: no probabilities were stored, because it has no "
            "predict_proba or failed in a fold; leave it out, or choose a method over folds, as "
            "'corrected_t'"
        )
    if method == "mcnemar":
        _warn_of_groups(groups)
        right = {name: o.truth == o.predicted for name, o in outcomes.items()}
        level = {"confidence_level": confidence_level}
        return [mcnemar_test(right[a], right[b], **level) for a, b in pairs]
    shared = outcomes[names[0]]
    truth = shared.truth == shared.positive
    score = {name: outcome.proba[:, shared.positive] for name, outcome in outcomes.items()}
    options = {"groups": groups, "folds": shared.folds, "confidence_level": confidence_level}
    return [delong_test(truth, score[a], score[b], **options) for a, b in pairs]


def _warn_of_groups(groups):
    if groups is not None and groups.nunique() < len(groups):
        warnings.warn(
            f"McNemar's test takes the {len(groups)} samples of {groups.nunique()} groups as "
            "independent: its p-values are too small; method='corrected_t' over folds that keep "
            "groups together does not do that",
            stacklevel=4,
        )
