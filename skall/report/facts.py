"""What a comparison says about itself, in sentences, and reporting guidelines."""

import numpy as np
import pandas as pd

from skall.displays.probabilities import list_informative, list_samples, list_with_probabilities
from skall.metrics import LOWER_IS_BETTER
from skall.metrics.formulas import describe_metric
from skall.report.network_facts import describe_estimator_facts
from skall.statistics.folds import variance_components
from skall.statistics.held_out import choose_metric, list_classes
from skall.statistics.sentences import capitalize, count_nouns, list_words

MOST_METRICS = 5
# More curves hide each other.
MOST_ESTIMATORS = 6
TWO_CLASSES = ("balanced_accuracy", "roc_auc", "mcc", "recall", "specificity")
# Averaged over three classes or more, the recall is the balanced accuracy.
MORE_CLASSES = ("balanced_accuracy", "roc_auc", "mcc", "f1", "accuracy")


def describe_facts(comparison):
    """Everything that reporting guidelines ask for and software can know.

    Parameters
    ----------
    comparison : Comparison

    Returns
    -------
    dict of str to str
        By the keys that ``checklists.toml`` names. A fact that is not known is left out.
    """
    rivals, baselines = comparison.split_names()
    metric = choose_metric(comparison.scores_)
    facts = {
        "design": f"A comparison of {len(rivals)} classifiers by cross-validation on stored data.",
        "data": describe_data(comparison),
        "classes": describe_classes(comparison),
        "reference": "The labels as they came with the data.",
        "partition": describe_partition(comparison),
        "metrics": _describe_metrics(comparison),
        "output": _describe_output(comparison),
        "uncertainty": "Intervals and tests: Student's t over patients, or samples where patients "
        "are not known, with the jackknife's variance and Nadeau & Bengio's correction (2003); "
        "chosen by simulation. Tests with Holm's adjustment. Beside them intervals over the folds "
        "(corrected resampled t) and a bootstrap of patients.",
        "performance": describe_performance(comparison, metric, rivals),
        "missing": _describe_missing(comparison),
        **describe_estimator_facts(comparison),
        **_describe_origin(comparison.protocol_),
    }
    disjoint = _describe_disjoint(comparison)
    if disjoint:
        facts["disjoint"] = disjoint
    if baselines:
        facts["baselines"] = describe_performance(comparison, metric, baselines)
    if comparison.predictions_.filter(like="proba_").notna().all(axis=1).any():
        facts["confusion"] = "Confusion matrices of the held-out predictions are among the figures."
        facts["calibration"] = "Reliability curves are among the figures" + (
            "; Brier score and expected calibration error are in the table."
            if {"brier", "ece"} <= {*comparison.scores_["metric"]}
            else "."
        )
    if comparison.images_ is not None:
        facts["failures"] = "The most confidently wrong images are among the figures."
    return facts


def _describe_origin(protocol):
    """Versions, machine, and how to do it again, where they are known."""
    if "versions" not in protocol:
        return {}
    command = protocol.get("command")
    again = f"; repeated by: {command}" if command else "."
    code = f"skall {protocol['versions']['skall']}, BSD 3-Clause{again}"
    return {"software": describe_software(protocol), "code": code}


def describe_data(comparison):
    """How many samples, groups and pixels, and whence."""
    samples = list_samples(comparison)
    sizes = samples[["height", "width"]].dropna()
    n_groups = samples["group"].nunique()
    parts = [
        f"{len(samples)} {'images' if len(sizes) else 'samples'} of "
        f"{samples['y_true'].nunique()} classes",
        f"{n_groups} patients (groups)" if n_groups else "patients not known",
    ]
    if len(sizes):
        low, high = (sizes.agg(end).astype(int).tolist() for end in ("min", "max"))
        text = f"{low[0]} x {low[1]}"
        parts.append(f"{text} pixels" if low == high else f"{text} to {high[0]} x {high[1]} pixels")
    name = name_data(comparison)
    return (f"{name}: " if name else "") + ", ".join(parts) + "."


def name_data(comparison):
    """The data set's name, with the folder or file where that is another; None if not known."""
    name, source = (comparison.protocol_.get(key) for key in ("data", "source"))
    return f"{name} ({source})" if source not in (None, name) else name


