"""Tables of the reproductions: our numbers with their intervals, beside the published ones."""

import tomllib
from decimal import Decimal
from pathlib import Path

import numpy as np
import pandas as pd

from skall.statistics import corrected_t_interval

PUBLISHED = Path(__file__).with_name("published.toml")


def read_published():
    """The published numbers; fractions as :class:`decimal.Decimal`, with the digits printed."""
    with PUBLISHED.open("rb") as file:
        return tomllib.load(file, parse_float=Decimal)


def quote(results, label):
    """A published number as it was printed; nothing where there is none."""
    if f"{label}_above" in results:
        return f"> {results[f'{label}_above']}"
    return str(results.get(label, ""))


def tabulate(scores, metrics, results, estimate):
    """Our numbers, their intervals and the published numbers, a row for each network.

    Parameters
    ----------
    scores : DataFrame
        As :attr:`skall.Comparison.scores_`.
    metrics : dict of str to str
        Metrics of skall and what they are called here; names in ``_percent`` are percentages.
    results : dict
        Published numbers by architecture.
    estimate : callable
        From a metric and its values over the folds to a number and the ends of its interval.

    Returns
    -------
    DataFrame
        Columns ``<name>``, ``<name>_low``, ``<name>_high``, ``<name>_published`` and
        ``<name>_published_in_prose``, without those that would be empty.
    """
    values = scores.groupby(["estimator", "metric"])["value"]
    rows = {}
    for name in scores["estimator"].unique():
        row = rows[name] = {}
        for metric, label in metrics.items():
            scale = 100 if label.endswith("_percent") else 1
            numbers = estimate(metric, values.get_group((name, metric)))
            for suffix, number in zip(("", "_low", "_high"), numbers, strict=True):
                row[label + suffix] = scale * number
            for place in ("", "_in_prose"):
                row[f"{label}_published{place}"] = quote(results.get(name, {}), label + place)
    return drop_empty(make_table(rows))


def make_table(rows):
    """Rows by architecture as a DataFrame."""
    return pd.DataFrame.from_dict(rows, orient="index").rename_axis("architecture")


def drop_empty(table):
    """A table without the columns that hold nothing."""
    return table.loc[:, ~(table.isna() | (table == "")).all()]


def estimate_mean(metric, values):
    """Mean over the folds of a cross-validation and its 95 % interval.

    That of the corrected resampled t-test (Nadeau & Bengio 2003, doi 10.1023/A:1024068626366):
    folds share training images, so that the plain standard error is too small. Where all folds
    are equal there is none: their spread tells nothing then.
    """
    values = values.dropna()
    n, mean = len(values), values.mean()
    if n < 2 or np.ptp(values) == 0:
        return mean, np.nan, np.nan
    low, high = corrected_t_interval(values, test_ratio=1 / (n - 1))
    largest = np.inf if metric == "log_loss" else 1
    return mean, max(0, low), min(largest, high)


def to_markdown(table):
    """A table as Markdown has it, with the intervals beside their numbers."""
    shown = [name for name in table if not name.endswith(("_low", "_high"))]
    cells = {name.replace("_", " "): format_column(table, name) for name in shown}
    rows = [[table.index.name, *cells], ["---"] * (len(cells) + 1)]
    rows += zip(map(str, table.index), *cells.values(), strict=True)
    return "\n".join(f"| {' | '.join(row)} |" for row in rows)


def format_column(table, name):
    """The texts of a column: whole numbers with thousands apart, fractions with their interval."""
    values = table[name]
    if pd.api.types.is_integer_dtype(values):
        return [f"{value:,}" for value in values]
    if not pd.api.types.is_float_dtype(values):
        return [str(value) for value in values]
    digits = 1 if "percent" in name else 3
    texts = ["" if np.isnan(value) else f"{value:.{digits}f}" for value in values]
    if f"{name}_low" not in table:
        return texts
    ends = zip(table[f"{name}_low"], table[f"{name}_high"], strict=True)
    return [
        text if np.isnan(low) else f"{text} [{low:.{digits}f}, {high:.{digits}f}]"
        for text, (low, high) in zip(texts, ends, strict=True)
    ]
