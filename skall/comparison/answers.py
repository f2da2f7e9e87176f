"""What a reader wants to know first, in plain sentences."""

import numpy as np

from skall.comparison.estimators import DUMMY
from skall.metrics import LOWER_IS_BETTER
from skall.metrics.names import describe_metric
from skall.statistics import adjust_holm
from skall.statistics.held_out import choose_metric
from skall.statistics.sentences import capitalize, count_nouns, list_words

# Where patients are not known, a shortcut comes close if it has this share of the network's
# distance from chance: a share that no difference between two cells would give it.
CLOSE = 0.8
# Where the best shortcut has this share of it, the network may have learnt the same.
SHARE = 0.5
# Needs no threshold, which a baseline may have in the wrong place where classes are lopsided.
RANKING = "roc_auc"


def answer(comparison, alpha=0.05):
    """The three answers that a reader wants first.

    Parameters
    ----------
    comparison : Comparison
    alpha : float, default=0.05
        Level of the tests; intervals have ``1 - alpha``.

    Returns
    -------
    dict of str to list of str
        Sentences. ``"best"``: which estimators are best, and whether they are told apart;
        ``"shortcuts"``: whether any beats the best shortcut; ``"patients"``: how many patients and
        cells of each class stand behind it.
    """
    return {
        "best": describe_best(comparison, alpha),
        "shortcuts": describe_shortcuts(comparison, alpha),
        "patients": describe_patients(comparison),
    }


def describe_best(comparison, alpha=0.05):
    """Which estimators are best, and whether they are told apart.

    Parameters
    ----------
    comparison : Comparison
    alpha : float, default=0.05

    Returns
    -------
    list of str

    Notes
    -----
    The mean of an estimator that failed in some folds is of the others alone: where another one
    has every fold, it is not called the best.
    """
    metric = choose_metric(comparison.scores_)
    rivals, _ = comparison.split_names()
    if not rivals:
        return []
    failed = {*comparison.failures_["estimator"]}
    judged = [name for name in rivals if name not in failed] or rivals
    table = comparison.intervals(metric, names=judged, confidence_level=1 - alpha)
    best, word = table.iloc[0], "lowest" if metric in LOWER_IS_BETTER else "highest"
    if np.isnan(best["value"]):
        return [f"{capitalize(describe_metric(metric))} has no value for {list_words(rivals)}."]
    has = f"has the {word}" if len(table) > 1 else "reaches"
    value = f"{best['value']:.3f}{_write_interval(best, alpha)}"
    sentences = [f"{best['estimator']} {has} {describe_metric(metric)}, {value}."]
    # How it was tested stands among the facts.
    differences = comparison.differences(metric, alpha)
    return sentences + [text for text in differences if not text.startswith("Differences in ")]


def _write_interval(row, alpha):
    if np.isnan(row["low"]):
        return ""
    return f" ({100 * (1 - alpha):g} % interval {row['low']:.3f} to {row['high']:.3f})"


def describe_shortcuts(comparison, alpha=0.05):
    """Whether any estimator is shown to beat the best shortcut.

    Parameters
    ----------
    comparison : Comparison
    alpha : float, default=0.05

    Returns
    -------
    list of str
        None where there are no shortcuts.

    Notes
    -----
    To beat the best shortcut is to beat each of them: an estimator's p-value is the largest of
    those against them, which needs no adjustment for having picked the best (the intersection-union
    test of Berger 1982, doi 10.1080/00401706.1982.10487790). Holm's adjustment is for the number of
    estimators.
    """
    rivals, baselines = comparison.split_names()
    shortcuts = [name for name in baselines if name != DUMMY]
    computed = {*comparison.scores_.dropna(subset="value")["metric"]}
    main = choose_metric(comparison.scores_)
    metrics = [name for name in dict.fromkeys([RANKING, main]) if name in computed]
    if not (rivals and shortcuts and metrics):
        return []
    sentences = [_compare_with_best(comparison, m, rivals, shortcuts, alpha) for m in metrics]
    close = _describe_close(comparison, metrics[0], rivals, shortcuts)
    return [sentence for sentence in (*sentences, close) if sentence]


def _compare_with_best(comparison, metric, rivals, shortcuts, alpha):
    means = _average(comparison, metric)
    sign = -1 if metric in LOWER_IS_BETTER else 1
    known = [name for name in shortcuts if not np.isnan(means[name])]
    judged = [name for name in rivals if not np.isnan(means[name])]
    if not known or not judged:
        return None
    best = max(known, key=lambda name: sign * means[name])
    winners = _find_winners(comparison, metric, judged, known, alpha)
    noun = _name_kind(comparison, rivals)
    named, others = describe_metric(metric), f"{best} alone reaches {means[best]:.3f}"
    if not winners:
        said = f"No {noun} is shown to beat the best shortcut in {named}: {others}, "
        said += f"the {noun}{'s' if len(judged) > 1 else ''} {_span(means[judged])}"
        chance = _find_chance(comparison, metric)
        best_rival = max(sign * means[judged])
        if sign * means[best] - sign * chance > SHARE * (best_rival - sign * chance):
            said += ": the classes may be told apart without looking at the cell"
        return f"{said}."
    rest = [name for name in judged if name not in winners]
    said = f"{list_words(winners)} {'beats' if len(winners) == 1 else 'beat'} every shortcut in "
    said += f"{named}: {_span(means[winners])}; the best shortcut, {others}."
    if rest:
        said += f" Of {list_words(rest)} this is not shown ({_span(means[rest])})."
    return said


