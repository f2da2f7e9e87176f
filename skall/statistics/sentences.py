"""Lists, numbers and the results of tests in plain English."""

import math

import numpy as np
import pandas as pd

from skall.metrics.formulas import describe_metric
from skall.statistics.pairs import EQUIVALENT, METHODS, NO_DIFFERENCE, UNDECIDED


def capitalize(text):
    """A text with its first letter in capitals; the others, as those of AUC, stay.

    Parameters
    ----------
    text : str

    Returns
    -------
    str

    Examples
    --------
    >>> capitalize("balanced accuracy and MCC")
    'Balanced accuracy and MCC'
    """
    return text[:1].upper() + text[1:]


def list_words(words):
    """Words as a sentence lists them.

    Parameters
    ----------
    words : iterable of object

    Returns
    -------
    str

    Examples
    --------
    >>> list_words(["F1", "MCC", "ECE"]), list_words([3])
    ('F1, MCC and ECE', '3')
    """
    words = [str(word) for word in words]
    return " and ".join([", ".join(words[:-1]), words[-1]] if len(words) > 1 else words)


def count_nouns(number, noun):
    """A number with its noun, which takes an s where it is not one.

    Examples
    --------
    >>> count_nouns(1, "patient"), count_nouns(2331, "cell")
    ('1 patient', '2,331 cells')
    """
    return f"{number:,} {noun}{'' if number == 1 else 's'}"


def write_spread(mean, std):
    """A mean with its standard deviation, where that is known; a dash without a value.

    Parameters
    ----------
    mean, std : float

    Returns
    -------
    str

    Examples
    --------
    >>> write_spread(0.9, 0.012), write_spread(0.9, math.nan), write_spread(math.nan, math.nan)
    ('0.900 ± 0.012', '0.900', '-')
    """
    if math.isnan(mean):
        return "-"
    return f"{mean:.3f}" if math.isnan(std) else f"{mean:.3f} ± {std:.3f}"


def summarise_differences(tests: pd.DataFrame, alpha: float = 0.05) -> list[str]:
    """Say which differences are real, in a few sentences.

    Parameters
    ----------
    tests : DataFrame
        From :func:`test_estimators`.
    alpha : float, default=0.05
        As it was given to the tests.

    Returns
    -------
    list of str
        First what was tested, then who is better than whom, then who cannot be told apart.

    Examples
    --------
    >>> import pandas as pd
    >>> from skall.statistics import test_estimators
    >>> scores = pd.DataFrame({"estimator": ["a"] * 5 + ["b"] * 5, "repeat": 0,
    ...                        "fold": [*range(5)] * 2, "metric": "accuracy",
    ...                        "value": [0.9, 0.92, 0.91, 0.93, 0.9, 0.8, 0.83, 0.8, 0.84, 0.79]})
    >>> for sentence in summarise_differences(test_estimators(scores, None, test_ratio=1 / 4)):
    ...     print(sentence)
    Differences in accuracy, by the corrected resampled t-test (alpha = 0.05).
    a is better than b (by 0.100; p < 0.001).
    """
    names = list(dict.fromkeys([*tests["estimator_a"], *tests["estimator_b"]]))
    beaten: dict[str, list] = {name: [] for name in names}
    alike: dict[str, set[str]] = {name: set() for name in names}
    for row in tests.itertuples():
        a, b = str(row.estimator_a), str(row.estimator_b)
        if row.conclusion in (NO_DIFFERENCE, EQUIVALENT, UNDECIDED):
            alike[a].add(b)
            alike[b].add(a)
        else:
            winner, loser = (a, b) if row.conclusion == f"{a} is better than {b}" else (b, a)
            beaten[winner].append((loser, row))
    sentences = [_introduce(tests, alpha)]
    for winner in sorted(names, key=lambda name: -len(beaten[name])):
        if beaten[winner]:
            losers, rows = zip(*beaten[winner], strict=True)
            sentences.append(f"{winner} is better than {list_words(losers)} ({_describe(rows)}).")
    for group in _find_cliques(alike):
        among = tests["estimator_a"].isin(group) & tests["estimator_b"].isin(group)
        pairs = [*tests[among].itertuples()]
        numbers = _describe_alike(pairs, alpha)
        sentences.append(f"{_describe_group(group, pairs)} ({numbers}){describe_unseen(pairs)}.")
    if (tests["conclusion"] == NO_DIFFERENCE).any() and "detectable" not in tests:
        sentences.append("A difference that is not shown may still be there.")
    return sentences


def _describe_group(group, rows):
    """What is said of estimators that are alike."""
    names = list_words(group)
    if rows[0].conclusion == UNDECIDED:
        return f"Whether {names} differ {describe_undecided(rows[0])}"
    if all(row.conclusion == EQUIVALENT for row in rows):
        return f"{names} are practically equivalent"
    return f"{names} cannot be told apart"


