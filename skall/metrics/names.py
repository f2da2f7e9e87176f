"""Metrics as the field writes them."""

NAMES = {
    "balanced_accuracy": "balanced accuracy",
    "f1": "F1",
    "mcc": "MCC",
    "roc_auc": "ROC AUC",
    "average_precision": "average precision",
    "brier": "Brier score",
    "log_loss": "log loss",
    "ece": "ECE",
}


def describe_metric(metric):
    """A metric's name as the field writes it.

    Parameters
    ----------
    metric : str

    Returns
    -------
    str

    Examples
    --------
    >>> describe_metric("roc_auc"), describe_metric("sensitivity_at_95_specificity")
    ('ROC AUC', 'sensitivity at 95 % specificity')
    """
    words = metric.replace("_", " ").split()
    if words[-1] == "specificity" and len(words) == 4:
        words.insert(3, "%")
    return NAMES.get(metric, " ".join(words))
