"""What a comparison tells of itself, in sentences."""

import numpy as np
import pandas as pd

from skall.displays.style import describe_metric, shorten_number
from skall.metrics import LOWER_IS_BETTER
from skall.statistics.held_out import choose_metric, list_classes
from skall.statistics.variance import variance_components


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
    protocol, networks = comparison.protocol_, _list_networks(comparison)
    metric = choose_metric(comparison.scores_)
    facts = {
        "design": f"Software comparison of {len(rivals)} classifiers by cross-validation on "
        "images that were collected before (retrospective).",
        "data": describe_data(comparison),
        "classes": describe_classes(comparison),
        "reference": "The labels as they came with the data.",
        "partition": describe_partition(comparison),
        "disjoint": _describe_disjoint(comparison),
        "models": _describe_models(comparison, networks),
        "selection": _describe_selection(comparison, networks),
        "ensembles": _describe_ensembles(comparison),
        "metrics": _describe_metrics(comparison),
        "uncertainty": "Intervals: corrected resampled t over the folds (Nadeau & Bengio 2003) and "
        "a bootstrap of patients, or of images where no patients are known. Tests: corrected "
        "resampled t with Holm's adjustment.",
        "performance": describe_performance(comparison, metric, rivals),
        "missing": "Unreadable images and missing labels are errors: none was left out or imputed.",
    }
    if networks:
        facts["preprocessing"] = _describe_preprocessing(networks)
        facts["initialisation"] = _describe_initialisation(networks, protocol)
        facts["training"] = _describe_training(comparison, networks)
        facts["imbalance"] = _list_params(networks, ["class_weight"], "Weights of classes")
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
        facts["failures"] = "The most confidently wrong images are shown with file and patient."
    if "versions" in protocol:
        facts["software"] = describe_software(protocol)
        command = protocol.get("command")
        facts["code"] = f"skall {protocol['versions']['skall']}, BSD 3-Clause" + (
            f"; repeated by: {command}" if command else "."
        )
    return facts


def describe_data(comparison):
    """How many images, patients and pixels, and whence."""
    classes, _ = list_classes(comparison.predictions_)
    samples = _list_samples(comparison)
    source = comparison.protocol_.get("data")
    n_groups = samples["group"].nunique()
    parts = [
        f"{len(samples)} images of {len(classes)} classes",
        f"{n_groups} patients" if n_groups else "patients not known",
    ]
    sizes = comparison.samples_[["height", "width"]].dropna()
    if len(sizes):
        ends = sizes.agg(["min", "max"]).astype(int)
        low, high = ends.loc["min"].tolist(), ends.loc["max"].tolist()
        text = f"{low[0]} x {low[1]}"
        parts.append(f"{text} pixels" if low == high else f"{text} to {high[0]} x {high[1]} pixels")
    return (f"{source}: " if source else "") + ", ".join(parts) + "."


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
    samples = _list_samples(comparison).merge(
        comparison.samples_[["sample", "height", "width"]], on="sample", how="left"
    )
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


def _list_samples(comparison):
    """Each tested sample once, with label and group."""
    samples = comparison.predictions_[["sample", "group", "y_true"]]
    return samples.drop_duplicates("sample").sort_values("sample")


def describe_partition(comparison):
    """How the samples were dealt."""
    protocol = comparison.protocol_
    n_repeats = comparison.scores_["repeat"].nunique()
    n_folds = comparison.scores_.groupby("repeat")["fold"].nunique().max()
    text = protocol.get("cv") or f"{n_folds} folds"
    if n_repeats > 1:
        text += f", repeated {n_repeats} times with other seeds"
    seeds = ", ".join(map(str, protocol.get("seeds", ["not known"])))
    return f"Cross-validation: {text}; seed {seeds}."


def _describe_disjoint(comparison):
    grouped = comparison.predictions_["group"].notna().any()
    if not grouped:
        return "By image; whether a patient is on both sides of a split is not known."
    rows = comparison.predictions_.drop_duplicates(["repeat", "fold", "sample"])
    per_fold = rows.groupby(["repeat", "group"])["fold"].nunique()
    n_parted = (per_fold.groupby("group").max() > 1).sum()
    if not n_parted:
        return "By patient: no patient is in two folds."
    return f"Not by patient: {n_parted} of them have images in several folds."


def _list_networks(comparison):
    """What is known of the networks, by estimator."""
    return {
        name: about
        for name, about in comparison.estimators_.items()
        if about.get("network") and not about.get("baseline")
    }