def _name_kind(comparison, names):
    abouts = [comparison.estimators_.get(name, {}) for name in names]
    return "network" if all(about.get("network") for about in abouts) else "estimator"


def _average(comparison, metric):
    scores = comparison.scores_[comparison.scores_["metric"] == metric]
    return scores.groupby("estimator")["value"].mean()


def _span(values):
    low, high = f"{values.min():.3f}", f"{values.max():.3f}"
    return low if low == high else f"{low} to {high}"


def _find_winners(comparison, metric, rivals, shortcuts, alpha):
    """The estimators that are shown to be better than every shortcut."""
    try:
        tests = comparison.test(metric, names=[*rivals, *shortcuts], references=shortcuts)
    except ValueError:
        return []
    sign = -1 if metric in LOWER_IS_BETTER else 1
    ahead = sign * tests["difference"] > 0
    largest = tests["p_value"].where(ahead, 1).fillna(1).groupby(tests["estimator_a"]).max()
    adjusted = adjust_holm(largest[rivals])
    return [name for name, p_value in zip(rivals, adjusted, strict=True) if p_value < alpha]


def _describe_close(comparison, metric, rivals, shortcuts):
    """What a strong shortcut means where nobody knows the patients."""
    if comparison.predictions_["group"].notna().any() or metric in LOWER_IS_BETTER:
        return None
    means, dummy = _average(comparison, metric), _find_chance(comparison, metric)
    shortcuts = [name for name in shortcuts if not np.isnan(means[name])]
    if not shortcuts:
        return None
    above = means[rivals].max() - dummy
    best = means[shortcuts].idxmax()
    if not means[best] - dummy >= CLOSE * above > 0:
        return None
    noun = _name_kind(comparison, rivals)
    return (
        f"{capitalize(best)} alone reaches {describe_metric(metric)} {means[best]:.3f}, beside "
        f"{means[rivals].max():.3f} of the best {noun}: the classes were probably photographed "
        "differently."
    )


def _find_chance(comparison, metric):
    if metric == RANKING:
        return 0.5
    means = _average(comparison, metric)
    return means.get(DUMMY, 1 / comparison.predictions_["y_true"].nunique())


def describe_patients(comparison):
    """How many patients and cells of each class stand behind a comparison.

    Parameters
    ----------
    comparison : Comparison

    Returns
    -------
    list of str
    """
    samples = list_samples(comparison)
    sizes = samples["y_true"].value_counts().sort_index()
    if samples["group"].isna().all():
        counts = (f"{count_nouns(n, 'cell')} of {label}" for label, n in sizes.items())
        return [
            f"Patients are not known; there are {list_words(counts)}.",
            "Where a patient has cells on both sides of a split, every number here is too good.",
        ]
    patients = samples.groupby("y_true")["group"].nunique()
    counts = (
        f"{label}: {count_nouns(patients[label], 'patient')}, {count_nouns(sizes[label], 'cell')}"
        for label in sizes.index
    )
    total = count_nouns(samples["group"].nunique(), "patient")
    share = samples["group"].value_counts().iloc[0] / len(samples)
    return [
        f"{total} stand behind it ({'; '.join(counts)}).",
        _describe_smallest(comparison),
        f"The patient with the most cells has {100 * share:.0f} % of them; "
        f"{_describe_main(samples)}.",
    ]


def _describe_main(samples):
    """The class that has most of its cells from one patient, and how many."""
    sizes = samples.groupby(["y_true", "group"]).size()
    shares = (sizes / sizes.groupby(level="y_true").transform("sum")).groupby(level="y_true").max()
    return f"one has {100 * shares.max():.0f} % of those of class {shares.idxmax()}"


def _describe_smallest(comparison):
    """The class of a test part that the fewest patients stand for."""
    predictions = comparison.predictions_.drop_duplicates(["repeat", "fold", "sample"])
    by = predictions.groupby(["y_true", "repeat", "fold"])
    parts = by.agg(patients=("group", "nunique"), cells=("sample", "size"))
    folds = predictions[["repeat", "fold"]].drop_duplicates()
    labels = sorted(predictions["y_true"].unique())
    index = [(label, *fold) for label in labels for fold in folds.itertuples(index=False)]
    least = parts.reindex(index, fill_value=0).sort_values(["patients", "cells"]).iloc[0]
    held = f"{count_nouns(least['patients'], 'patient')} and {count_nouns(least['cells'], 'cell')}"
    return f"The smallest share of a test part is {held} of class {least.name[0]}."


def list_samples(comparison):
    """Every sample, or where they are not recorded each that was tested.

    Parameters
    ----------
    comparison : Comparison

    Returns
    -------
    DataFrame
        Columns as :attr:`skall.comparison.Comparison.samples_` without the file.
    """
    if len(comparison.samples_):
        return comparison.samples_
    tested = comparison.predictions_[["sample", "group", "y_true"]].drop_duplicates("sample")
    return tested.assign(height=np.nan, width=np.nan)
