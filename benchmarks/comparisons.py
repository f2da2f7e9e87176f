"""Comparisons of the reproductions: over folds, over one split, and honest ones.

A `task` is a :class:`protocol.Task`.
"""

from paper_tables import estimate_mean, make_table, read_published, tabulate

from skall import compare, get_estimator

# Beside the paper's own metrics.
HONEST_METRICS = {"balanced_accuracy": "balanced_accuracy", "roc_auc": "auc"}
BASELINES = (
    "The row dummy predicts the frequencies of the training labels; the rows mean colour, image "
    "size, border only and foreground area are logistic regressions of these alone."
)


def run_comparison(task, estimators, **options):
    """:func:`skall.compare` on the cells of a task, which goes on from its folder."""
    return compare(
        estimators,
        task.cells.data,
        task.cells.target,
        pos_label=task.cells.pos_label,
        random_state=task.seed,
        out=task.folder / "comparison",
        **options,
    )


def cross_validate(task, metrics, **options):
    """Compare equally treated networks over the same folds, and tabulate the means."""
    comparison = run_comparison(
        task, task.backbones, scoring=metrics, cv=task.n_folds, **options, **task.network
    )
    table = tabulate(comparison.scores_, metrics, task.published["results"], estimate_mean)
    return comparison, table


def describe_means(task):
    """What the numbers of :func:`cross_validate` are."""
    return (
        f"Means over {task.n_folds} folds, with 95 % intervals of the corrected resampled t-test "
        "(Nadeau & Bengio 2003, doi 10.1023/A:1024068626366); without one where all folds agree."
    )


def compare_honestly(task):
    """The same architectures with equal budgets, patient by patient, stopped on inner splits.

    Returns
    -------
    table : DataFrame
    blocks : list of str and DataFrame
        Texts and tables that go after it.
    """
    metrics = {**task.study.metrics, **HONEST_METRICS}
    comparison, table = cross_validate(task, metrics, groups=task.cells.groups)
    return table, [
        f"{describe_means(task)} {BASELINES}",
        "## Budgets",
        tabulate_budgets(task, comparison),
        "## Why ours and the published numbers are not comparable one to one",
        explain_difference(task),
    ]


def tabulate_budgets(task, comparison):
    """What each network was given: trainable parameters, epochs, combinations tried."""
    histories = comparison.history_.groupby("estimator")
    rows = {}
    for name in task.backbones:
        epochs = histories.get_group(name).groupby(["repeat", "fold"]).size()
        rows[name] = {
            "trainable_parameters": get_estimator(name, **task.network).summary()["trainable"],
            "fewest_epochs": epochs.min(),
            "most_epochs": epochs.max(),
            "tuning_trials": comparison.trials_[name],
        }
    return make_table(rows)


def explain_difference(task):
    """Why an honest number is not the paper's, as Markdown."""
    elsewhere = read_published()["literature"]["random_split"]
    folds = (
        "no patient is on both sides of a split here, while the paper split by image; on C-NMC a "
        f"random split adds about {elsewhere['auroc_gain']} to the AUROC ({elsewhere['source']})"
    )
    if task.cells.groups is None:
        folds = (
            "patients are not known in these data. The folds are stratified by class alone, and a "
            "patient may be on both sides of a split, here as in the paper: too good a score"
        )
    return (
        f"- Folds: {folds}.\n"
        "- Budget: every network has the same trainable part, schedule and limit of epochs here, "
        "whatever the paper gave it.\n"
        "- Epoch: it is chosen on a part of the training fold; the test fold chooses nothing.\n"
        "- The images, and the trunks and weights of Keras, may not be the paper's."
    )
