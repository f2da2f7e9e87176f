"""The main table of a comparison for a paper."""

import numpy as np

from skall.displays.style import describe_metric

# What fits the width of a page; the first six metrics where fewer than two of these are known.
PAPER_METRICS = ("accuracy", "balanced_accuracy", "recall", "specificity", "f1", "roc_auc")


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
