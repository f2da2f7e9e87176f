"""The figures of the page, as images inside it."""

import io
from base64 import b64encode
from collections.abc import Callable
from functools import partial
from typing import NamedTuple

from skall.displays.style import describe_metric, save_figure
from skall.metrics import LOWER_IS_BETTER
from skall.report.selection import MOST_ESTIMATORS, choose_metrics
from skall.statistics.held_out import list_classes


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


def draw_figures(comparison, ranking, names, n_left_out=0):
    """The figures that matplotlib draws.

    Parameters
    ----------
    comparison : Comparison
    ranking : list of str
        Every estimator, the best first.
    names : list of str
        Estimators of the curves.
    n_left_out : int
        How many others have curves.

    Returns
    -------
    dict of str to list of Figure
        ``first`` to be seen at once; ``classes``, ``metrics`` and ``ranks`` to be opened.
    """
    plans = {
        "first": [
            *_plan_metrics(comparison, choose_metrics(comparison)[:4], ranking),
            *_plan_curves(comparison, names, n_left_out),
            *_plan_training(comparison),
        ],
        "classes": _plan_classes(comparison, names),
        "metrics": _plan_metrics(comparison, _list_others(comparison), ranking),
        "ranks": _plan_ranks(comparison),
    }
    return {section: [_make(plan) for plan in of_section] for section, of_section in plans.items()}


def _list_others(comparison):
    first = choose_metrics(comparison)[:4]
    return [name for name in comparison.scores_["metric"].unique() if name not in first]


def _plan_metrics(comparison, metrics, ranking):
    """Two metrics a figure."""
    plans = []
    for start in range(0, len(metrics), 2):
        pair = metrics[start : start + 2]
        title = " and ".join(describe_metric(metric) for metric in pair)
        lower = [describe_metric(metric) for metric in pair if metric in LOWER_IS_BETTER]
        caption = "Means over the folds with 95 % intervals; dashed: the best baseline."
        if lower:
            caption += f" Lower is better: {', '.join(lower)}."
        draw = partial(comparison.plot_metrics, pair, names=ranking)
        plans.append(Plan(title[:1].upper() + title[1:], caption, draw))
    return plans


def _plan_curves(comparison, names, n_left_out):
    """Of two classes; more have curves each, see :func:`_plan_classes`."""
    classes, _ = list_classes(comparison.predictions_)
    if len(classes) > 2 or not names:
        return []
    label = comparison.pos_label_
    chosen = f" The best of {n_left_out + MOST_ESTIMATORS}." if n_left_out else ""
    band = f"means over the folds with one standard deviation, class {label}.{chosen}"
    options = {"names": names, "pos_label": label}
    return [
        Plan(
            "ROC curves",
            f"Sensitivity against 1 - specificity, {band}",
            partial(comparison.plot_roc, **options),
        ),
        Plan(
            "Precision-recall curves",
            f"Precision against recall, {band}",
            partial(comparison.plot_precision_recall, **options),
        ),
        _plan_calibration(comparison, "Calibration", label, options),
    ]


def _plan_calibration(comparison, title, label, options):
    caption = (
        f"How often the class {label} came true, by its probability, in bins of equally many "
        "samples; below, where the probabilities lie."
    )
    return Plan(title, caption, partial(comparison.plot_calibration, **options))


def _plan_classes(comparison, names):
    """Curves of each of three or more classes."""
    classes, _ = list_classes(comparison.predictions_)
    plans = []
    for label in classes.tolist() if len(classes) > 2 and names else []:
        options = {"names": names, "pos_label": label}
        caption = f"{label} against the rest, means over the folds with one standard deviation."
        draw = partial(comparison.plot_roc, **options)
        plans.append(Plan(f"ROC curves: {label}", caption, draw))
        plans.append(_plan_calibration(comparison, f"Calibration: {label}", label, options))
    return plans


def _plan_training(comparison):
    """What was learnt, epoch by epoch, and what it cost."""
    plans = []
    if len(comparison.history_):
        words = "Loss and accuracy by epoch, means over the folds with one standard deviation."
        plans.append(Plan("Learning curves", words, comparison.plot_learning))
    budgets = comparison.budgets()
    cost, words = ("predict_ms", "time to predict an image")
    if budgets["macs"].notna().sum() > 1:
        cost, words = ("macs", "operations")
    metric = describe_metric(choose_metrics(comparison)[0])
    title = f"{metric[:1].upper()}{metric[1:]} against {words}"
    caption = "Means over the folds with 95 % intervals."
    plans.append(Plan(title, caption, partial(comparison.plot_cost, cost)))
    return plans


def _plan_ranks(comparison):
    """The rivals; with fewer than three of them there is nothing to rank."""
    rivals, _ = comparison.split_names()
    if len(rivals) < 3:
        return []
    caption = (
        "Critical-difference diagram: bars join estimators whose mean ranks Nemenyi's test does "
        "not part."
    )
    return [Plan("Mean ranks", caption, partial(comparison.plot_ranks, names=rivals))]


def _make(plan):
    """Draw, or say why not: what cannot be drawn is no reason to lose the rest."""
    try:
        figure = plan.draw().figure_
    except (ValueError, TypeError, OSError) as exc:
        return Figure(plan.title, plan.caption, None, str(exc))
    # The page's own background, light or dark, shows through.
    figure.set_facecolor("none")
    for ax in figure.axes:
        ax.set_facecolor("none")
    file = io.BytesIO()
    save_figure(figure, file, "svg", dpi=96)
    image = f"data:image/svg+xml;base64,{b64encode(file.getvalue()).decode()}"
    return Figure(plan.title, plan.caption, image, None)
