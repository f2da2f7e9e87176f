"""The tables of the page, as texts, and the table for a paper."""

import numpy as np
import pandas as pd

from skall.displays.style import describe_metric, shorten_number
from skall.metrics import LOWER_IS_BETTER
from skall.report.facts import choose_metrics, describe_spread, tabulate_classes
from skall.report.figures import make_fold_confusions
from skall.statistics.held_out import choose_metric

# What fits the width of a page; the first six metrics where fewer than two of these are known.
PAPER_METRICS = ("accuracy", "balanced_accuracy", "recall", "specificity", "f1", "roc_auc")
# Columns of the main table beside the metrics.
BUDGET = {
    "trainable": "parameters trained",
    "epochs": "epochs",
    "trials": "trials",
    "fit_seconds": "seconds to fit",
}
# Of what estimators cost: words, and how a number is written.
COSTS = {
    "trainable": ("parameters trained", shorten_number),
    "non_trainable": ("parameters not trained", shorten_number),
    "macs": ("multiply-accumulates an image", shorten_number),
    "image_size": ("image size, pixels", "{:.0f}".format),
    "epochs": ("epochs", "{:.3g}".format),
    "trials": ("combinations tried", "{:.0f}".format),
    "fit_seconds": ("seconds to fit", "{:.3g}".format),
    "shared_seconds": ("seconds shared", "{:.3g}".format),
    "predict_ms": ("ms to predict an image", "{:.3g}".format),
    "peak_memory": ("peak memory", lambda value: f"{value / 1e6:,.0f} MB"),
}
# Of the bootstrap: on the page, where a table of 20,000 images is not to take minutes.
N_RESAMPLES = 1000


def make_latex(table):
    """A table of estimators and metrics with 95 % intervals, for the package booktabs.

    Parameters
    ----------
    table : DataFrame
        From :meth:`skall.comparison.Comparison.table`.

    Returns
    -------
    str
    """
    known = [name.removesuffix("_low") for name in table if name.endswith("_low")]
    metrics = [metric for metric in PAPER_METRICS if metric in known]
    metrics = metrics if len(metrics) > 1 else known[:6]
    cells = table[[]].copy()
    for metric in metrics:
        cells[describe_metric(metric)] = [
            write_interval(row[metric], row[f"{metric}_low"], row[f"{metric}_high"])
            for _, row in table.iterrows()
        ]
    cells.index.name = None
    caption = (
        "Means over the folds with 95\\,\\% intervals ($t$ over patients), cut to the range of the "
        "metric."
    )
    styled = cells.style.format(escape="latex")
    styled = styled.format_index(escape="latex", axis=1)
    # After the end of a row, LaTeX takes a bracket for an argument.
    styled = styled.format_index(
        lambda name: f"{{}}{name}" if name.startswith("[") else name, escape="latex"
    )
    return styled.to_latex(
        hrules=True, caption=caption, label="tab:skall", position_float="centering"
    )


def write_interval(value, low, high):
    """As ``0.912 [0.871, 0.953]``; a dash where there is no value.

    Examples
    --------
    >>> write_interval(0.9, 0.85, 0.95), write_interval(0.9, np.nan, np.nan)
    ('0.900 [0.850, 0.950]', '0.900')
    """
    if np.isnan(value):
        return "-"
    return f"{value:.3f}" if np.isnan(low) else f"{value:.3f} [{low:.3f}, {high:.3f}]"


def make_table(comparison, table):
    """Columns and rows of the main table: texts, and what to sort by."""
    metrics = comparison.scores_["metric"].unique()
    rivals, _ = comparison.split_names()
    main, first = choose_metric(comparison.scores_), choose_metrics(comparison)
    order = [*first, *(metric for metric in metrics if metric not in first)]
    columns = [
        {
            "name": describe_metric(metric),
            "is_first": metric in first,
            "is_lower_better": metric in LOWER_IS_BETTER,
            "sorted": "none",
        }
        for metric in order
    ]
    columns[0]["sorted"] = "ascending" if main in LOWER_IS_BETTER else "descending"
    columns += [
        {"name": name, "is_first": False, "is_lower_better": False, "sorted": "none"}
        for name in (*BUDGET.values(), "conclusion")
    ]
    n_folds = len(comparison.scores_[["repeat", "fold"]].drop_duplicates())
    failed = comparison.failures_["estimator"].value_counts()
    rows = []
    for name, row in table.iterrows():
        cells = [
            {
                "text": "-" if np.isnan(row[m]) else f"{row[m]:.3f}",
                "interval": write_ends(row[f"{m}_low"], row[f"{m}_high"]),
                "key": _sort_key(row[m]),
            }
            for m in order
        ]
        for column in BUDGET:
            value = row[column]
            text = "-" if np.isnan(value) else shorten_number(value)
            cells.append({"text": text, "interval": "", "key": _sort_key(value)})
        conclusion = row["conclusion"]
        cells.append({"text": conclusion, "interval": "", "key": conclusion})
        mark = f"failed in {failed[name]} of {n_folds} folds" if name in failed else ""
        rows.append({"name": name, "baseline": name not in rivals, "failed": mark, "cells": cells})
    return {"columns": columns, "rows": rows}


def write_ends(low, high):
    """An interval; nothing where there is none.

    Examples
    --------
    >>> write_ends(0.8712, 0.9534), write_ends(np.nan, np.nan)
    ('0.871 to 0.953', '')
    """
    return "" if np.isnan(low) or np.isnan(high) else f"{low:.3f} to {high:.3f}"


