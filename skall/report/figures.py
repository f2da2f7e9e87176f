"""Figures, marks, confusion matrices and images of errors, as parts of the page."""

import io
from base64 import b64encode
from collections.abc import Callable
from functools import cache, partial
from typing import NamedTuple

import numpy as np
import pandas as pd
from matplotlib.markers import MarkerStyle

from skall.displays.errors import collect_errors, count_confusions
from skall.displays.probabilities import list_with_probabilities
from skall.displays.style import describe_metric, save_figure, style_estimators
from skall.metrics import LOWER_IS_BETTER
from skall.report.facts import MOST_ESTIMATORS, choose_metrics
from skall.statistics.held_out import list_classes

# Folds whose matrices are shown; more would make the page heavy.
MOST_FOLDS = 20
# Pixels: sharp on fine screens at half that width.
THUMBNAIL = 160


class Key(NamedTuple):
    """A mark in a square of 12 units: its outline as SVG writes paths, and its colours."""

    path: str
    colour: str
    fill: str


def make_keys(comparison):
    """The mark of each estimator.

    Parameters
    ----------
    comparison : Comparison

    Returns
    -------
    dict of str to Key
    """
    return {
        name: Key(
            path=_trace(style.marker),
            colour=style.colour,
            fill="none" if style.face == "white" else style.face,
        )
        for name, style in style_estimators(comparison).items()
    }


@cache
def _trace(marker):
    """A marker's outline."""
    style = MarkerStyle(marker)
    path = style.get_path().transformed(style.get_transform())
    return " ".join(
        "M" + " L".join(f"{6 + 8 * x:.1f} {6 - 8 * y:.1f}" for x, y in polygon) + "Z"
        for polygon in path.to_polygons()
    )


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


def make_confusions(comparison, names):
    """Matrices of all folds and repeats together, so that a sample counts once per repeat.

    Parameters
    ----------
    comparison : Comparison
    names : list of str
        With probabilities.

    Returns
    -------
    list of dict
        For each name ``title, classes, rows``; see :func:`_write_matrix`.
    """
    if not names:
        return []
    classes, counts = count_confusions(comparison.predictions_, names)
    return [
        {"title": name, "classes": classes, "rows": _write_matrix(sum(counts[name].values()))}
        for name in names
    ]


def make_fold_confusions(comparison, name):
    """One estimator's matrices of each fold; none where there are too many or no probabilities.

    Parameters
    ----------
    comparison : Comparison
    name : str

    Returns
    -------
    list of dict
        As of :func:`make_confusions`.
    """
    if not list_with_probabilities(comparison.predictions_, [name]):
        return []
    classes, counts = count_confusions(comparison.predictions_, [name])
    if len(counts[name]) > MOST_FOLDS:
        return []
    several = comparison.predictions_["repeat"].nunique() > 1
    return [
        {
            "title": f"repeat {repeat}, fold {fold}" if several else f"fold {fold}",
            "classes": classes,
            "rows": _write_matrix(matrix),
        }
        for (repeat, fold), matrix in counts[name].items()
    ]


def _write_matrix(matrix):
    """For each true class the counts, and their share of it or None where it has no sample."""
    totals = matrix.sum(axis=1, keepdims=True)
    shares = matrix / np.maximum(totals, 1)
    return [
        [
            (int(count), float(share) if total else None)
            for count, share in zip(counts, of_row, strict=True)
        ]
        for counts, of_row, total in zip(matrix, shares, totals[:, 0], strict=True)
    ]


def make_gallery(comparison):
    """The images whose wrong class got the highest probabilities.

    Parameters
    ----------
    comparison : Comparison

    Returns
    -------
    errors : list of dict
        ``image``, a data address or None where it is not at hand; ``name`` of the file or sample;
        ``group``, None where it is not known; ``true, predicted, probability, estimator``.
    reason : str or None
        Why there are none; without probabilities there are no curves and matrices either.
    """
    rivals, _ = comparison.split_names()
    names = list_with_probabilities(comparison.predictions_, rivals)
    if not names:
        return [], None
    try:
        errors, pictures, files = collect_errors(comparison, names=names, distinct=True)
    except (ValueError, TypeError, OSError) as exc:
        return [], str(exc)
    if not len(errors):
        return [], "no sample was misclassified"
    return [
        {
            "image": None if picture is None else _embed(picture),
            "name": f"sample {row.sample}" if files is None else files[row.Index],
            "group": row.group if pd.notna(row.group) else None,
            "true": row.y_true,
            "predicted": row.predicted,
            "probability": f"{row.probability:.3f}",
            "estimator": row.estimator,
        }
        for row, picture in zip(errors.itertuples(), pictures, strict=True)
    ], None


def _embed(picture):
    """A small copy as an address; PNG where there are so few pixels that each is seen."""
    picture = picture.convert("RGB")
    picture.thumbnail((THUMBNAIL, THUMBNAIL))
    kind, options = ("png", {})
    if max(picture.size) > THUMBNAIL // 2:
        kind, options = ("jpeg", {"quality": 90, "subsampling": 0})
    file = io.BytesIO()
    picture.save(file, format=kind, **options)
    return f"data:image/{kind};base64,{b64encode(file.getvalue()).decode()}"
