"""What of a comparison the page shows at first sight; the rest is folded away."""

from skall.displays.held_out import list_informative, list_with_probabilities
from skall.statistics.held_out import choose_metric, list_classes

MOST_METRICS = 5
# More curves hide each other.
MOST_ESTIMATORS = 6
TWO_CLASSES = ("balanced_accuracy", "roc_auc", "mcc", "recall", "specificity")
# Averaged over three classes or more, the recall is the balanced accuracy.
MORE_CLASSES = ("balanced_accuracy", "roc_auc", "mcc", "f1", "accuracy")


def choose_metrics(comparison):
    """The metrics of the first table, the main one first.

    Parameters
    ----------
    comparison : Comparison

    Returns
    -------
    list of str
        Five at most.
    """
    known = comparison.scores_["metric"].unique().tolist()
    classes, _ = list_classes(comparison.predictions_)
    preferred = TWO_CLASSES if len(classes) == 2 else MORE_CLASSES
    wanted = [choose_metric(comparison.scores_), *preferred, *known]
    return [name for name in dict.fromkeys(wanted) if name in known][:MOST_METRICS]


def choose_estimators(comparison, ranking):
    """The estimators of curves and matrices: the best, and the best baseline that says something.

    Parameters
    ----------
    comparison : Comparison
    ranking : iterable of str
        Every estimator, the best first.

    Returns
    -------
    names : list of str
        Of those with probabilities, in the order of the ranking.
    n_left_out : int
        How many others there are that are no baselines.
    """
    rivals, baselines = comparison.split_names()
    predictions, ranking = comparison.predictions_, list(ranking)
    ranked = [name for name in ranking if name in rivals]
    # Of untrained networks alone even curves that say nothing are shown.
    ranked = list_informative(predictions, ranked) or list_with_probabilities(predictions, ranked)
    best = list_informative(predictions, [n for n in ranking if n in baselines])[:1]
    return ranked[:MOST_ESTIMATORS] + best, max(0, len(ranked) - MOST_ESTIMATORS)