def title_page(comparison):
    """What was compared, on what."""
    rivals, _ = comparison.split_names()
    name = comparison.protocol_.get("data")
    return f"{count_nouns(len(rivals), 'classifier')} compared{f' on {name}' if name else ''}"


def describe_shortly(comparison):
    """What stands behind a comparison, in a few words each."""
    samples, protocol = list_samples(comparison), comparison.protocol_
    n_groups = samples["group"].nunique()
    is_images = samples["height"].notna().any()
    n_repeats = comparison.scores_["repeat"].nunique()
    n_folds = comparison.scores_.groupby("repeat")["fold"].nunique().max()
    source, finished = protocol.get("source"), protocol.get("finished", "")
    return [
        *([f"folder {source}"] if source else []),
        count_nouns(len(samples), "image" if is_images else "sample"),
        f"{samples['y_true'].nunique()} classes",
        count_nouns(n_groups, "patient") if n_groups else "patients not known",
        count_nouns(n_folds, "fold") + (f" x {n_repeats} repeats" if n_repeats > 1 else ""),
        *([finished[:10]] if finished else []),
    ]


def tabulate_classes(comparison):
    """Images, patients and sizes of each class.

    Parameters
    ----------
    comparison : Comparison

    Returns
    -------
    DataFrame
        Indexed by class; ``images``, ``patients`` (NaN where not known), ``height`` and ``width``,
        medians in pixels.
    """
    samples = list_samples(comparison)
    by_class = samples.groupby("y_true")
    table = pd.DataFrame({"images": by_class.size(), "patients": by_class["group"].nunique()})
    if samples["group"].isna().all():
        table["patients"] = np.nan
    for side in ("height", "width"):
        table[side] = by_class[side].median()
    return table


def describe_classes(comparison):
    """How many images and patients each class has."""
    parts = []
    for row in tabulate_classes(comparison).itertuples():
        of_patients = "" if np.isnan(row.patients) else f" of {row.patients:.0f} patients"
        parts.append(f"{row.Index}: {row.images} images{of_patients}")
    return "; ".join(parts) + "."


def describe_partition(comparison):
    """How the samples were assigned to folds."""
    protocol = comparison.protocol_
    n_repeats = comparison.scores_["repeat"].nunique()
    n_folds = comparison.scores_.groupby("repeat")["fold"].nunique().max()
    text = protocol.get("cv") or f"{n_folds} folds"
    if n_repeats > 1:
        text += f", repeated {n_repeats} times with other seeds"
    # A splitter of the user's has seeds of its own.
    seeds = ", ".join(map(str, protocol.get("split_seeds", []))) if "from the seed" in text else ""
    return f"Cross-validation: {text}{f' {seeds}' if seeds else ''}."


def _describe_disjoint(comparison):
    """Whether patients are on both sides of a split; None where it was not recorded."""
    if comparison.predictions_["group"].isna().all():
        return "By sample; whether a patient is on both sides of a split is not known."
    n_parted = comparison.protocol_.get("parted")
    if n_parted is None:
        return None
    if n_parted == 0:
        return "By patient (group): none is on both sides of a split."
    return f"Not by patient: {n_parted} of them are on both sides of a split."


def _describe_metrics(comparison):
    names = [describe_metric(metric) for metric in comparison.scores_["metric"].unique()]
    positive = comparison.pos_label_
    how = "averaged over the classes" if positive is None else f"the positive class is {positive}"
    return f"{', '.join(names)}; {how}."


def _describe_output(comparison):
    """What a classifier says of a sample, and when that counts as positive."""
    rivals, _ = comparison.split_names()
    classes, _ = list_classes(comparison.predictions_)
    names, positive = classes.tolist(), comparison.pos_label_
    threshold = ""
    if positive is not None and len(names) == 2:
        threshold = f", which is {positive} above a probability of 0.5"
    text = f"A probability for each of the classes {list_words(names)}. The likeliest is predicted"
    networks = [n for n in rivals if (comparison.estimators_.get(n) or {}).get("network")]
    others = " by networks, whatever its own predict says by others" * (len(networks) < len(rivals))
    return f"{text}{others}{threshold}; no sample is left undecided."


