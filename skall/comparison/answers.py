"""Answers in plain sentences: which differences are real, the best, shortcuts, patients."""

import numpy as np

from skall.comparison.estimators import DUMMY
from skall.displays.probabilities import list_samples
from skall.metrics import LOWER_IS_BETTER
from skall.metrics.formulas import describe_metric
from skall.statistics import adjust_holm, summarise_differences
from skall.statistics.held_out import choose_metric, pivot_folds
from skall.statistics.pairs import EQUIVALENT, NO_DIFFERENCE, UNDECIDED
from skall.statistics.sentences import (
    capitalize,
    count_nouns,
    describe_undecided,
    describe_unseen,
    list_words,
)

# Where patients are not known, a shortcut is close if it has this share of the network's distance
# from chance: more than differences between the cells would give it.
CLOSE = 0.8
# Where the best shortcut has this share of it, the network may have learnt the shortcut.
SHARE = 0.5
# Needs no threshold, which a baseline may have in the wrong place where classes are unequal.
RANKING = "roc_auc"


def summarise(comparison, alpha=0.05):
    """Answers to the three questions of most readers."""
    return {
        "best": _describe_best(comparison, alpha),
        "shortcuts": _describe_shortcuts(comparison, alpha),
        "patients": _describe_patients(comparison),
    }


def describe_differences(comparison, metric=None, alpha=0.05):
    """Sentences that say which differences are real."""
    families, reason = _test_families(comparison, metric, alpha)
    if reason:
        return [f"Differences were not tested: {reason}."]
    rivals, baselines = comparison.split_names()
    sentences = []
    for tests in families:
        against = set(tests["estimator_b"]) <= {*baselines}
        sentences += (
            _describe_against(tests, rivals) if against else summarise_differences(tests, alpha)
        )
    return sentences


def conclude(comparison, metric=None, alpha=0.05):
    """What each estimator is, as ``"better than dummy; no difference shown to resnet18"``."""
    metric = choose_metric(comparison.scores_, metric)
    families, reason = _test_families(comparison, metric, alpha)
    complete = _list_complete(comparison.scores_, metric)
    relations = _relate_all(families, comparison.scores_["estimator"].unique())
    empty = f"not tested: {reason}" if reason else "nothing to compare with"
    missing = f"not tested: {describe_metric(metric)} has no value in some folds"
    return {
        name: _write_relations(related, unseen=True) or (empty if name in complete else missing)
        for name, related in relations.items()
    }


def _test_families(comparison, metric, alpha):
    """Tests among the estimators, and of each against the baselines, or why there are none.

    Each family has its own adjustment by Holm, so that the baselines take no power from the tests
    among the networks. Folds that do not determine the metric, because they lack a class, are left
    out for all. An estimator that has no value where others have one is in no test.
    """
    metric = choose_metric(comparison.scores_, metric)
    complete = _list_complete(comparison.scores_, metric)
    rivals, baselines = ([n for n in names if n in complete] for names in comparison.split_names())
    families, options = [], {"metric": metric, "alpha": alpha}
    try:
        if len(rivals) > 1:
            families.append(comparison.test(names=rivals, **options))
        if rivals and baselines:
            names = rivals + baselines
            families.append(comparison.test(names=names, references=baselines, **options))
    except ValueError as exc:
        return [], str(exc)
    return families, None


def _list_complete(scores, metric):
    """The estimators that have a value in every fold that determines the metric."""
    folds = pivot_folds(scores, metric, scores["estimator"].unique())
    return {*folds.columns[folds.notna().all() & (len(folds) > 0)]}


def _describe_against(tests, rivals):
    """The relations of each estimator to the baselines, once for those that are alike."""
    relations = _relate_all([tests], rivals)
    alike = {}
    for name in rivals:
        # An estimator that failed in some folds has no relations.
        alike.setdefault(_write_relations(relations[name]) or "not tested", []).append(name)
    listed = "; ".join(f"{', '.join(names)}: {text}" for text, names in alike.items())
    return [f"Against the baselines: {listed}."]


def _relate_all(families, names):
    """For each name the other estimators and tests by relation, as ``"better than"``."""
    found = {name: {} for name in names}
    for tests in families:
        for row in tests.itertuples():
            a, b = row.estimator_a, row.estimator_b
            for one, other in ((a, b), (b, a)):
                if one in found:
                    relation = _relate(row, one, other)
                    found[one].setdefault(relation, []).append((other, row))
    return found


def _relate(row, one, other):
    if row.conclusion == f"{one} is better than {other}":
        return "better than"
    if row.conclusion == f"{other} is better than {one}":
        return "worse than"
    if row.conclusion == UNDECIDED:
        return f"{describe_undecided(row)} against"
    return f"{row.conclusion} to"


def _write_relations(relations, unseen=False):
    """Relations as a text, with the differences that would not have been found."""
    order = ["better than", "worse than", f"{EQUIVALENT} to", f"{NO_DIFFERENCE} to"]
    order += [relation for relation in relations if relation not in order]
    parts = []
    for relation in order:
        if relation in relations:
            others, rows = zip(*relations[relation], strict=True)
            parts.append(f"{relation} {', '.join(others)}")
            if unseen and rows[0].conclusion in (NO_DIFFERENCE, UNDECIDED):
                parts[-1] += describe_unseen(rows)
    return "; ".join(parts)