def _sort_key(value):
    """The number as a script reads it; nothing, which goes last, for NaN."""
    return "" if np.isnan(value) else repr(float(value))


def make_intervals(comparison):
    """Rows of each estimator and metric with every kind of interval."""
    unit = "images" if comparison.predictions_["group"].isna().all() else "patients"
    kinds = {"patient_t": f"over {unit}", "corrected_t": "over folds"}
    kinds |= {"bootstrap": f"over {unit} as tested", "exact": "of a proportion"}
    tables = {}
    for method in kinds:
        try:
            options = {"n_resamples": N_RESAMPLES} if method == "bootstrap" else {}
            found = comparison.intervals(method=method, **options)
        except ValueError:
            # As the bootstrap where all images are of one patient.
            continue
        tables[method] = found.set_index(["estimator", "metric"])
    spread = comparison.scores_.groupby(["estimator", "metric"])["value"].std()
    rows = []
    for key in tables["corrected_t"].index:
        cells = [write_interval(tables["corrected_t"].at[key, "value"], np.nan, np.nan)]
        cells.append("-" if np.isnan(spread[key]) else f"{spread[key]:.3f}")
        for table in tables.values():
            low, high = table.loc[key, ["low", "high"]]
            cells.append(write_ends(low, high) or "-")
        rows.append((key[0], describe_metric(key[1]), cells))
    head = ["mean", "std over folds", *(f"95 % interval {kinds[method]}" for method in tables)]
    return {"head": ["estimator", "metric", *head], "rows": rows}


def make_spread(comparison):
    """Rows of the spread of folds and of seeds, where there are repeats."""
    spread = describe_spread(comparison)
    if spread is None:
        return None
    numbers = ["mean", "fold_std", "repeat_std", "repeat_mean_std"]
    return [
        (row["estimator"], describe_metric(row["metric"]), [f"{row[n]:.3f}" for n in numbers])
        for _, row in spread.iterrows()
    ]


def make_classes(comparison):
    table = tabulate_classes(comparison)
    return [
        (label, [f"{value:.0f}" if pd.notna(value) else "-" for value in row])
        for label, row in zip(table.index, table.to_numpy(dtype=float), strict=True)
    ]


def make_costs(comparison):
    """Head and rows of what each estimator was given and took, without columns that say nothing."""
    budgets = comparison.budgets()
    known = [column for column in COSTS if column in budgets and budgets[column].notna().any()]
    rows = [
        (name, ["-" if np.isnan(row[c]) else COSTS[c][1](row[c]) for c in known])
        for name, row in budgets.iterrows()
    ]
    return {"head": ["estimator", *(COSTS[column][0] for column in known)], "rows": rows}


def make_details(comparison, table):
    """For each estimator what it is and its folds, the best first."""
    budgets = comparison.budgets()
    details = []
    for name in table.index:
        about = comparison.estimators_.get(name, {})
        folds = comparison.scores_[comparison.scores_["estimator"] == name].pivot(
            index=["repeat", "fold"], columns="metric", values="value"
        )[list(comparison.scores_["metric"].unique())]
        chosen = comparison.best_params_[comparison.best_params_["estimator"] == name]
        details.append(
            {
                "name": name,
                "about": about,
                "members": comparison.members_.get(name, ()),
                "conclusion": table.at[name, "conclusion"],
                "size": _list_size(about.get("network"), budgets.loc[name]),
                "metrics": [describe_metric(metric) for metric in folds],
                "folds": [
                    (*key, ["-" if np.isnan(v) else f"{v:.3f}" for v in values])
                    for key, values in zip(folds.index, folds.to_numpy(), strict=True)
                ],
                "confusions": make_fold_confusions(comparison, name),
                "chosen": chosen[["repeat", "fold", "parameter", "value"]].to_numpy().tolist(),
            }
        )
    return details


def _list_size(network, budget):
    """What a network is and costs, as pairs of words and text."""
    pairs = []
    if network:
        pairs += [
            ("backbone", network["backbone"]),
            ("weights", network["weights"]),
            *_list_origin(network),
            ("image size", f"{network['image_size']} pixels"),
            ("features", " x ".join(map(str, network["feature_shape"]))),
            ("parameters trained", f"{network['trainable']:,}"),
            ("parameters not trained", f"{network['non_trainable']:,}"),
            ("multiply-accumulates per image", f"{network['macs']:,}"),
        ]
    numbers = [
        ("epochs", budget["epochs"], "{:.3g}"),
        ("combinations tried in each fold", budget["trials"], "{:.0f}"),
        ("seconds to fit, without what is shared", budget["fit_seconds"], "{:.3g}"),
        ("seconds for what caches share, in all folds", budget["shared_seconds"], "{:.3g}"),
        ("milliseconds to predict an image", budget["predict_ms"], "{:.3g}"),
        ("peak memory of a fit", budget["peak_memory"] / 1e6, "{:,.0f} MB"),
    ]
    return pairs + [(words, form.format(v)) for words, v, form in numbers if not np.isnan(v)]


def _list_origin(network):
    """Where the weights come from; random ones from nowhere."""
    if network["weights"] == "None":
        return []
    return [
        ("weights from", network["url"] or "-"),
        ("licence of the weights", network["license"] or "-"),
    ]