def _describe_models(comparison, networks):
    parts = []
    for name in comparison.split_names()[0]:
        network = networks.get(name, {}).get("network")
        if network:
            total = network["trainable"] + network["non_trainable"]
            parts.append(
                f"{name} ({network['backbone']}, {shorten_number(total)} parameters, "
                f"{network['image_size']} x {network['image_size']} pixels)"
            )
        else:
            parts.append(
                f"{name} ({comparison.estimators_.get(name, {}).get('class', 'ensemble')})"
            )
    return "Output: a probability for each class. " + "; ".join(parts) + "."


def _list_params(networks, names, title):
    """Parameters that the networks have, once for each set of values."""
    by_value = {}
    for name, about in networks.items():
        params = about["params"]
        found = {p: _find_param(params, p) for p in names}
        text = ", ".join(f"{p}={value}" for p, value in found.items() if value is not None)
        by_value.setdefault(text, []).append(name)
    if len(by_value) == 1:
        return f"{title}: {next(iter(by_value))}."
    return (
        f"{title}: " + "; ".join(f"{text} ({', '.join(n)})" for text, n in by_value.items()) + "."
    )


def _find_param(params, name):
    """A parameter of the estimator, or of the step or part that has it."""
    return next((v for key, v in params.items() if key.rpartition("__")[2] == name), None)


def _describe_preprocessing(networks):
    parts = []
    for name, about in networks.items():
        network = about["network"]
        mean, std = ([f"{value:g}" for value in network[key]] for key in ("mean", "std"))
        parts.append(
            f"{name}: {network['image_size']} pixels, mean {'/'.join(mean)}, std {'/'.join(std)}"
        )
    return "Resized to a square and normalised by channel. " + "; ".join(parts) + "."


def _describe_initialisation(networks, protocol):
    return f"{_list_params(networks, ['weights'], 'Weights')} Seed {protocol.get('seed')}."


def _describe_training(comparison, networks):
    names = ["trainable", "head", "optimizer", "lr", "weight_decay", "max_epochs", "batch_size"]
    names += ["lr_schedule", "warmup_epochs", "dropout", "augment", "early_stopping"]
    rates = comparison.history_[comparison.history_["epoch"] == 1].groupby("estimator")["lr"]
    used = "; ".join(f"{name} {rate:.3g}" for name, rate in rates.first().items())
    began = f" Learning rate of the first epoch: {used}." if used else ""
    return _list_params(networks, names, "Parameters") + began


def _describe_selection(comparison, networks):
    stops = [n for n, a in networks.items() if _find_param(a["params"], "early_stopping") == "True"]
    tried = {name: count for name, count in comparison.trials_.items() if count > 1}
    parts = []
    if stops:
        parts.append(f"the epoch by an inner split of the training part ({', '.join(stops)})")
    if tried:
        parts.append(
            "hyper-parameters in every training part anew ("
            + ", ".join(f"{name}: {count} combinations" for name, count in tried.items())
            + ")"
        )
    if not parts:
        return "Nothing was selected: the last epoch counts, and no parameter was tuned."
    return "Selected without the tested fold: " + " and ".join(parts) + "."


def _describe_ensembles(comparison):
    if not comparison.members_:
        return "None."
    return "; ".join(f"{n}: {', '.join(m)}" for n, m in comparison.members_.items()) + "."


def _describe_metrics(comparison):
    names = [describe_metric(metric) for metric in comparison.scores_["metric"].unique()]
    positive = comparison.pos_label_
    how = "averaged over the classes" if positive is None else f"the positive class is {positive}"
    return f"{', '.join(names)}; {how}; the likeliest class is predicted."


def describe_performance(comparison, metric, names):
    """A metric of some estimators with 95 % intervals over the folds, the best first."""
    if not names:
        return "None."
    table = comparison.intervals(metric, names=names)
    parts = [
        f"{row.estimator} {row.value:.3f}"
        + ("" if np.isnan(row.low) else f" ({row.low:.3f} to {row.high:.3f})")
        for row in table.itertuples()
    ]
    lower = ", lower is better" if metric in LOWER_IS_BETTER else ""
    spread = " (95 % intervals over the folds)" if table["low"].notna().any() else ""
    return f"{describe_metric(metric).capitalize()}{lower}{spread}: {'; '.join(parts)}."


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