def describe_undecided(row):
    """Why a test cannot decide.

    Parameters
    ----------
    row : namedtuple
        Of a table from :func:`test_estimators` by the test over patients.

    Returns
    -------
    str
        As ``"cannot be decided with 3 patients of class healthy"``.
    """
    return f"{UNDECIDED} with {count_nouns(row.fewest, row.unit)} of class {row.rarest}"


def describe_unseen(rows):
    """Which differences would not be seen.

    Parameters
    ----------
    rows : list of namedtuple
        Of a table from :func:`test_estimators`.

    Returns
    -------
    str
        As ``": a difference below 0.210 would not be seen"``; empty where that is not known.
    """
    sizes = [getattr(row, "detectable", np.nan) for row in rows]
    # What would be written as 0.000 is the error of predictions that are all alike.
    sizes = [size for size in sizes if 0.0005 <= size < np.inf]
    if not sizes:
        return ""
    span = " to ".join(dict.fromkeys(f"{size:.3f}" for size in (min(sizes), max(sizes))))
    return f": a difference below {span} would not be seen"


def _introduce(tests, alpha):
    method, metric = tests["method"].iloc[0], describe_metric(tests["metric"].iloc[0])
    what = "Mean ranks" if method == "nemenyi" else "Differences"
    if method == "bayesian_t":
        return (
            f"{what} in {metric}, by the {METHODS[method]}: a difference is shown where its "
            f"probability is above {1 - alpha:g}."
        )
    article = "" if method in ("mcnemar", "delong", "nemenyi") else "the "
    adjusted = "; p-values are adjusted for the number of pairs, intervals are not"
    note = f"alpha = {alpha:g}{adjusted if len(tests) > 1 and method != 'nemenyi' else ''}"
    named = METHODS[method]
    if method == "patient_t" and tests["unit"].iloc[0] == "cell":
        named = "t-test over cells, each taken for a patient, as these are not known"
    return f"{what} in {metric}, by {article}{named} ({note})."


def _describe(rows):
    """How much better, and how surely."""
    sizes = sorted(abs(row.difference) for row in rows)
    by = "by " + " to ".join(dict.fromkeys(f"{size:.3f}" for size in (sizes[0], sizes[-1])))
    by += _name_unit(rows)
    if rows[0].method == "bayesian_t":
        surely = min(max(row.p_a_above, row.p_b_above) for row in rows)
        return f"{by}; probability {_write_least(surely, rows)}"
    p_value = max(row.p_adjusted for row in rows)
    if p_value < 0.001:
        return f"{by}; p < 0.001"
    return f"{by}; p = {p_value:.3f}{' or less' if len(rows) > 1 else ''}"


def _describe_alike(rows, alpha):
    """How far apart they were found, and what the test said."""
    largest = max(abs(row.difference) for row in rows)
    if rows[0].method == "bayesian_t":
        surely = min(row.p_equivalent for row in rows)
        said = f"probability of equivalence {_write_least(surely, rows)}"
    else:
        said = f"p {_write_least(min(row.p_adjusted for row in rows), rows)}"
        if np.isnan(rows[0].p_adjusted):
            said = "too few for a test"
    if len(rows) > 1:
        return f"differences up to {largest:.3f}{_name_unit(rows)}; {said}"
    size = f"difference {rows[0].difference:.3f}{_name_unit(rows)}"
    if np.isfinite(rows[0].low):
        size += f", {100 * (1 - alpha):g} % interval {rows[0].low:.3f} to {rows[0].high:.3f}"
    return f"{size}; {said}"


def _name_unit(rows):
    return " ranks" if rows[0].method == "nemenyi" else ""


def _write_least(value, rows):
    """A probability that is the smallest of several."""
    if value > 0.999:
        return "> 0.999"
    return f"= {value:.3f}{' or more' if len(rows) > 1 else ''}"


def _find_cliques(alike):
    """The largest sets of names that are all alike to each other, in the names' order."""
    order = {name: position for position, name in enumerate(alike)}
    cliques = []

    def extend(chosen, candidates, excluded):
        # Bron and Kerbosch's algorithm with a pivot, doi 10.1145/362342.362367.
        if not candidates and not excluded and len(chosen) > 1:
            cliques.append(sorted(chosen, key=order.get))
        if not candidates:
            return
        pivot = max(candidates | excluded, key=lambda name: len(alike[name] & candidates))
        for name in candidates - alike[pivot]:
            extend(chosen | {name}, candidates & alike[name], excluded & alike[name])
            candidates = candidates - {name}
            excluded = excluded | {name}

    extend(set(), set(alike), set())
    return sorted(cliques, key=lambda clique: [order[name] for name in clique])