def _describe_missing(comparison):
    failed = len(comparison.failures_)
    text = "Missing labels and unreadable images are errors: no sample was left out."
    if not failed:
        return text
    return f"{text} Results of {count_nouns(failed, 'fit')} that failed are missing."


def describe_performance(comparison, metric, names):
    """A metric of some estimators with 95 % intervals, the best first."""
    if not names:
        return "None."
    table = comparison.intervals(metric, names=names)
    parts = [
        f"{row.estimator} {row.value:.3f}"
        + ("" if np.isnan(row.low) else f" ({row.low:.3f} to {row.high:.3f})")
        for row in table.itertuples()
    ]
    lower = ", lower is better" if metric in LOWER_IS_BETTER else ""
    spread = " (95 % intervals)" if table["low"].notna().any() else ""
    return f"{capitalize(describe_metric(metric))}{lower}{spread}: {'; '.join(parts)}."


def describe_software(protocol):
    """Versions and machine."""
    versions = ", ".join(f"{name} {number}" for name, number in protocol["versions"].items())
    machine = protocol["machine"]
    device = machine["accelerator"] or machine["processor"]
    return f"{versions}; {machine['system']}, {device}, {machine['cores']} cores."


def describe_spread(comparison):
    """How much of a metric's spread is that of folds, and how much that of seeds.

    Parameters
    ----------
    comparison : Comparison

    Returns
    -------
    DataFrame or None
        As :func:`skall.statistics.variance_components`; None for a single repeat.
    """
    if comparison.scores_["repeat"].nunique() < 2:
        return None
    return variance_components(comparison.scores_)


def describe_silent(comparison):
    """Which metrics have no value because an estimator gives no probabilities.

    Parameters
    ----------
    comparison : Comparison

    Returns
    -------
    list of str
    """
    scores, predictions = comparison.scores_, comparison.predictions_
    names = sorted(predictions["estimator"].unique())
    known = list_with_probabilities(predictions, names)
    n_folds = len(scores[["repeat", "fold"]].drop_duplicates())
    n_failed = comparison.failures_["estimator"].value_counts()
    found = {}
    for name in names:
        if name in known or n_failed.get(name) == n_folds:
            continue
        values = scores[scores["estimator"] == name].groupby("metric", sort=False)["value"]
        without = tuple(metric for metric, count in values.count().items() if not count)
        if without:
            found.setdefault(without, []).append(name)
    return [
        f"{capitalize(list_words(map(describe_metric, metrics)))} could not be computed for "
        f"{list_words(names)}, which {'gives' if len(names) == 1 else 'give'} no probabilities."
        for metrics, names in found.items()
    ]


def choose_metrics(comparison):
    """The metrics of the first table, the main one first.

    Parameters
    ----------
    comparison : Comparison

    Returns
    -------
    list of str
        Five at most.
    """
    known = comparison.scores_["metric"].unique().tolist()
    classes, _ = list_classes(comparison.predictions_)
    preferred = TWO_CLASSES if len(classes) == 2 else MORE_CLASSES
    wanted = [choose_metric(comparison.scores_), *preferred, *known]
    return [name for name in dict.fromkeys(wanted) if name in known][:MOST_METRICS]


def choose_estimators(comparison, ranking):
    """The estimators of curves and matrices: the best, and the best baseline that says something.

    Parameters
    ----------
    comparison : Comparison
    ranking : iterable of str
        Every estimator, the best first.

    Returns
    -------
    names : list of str
        Of those with probabilities, in the order of the ranking.
    n_left_out : int
        How many others there are that are no baselines.
    """
    rivals, baselines = comparison.split_names()
    predictions, ranking = comparison.predictions_, list(ranking)
    ranked = [name for name in ranking if name in rivals]
    # Of untrained networks alone even curves that say nothing are shown.
    ranked = list_informative(predictions, ranked) or list_with_probabilities(predictions, ranked)
    best = list_informative(predictions, [n for n in ranking if n in baselines])[:1]
    return ranked[:MOST_ESTIMATORS] + best, max(0, len(ranked) - MOST_ESTIMATORS)
