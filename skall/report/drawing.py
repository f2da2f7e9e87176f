"""The figures of the page, as images inside it."""

import io
from base64 import b64encode
from collections.abc import Callable
from functools import partial
from typing import NamedTuple

from skall.displays.held_out import list_with_probabilities
from skall.displays.style import save_figure
from skall.statistics.held_out import list_classes

# More panels than these are no longer read on a page.
MOST_PANELS = 60


class Figure(NamedTuple):
    """A figure of the page: an image, or why there is none."""

    title: str
    caption: str
    image: str | None
    reason: str | None


class Plan(NamedTuple):
    """How a figure is made."""

    title: str
    caption: str
    draw: Callable
    file_format: str = "svg"


def draw_figures(comparison):
    """Every figure that a comparison has.

    Parameters
    ----------
    comparison : Comparison

    Returns
    -------
    dict of str to list of Figure
        By section.
    """
    return {
        section: [_make(plan) for plan in plans]
        for section, plans in _plan(comparison).items()
        if plans
    }


def _plan(comparison):
    known = comparison.scores_["metric"].unique()
    bars = [
        Plan(title, f"{title} of each estimator.", partial(comparison.plot_metrics, metric))
        for metric, title in (("accuracy", "Accuracy"), ("f1", "F1"))
        if metric in known
    ]
    bars.append(
        Plan(
            "All metrics",
            "Every metric whose higher values are better, in groups of bars.",
            comparison.plot_metrics,
        )
    )
    return {
        "metrics": bars,
        "ranks": [
            Plan(
                "Mean ranks",
                "Critical-difference diagram: bars join estimators whose mean ranks Nemenyi's "
                "test does not part.",
                partial(comparison.plot_ranks, names=_choose_ranked(comparison)),
            )
        ],
        "curves": _plan_curves(comparison),
        "confusion": _plan_confusion(comparison),
        "learning": [
            Plan(
                "Learning curves",
                "Loss and accuracy by epoch: means over the folds with one standard deviation.",
                comparison.plot_learning,
            )
        ],
        "cost": [
            Plan("Parameters", "What was trained, and what it costs.", comparison.plot_parameters),
            *(
                Plan(
                    f"Accuracy against {words}",
                    f"The main metric against {words}.",
                    partial(comparison.plot_cost, cost),
                )
                for cost, words in (("macs", "operations"), ("predict_ms", "time"))
            ),
        ],
        "errors": [
            Plan(
                "The most confident errors",
                "Images whose wrong class got the highest probability, with file and patient.",
                comparison.plot_errors,
                "png",
            )
        ],
    }


def _choose_ranked(comparison):
    """The rivals; with fewer than three of them everything is ranked."""
    rivals, _ = comparison.split_names()
    return rivals if len(rivals) > 2 else None


def _plan_curves(comparison):
    """Curves of the rivals and the best baseline: all baselines would hide them."""
    rivals, baselines = comparison.split_names()
    ranked = [name for name in comparison.table().index if name in baselines]
    best = list_with_probabilities(comparison.predictions_, ranked)[:1]
    # Without any, the display itself says what is missing.
    names = list_with_probabilities(comparison.predictions_, rivals) + best or None
    classes, _ = list_classes(comparison.predictions_)
    labels = [comparison.pos_label_] if len(classes) == 2 else classes.tolist()
    plans = []
    for label in labels:
        kinds = (
            (comparison.plot_roc, "ROC curve", "Sensitivity against 1 - specificity"),
            (
                comparison.plot_precision_recall,
                "Precision-recall curve",
                "Precision against recall",
            ),
            (comparison.plot_calibration, "Calibration", "How often a probability came true"),
        )
        for draw, title, words in kinds:
            caption = f"{words} for the class {label}, with a band over the folds."
            plans.append(Plan(f"{title}: {label}", caption, partial(draw, names, pos_label=label)))
    return plans


def _plan_confusion(comparison):
    rivals, _ = comparison.split_names()
    caption = "Counts, and the share of the true class (row) that they are"
    pooled = Plan("Confusion matrices", f"{caption}, over all folds.", comparison.plot_confusion)
    n_panels = len(rivals) * len(comparison.scores_.groupby(["repeat", "fold"]))
    if not rivals or n_panels > MOST_PANELS:
        return [pooled]
    each = partial(comparison.plot_confusion, rivals, per_fold=True)
    return [pooled, Plan("Confusion matrices of each fold", f"{caption}, by fold.", each)]


def _make(plan):
    """Draw, or say why not: what cannot be drawn is no reason to lose the rest."""
    try:
        figure = plan.draw().figure_
    except (ValueError, TypeError, OSError) as exc:
        return Figure(plan.title, plan.caption, None, str(exc))
    file = io.BytesIO()
    save_figure(figure, file, plan.file_format, dpi=110)
    kind = {"svg": "image/svg+xml", "png": "image/png"}[plan.file_format]
    image = f"data:{kind};base64,{b64encode(file.getvalue()).decode()}"
    return Figure(plan.title, plan.caption, image, None)
