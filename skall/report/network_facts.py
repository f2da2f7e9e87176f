"""What a comparison tells of its estimators, in sentences."""

from skall.displays.style import shorten_number


def describe_estimator_facts(comparison):
    """The facts about the estimators that are no baselines.

    Parameters
    ----------
    comparison : Comparison

    Returns
    -------
    dict of str to str
        ``models``, ``ensembles`` and, where there are networks, ``preprocessing``,
        ``initialisation``, ``training``, ``imbalance`` and ``selection``.
    """
    rivals, _ = comparison.split_names()
    known = {name: comparison.estimators_.get(name, {}) for name in rivals}
    networks = {name: about for name, about in known.items() if about.get("network")}
    facts = {
        "models": _describe_models(known, comparison),
        "ensembles": _describe_ensembles(comparison),
    }
    if networks:
        facts["preprocessing"] = _describe_preprocessing(networks)
        facts["initialisation"] = _describe_initialisation(networks, comparison.protocol_)
        facts["training"] = _describe_training(comparison, networks)
        facts["imbalance"] = _list_params(networks, ["class_weight"], "Weights of classes")
        facts["selection"] = _describe_selection(comparison, networks)
    return facts


def _describe_models(known, comparison):
    parts = []
    for name, about in known.items():
        network = about.get("network")
        if network:
            total = shorten_number(network["trainable"] + network["non_trainable"])
            size = f"{network['image_size']} x {network['image_size']} pixels"
            parts.append(f"{name} ({network['backbone']}, {total} parameters, {size})")
        else:
            kind = "ensemble" if name in comparison.members_ else about.get("class", "not known")
            parts.append(f"{name} ({kind})")
    return f"{'; '.join(parts)}."


def _describe_ensembles(comparison):
    if not comparison.members_:
        return "None was made of the stored predictions."
    return "; ".join(f"{n}: {', '.join(m)}" for n, m in comparison.members_.items()) + "."


def _describe_preprocessing(networks):
    parts = []
    for name, about in networks.items():
        network = about["network"]
        mean, std = ([f"{value:g}" for value in network[key]] for key in ("mean", "std"))
        steps = "".join(f"{step}, " for step in about.get("steps", [])[:-1])
        parts.append(
            f"{name}: {steps}brought to {network['image_size']} x {network['image_size']} pixels, "
            f"normalised with mean {'/'.join(mean)} and std {'/'.join(std)}"
        )
    return f"{'; '.join(parts)}."


def _describe_initialisation(networks, protocol):
    if protocol.get("by_name"):
        seeds = ", ".join(map(str, protocol["seeds"]))
        return f"{_list_params(networks, ['weights'], 'Weights')} Seeds of the repeats: {seeds}."
    return _list_params(networks, ["weights", "random_state"], "Weights and seeds")


def _describe_training(comparison, networks):
    names = ["trainable", "head", "optimizer", "lr", "weight_decay", "max_epochs", "batch_size"]
    names += ["lr_schedule", "warmup_epochs", "dropout", "augment", "early_stopping", "ema_decay"]
    sentences = [_list_params(networks, names, "Parameters")]
    if "lr" in comparison.history_:
        first = comparison.history_[comparison.history_["epoch"] == 1]
        rates = first.groupby("estimator")["lr"].agg(["min", "max"])
        used = "; ".join(
            f"{row.Index} {_write_range(row.min, row.max)}"
            for row in rates.rename(columns=str).itertuples()
        )
        sentences.append(f"Learning rates of the first epoch: {used}.")
    sentences.append(_describe_numerics(networks))
    tuned = {key: text for key, text in comparison.protocol_.items() if key.startswith("tune ")}
    if tuned:
        listed = "; ".join(f"{key.removeprefix('tune ')}: {text}" for key, text in tuned.items())
        sentences.append(f"Chosen in every fold, whatever stands above, among {listed}.")
    return " ".join(sentences)


def _describe_numerics(networks):
    """How the trunks were computed; folders of before it was recorded do not know it."""
    by_numerics = {}
    for name, about in networks.items():
        network = about["network"]
        numerics = [network[key] for key in ("precision", "memory_format") if key in network]
        text = ", ".join(numerics) or "a precision that is not recorded"
        by_numerics.setdefault(text, []).append(name)
    parts = [f"{numerics} ({', '.join(names)})" for numerics, names in by_numerics.items()]
    return f"Trunks were computed in {'; '.join(parts)}."


def _write_range(low, high):
    return f"{low:.3g}" if low == high else f"{low:.3g} to {high:.3g}"


def _describe_selection(comparison, networks):
    stops = [n for n, a in networks.items() if _find_param(a["params"], "early_stopping") == "True"]
    tried = {name: count for name, count in comparison.trials_.items() if count > 1}
    parts = []
    if stops:
        parts.append(f"the epoch by an inner split of the training part ({', '.join(stops)})")
    if tried:
        listed = ", ".join(f"{name}: {count} combinations" for name, count in tried.items())
        parts.append(f"parameters in every training part anew ({listed})")
    if parts:
        return f"Without the tested fold: {' and '.join(parts)}."
    return "The weights after the last epoch count; no search chose parameters."


def _list_params(networks, names, title):
    """Parameters that the networks have, once for each set of values."""
    by_value = {}
    for name, about in networks.items():
        found = {wanted: _find_param(about["params"], wanted) for wanted in names}
        text = ", ".join(f"{p}={value}" for p, value in found.items() if value is not None)
        by_value.setdefault(text or "none", []).append(name)
    if len(by_value) == 1:
        return f"{title}: {next(iter(by_value))}."
    parts = [f"{text} ({', '.join(names)})" for text, names in by_value.items()]
    return f"{title}: {'; '.join(parts)}."


def _find_param(params, name):
    """A parameter of the estimator, or of the step or part that has it."""
    return next((v for key, v in params.items() if key.rpartition("__")[2] == name), None)