def _describe_best(comparison, alpha):
    """Which estimators are best, and which differences are real.

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
    value = f"{best['value']:.3f}"
    if not np.isnan(best["low"]):
        ends = f"{best['low']:.3f} to {best['high']:.3f}"
        value += f" ({100 * (1 - alpha):g} % interval {ends})"
    sentences = [f"{best['estimator']} {has} {describe_metric(metric)}, {value}."]
    # The method of the test is among the facts of the report.
    differences = comparison.differences(metric, alpha)
    return sentences + [text for text in differences if not text.startswith("Differences in ")]


def _describe_shortcuts(comparison, alpha):
    """Whether any estimator is shown to beat the best shortcut; nothing without shortcuts.

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
    """Which estimators beat every shortcut in a metric; None where it has no values."""
    means = _average(comparison, metric)
    sign = -1 if metric in LOWER_IS_BETTER else 1
    known = [name for name in shortcuts if not np.isnan(means[name])]
    judged = [name for name in rivals if not np.isnan(means[name])]
    if not known or not judged:
        return None
    best = max(known, key=lambda name: sign * means[name])
    winners = _find_winners(comparison, metric, judged, known, alpha)
    named, others = describe_metric(metric), f"{best} alone reaches {means[best]:.3f}"
    if winners:
        beat = "beats" if len(winners) == 1 else "beat"
        text = f"{list_words(winners)} {beat} every shortcut in {named}: "
        text += f"{_write_range(means[winners])}; the best shortcut, {others}."
        rest = [name for name in judged if name not in winners]
        if rest:
            text += f" Of {list_words(rest)} this is not shown ({_write_range(means[rest])})."
        return text
    noun = _get_noun(comparison, rivals)
    text = f"No {noun} is shown to beat the best shortcut in {named}: {others}, "
    text += f"the {noun}{'s' if len(judged) > 1 else ''} {_write_range(means[judged])}"
    chance = _get_chance(comparison, metric)
    if sign * (means[best] - chance) > SHARE * (max(sign * means[judged]) - sign * chance):
        text += ": the classes may be told apart without looking at the cell"
    return f"{text}."


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
    """The meaning of a strong shortcut where patients are not known."""
    if comparison.predictions_["group"].notna().any() or metric in LOWER_IS_BETTER:
        return None
    means, chance = _average(comparison, metric), _get_chance(comparison, metric)
    shortcuts = [name for name in shortcuts if not np.isnan(means[name])]
    if not shortcuts:
        return None
    best, highest = means[shortcuts].idxmax(), means[rivals].max()
    if not means[best] - chance >= CLOSE * (highest - chance) > 0:
        return None
    return (
        f"{capitalize(best)} alone reaches {describe_metric(metric)} {means[best]:.3f}, beside "
        f"{highest:.3f} of the best {_get_noun(comparison, rivals)}: the classes were probably "
        "photographed differently."
    )


def _get_noun(comparison, names):
    abouts = [comparison.estimators_.get(name, {}) for name in names]
    return "network" if all(about.get("network") for about in abouts) else "estimator"


def _average(comparison, metric):
    scores = comparison.scores_[comparison.scores_["metric"] == metric]
    return scores.groupby("estimator")["value"].mean()


def _get_chance(comparison, metric):
    """The value of a metric without any information."""
    if metric == RANKING:
        return 0.5
    means = _average(comparison, metric)
    return means.get(DUMMY, 1 / comparison.predictions_["y_true"].nunique())


def _write_range(values):
    low, high = f"{values.min():.3f}", f"{values.max():.3f}"
    return low if low == high else f"{low} to {high}"


def _describe_patients(comparison):
    """The numbers of patients and cells of each class."""
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
    by_patient = samples.groupby(["y_true", "group"]).size().groupby(level="y_true")
    shares = by_patient.max() / by_patient.sum()
    return [
        f"{total} stand behind it ({'; '.join(counts)}).",
        _describe_smallest(comparison),
        f"The patient with the most cells has {100 * share:.0f} % of them; one has "
        f"{100 * shares.max():.0f} % of those of class {shares.idxmax()}.",
    ]


def _describe_smallest(comparison):
    """The class of a test part with the fewest patients."""
    predictions = comparison.predictions_.drop_duplicates(["repeat", "fold", "sample"])
    by = predictions.groupby(["y_true", "repeat", "fold"])
    parts = by.agg(patients=("group", "nunique"), cells=("sample", "size"))
    folds = predictions[["repeat", "fold"]].drop_duplicates()
    labels = sorted(predictions["y_true"].unique())
    index = [(label, *fold) for label in labels for fold in folds.itertuples(index=False)]
    least = parts.reindex(index, fill_value=0).sort_values(["patients", "cells"]).iloc[0]
    held = f"{count_nouns(least['patients'], 'patient')} and {count_nouns(least['cells'], 'cell')}"
    return f"The smallest share of a test part is {held} of class {least.name[0]}."
