"""Ratios of times that were measured side by side, their intervals, and bounds on them."""

import tomllib
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pandas as pd
from scipy.stats import binom

BOUNDS = Path(__file__).with_name("speed_bounds.toml")
MET, BROKEN, NOT_MEASURED, NOT_JUDGED = "met", "BROKEN", "not measured", "not judged"


def interval_of_median(values, confidence=0.95):
    """Interval of the median between two of the values, from the sign test.

    It assumes nothing of how the values are distributed. The two are the innermost that hold the
    median with at least `confidence`; few values cannot, and then they are the extremes.

    Parameters
    ----------
    values : array-like of float, shape (n,)
    confidence : float, default=0.95

    Returns
    -------
    low, high : float
    coverage : float
        Probability that such an interval holds the median.

    References
    ----------
    .. [1] Conover, W. J. (1999). Practical Nonparametric Statistics, 3rd ed., section 3.2.

    Examples
    --------
    >>> interval_of_median([1.0, 2.0, 3.0, 4.0, 5.0])
    (1.0, 5.0, 0.9375)
    """
    values = np.sort(np.asarray(values, dtype=float))
    n = len(values)
    covers = [1 - 2 * binom.cdf(k, n, 0.5) for k in range((n + 1) // 2)]
    k = max((k for k, cover in enumerate(covers) if cover >= confidence), default=0)
    return float(values[k]), float(values[n - 1 - k]), float(covers[k])


@dataclass(frozen=True)
class Ratio:
    """Median of paired ratios, the ends of its interval, their coverage and the number of pairs."""

    median: float
    low: float
    high: float
    coverage: float
    n_pairs: int

    def __str__(self):
        return f"{self.median:.3g} [{self.low:.3g}, {self.high:.3g}]"


def compare_pairs(numerator, denominator):
    """Ratio of two contestants, round by round.

    Parameters
    ----------
    numerator, denominator : Series of float
        Seconds, indexed by round.

    Returns
    -------
    Ratio or None
        None where they share no round.
    """
    ratios = (numerator / denominator).dropna()
    if ratios.empty:
        return None
    return Ratio(float(ratios.median()), *interval_of_median(ratios), len(ratios))


@dataclass(frozen=True)
class Bound:
    """What skall has to reach.

    Attributes
    ----------
    section, measure : str
        What was measured.
    ours, others : tuple of str
        The contestants that are judged, and those they are compared with: on either side the one
        of the least median, where there are several.
    least : float or None
        Least number of times that the other's seconds are ours.
    most : float or None
        Greatest number of times that our seconds are the other's.
    networks : tuple of str
        For which networks; all where empty.
    needs_bfloat16 : bool
        Whether it was set on processors with bfloat16 instructions, and binds there alone.
    full_only : bool
        Whether it binds in a full run alone, because a small one has another ratio.
    """

    section: str
    measure: str
    ours: tuple
    others: tuple
    least: float | None = None
    most: float | None = None
    networks: tuple = ()
    needs_bfloat16: bool = False
    full_only: bool = False

    def __post_init__(self):
        if (self.least is None) == (self.most is None):
            raise ValueError(f"a bound has either least or most; that of {self.others} has not")

    def __str__(self):
        if self.least is not None:
            return f"at least {self.least:g} times faster"
        return f"at most {self.most:g} times as long"

    def compare(self, ours, other):
        """The ratio that is bound."""
        if self.least is not None:
            return compare_pairs(other, ours)
        return compare_pairs(ours, other)

    def holds(self, ratio):
        """Whether a ratio keeps the bound."""
        if self.least is not None:
            return ratio.median >= self.least
        return ratio.median <= self.most


def read_bounds(path=BOUNDS):
    """The bounds that a TOML file lists under ``[[bound]]``."""
    with Path(path).open("rb") as file:
        tables = tomllib.load(file)["bound"]
    for table in tables:
        for name in ("ours", "others", "networks"):
            table[name] = tuple(table.get(name, ()))
    return [Bound(**table) for table in tables]


def spread(measurements, section, network, measure):
    """Seconds of a table: rounds by contestants, the fastest first."""
    chosen = measurements[
        (measurements["section"] == section)
        & (measurements["network"] == network)
        & (measurements["measure"] == measure)
        & measurements["seconds"].notna()
    ]
    seconds = chosen.pivot(index="round", columns="contestant", values="seconds")
    return seconds[seconds.median().sort_values().index]


def judge(measurements, bounds):
    """Hold what was measured against bounds.

    Parameters
    ----------
    measurements : DataFrame
        A row for each measurement; columns ``section, network, measure, contestant, round,
        seconds, full, bfloat16``.
    bounds : list of Bound

    Returns
    -------
    DataFrame
        A row for each bound and network: ``section, network, measure, ours, other, bound, ratio,
        verdict``.
    """
    verdicts = []
    for bound in bounds:
        part = measurements[measurements["section"] == bound.section]
        for network in part["network"].unique():
            if not bound.networks or network in bound.networks:
                verdicts.append(_judge_one(part, bound, network))
    columns = ["section", "network", "measure", "ours", "other", "bound", "ratio", "verdict"]
    return pd.DataFrame(verdicts, columns=columns)


def _judge_one(measurements, bound, network):
    seconds = spread(measurements, bound.section, network, bound.measure)
    ours, other = _find_fastest(bound.ours, seconds), _find_fastest(bound.others, seconds)
    row = [bound.section, network, bound.measure]
    row += [ours or " or ".join(bound.ours), other or " or ".join(bound.others), str(bound)]
    ratio = bound.compare(seconds[ours], seconds[other]) if ours and other else None
    if ratio is None:
        return [*row, "", NOT_MEASURED]
    rows = measurements[measurements["network"] == network]
    return [*row, str(ratio), _give_verdict(rows, bound, ratio)]


def _find_fastest(names, seconds):
    measured = [name for name in names if name in seconds]
    return min(measured, key=lambda name: seconds[name].median(), default=None)


def _give_verdict(measurements, bound, ratio):
    if bound.needs_bfloat16 and not measurements["bfloat16"].all():
        return "not bound: no bfloat16 here"
    if bound.full_only and not measurements["full"].all():
        return "not bound: not a full run"
    if not bound.holds(ratio):
        return BROKEN
    # Whoever cannot take part here has a row that says so.
    left_out = set(bound.others) - set(measurements["contestant"])
    return f"{NOT_JUDGED}: {len(left_out)} of {len(bound.others)} left out" if left_out else MET


def tabulate(measurements, ours):
    """Medians, and ratios to one contestant, for each section, network and measure.

    Parameters
    ----------
    measurements : DataFrame
        As :func:`judge` takes them, with ``scale, threads, precision, allocator, note``.
    ours : str
        The contestant that the others' seconds are divided by.

    Returns
    -------
    dict of tuple to DataFrame
        A table for each ``(section, network, measure)``.
    """
    tables = {}
    keys = ["section", "network", "measure"]
    measured = measurements[measurements["seconds"].notna()]
    for key, rows in measured.groupby(keys, sort=False):
        seconds = spread(rows, *key)
        facts = rows.groupby("contestant").last()
        table = pd.DataFrame({"median seconds": seconds.median().map("{:.4g}".format)})
        table[f"times that of {ours}"] = [
            str(compare_pairs(seconds[name], seconds[ours])) if ours in seconds else ""
            for name in seconds
        ]
        table["n"] = seconds.count()
        if key[-1] == "image":
            table.insert(0, "images a second", (1 / seconds.median()).map("{:,.0f}".format))
        facts = facts.loc[seconds.columns, ["precision", "allocator", "threads", "note"]]
        tables[key] = table.join(facts.fillna(""))
    return tables
