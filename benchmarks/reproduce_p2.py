"""Vinod et al. (IJSREM 09/05, 2025): six networks, one split of ALL-IDB1, redone.

Prints the table of the paper's own protocol, or of an honest comparison of the same networks, with
our numbers beside the published ones.

    python benchmarks/reproduce_p2.py DATA [--honest]
    python benchmarks/reproduce_p2.py --quick
"""

import numpy as np
import torch
from comparisons import run_comparison
from paper_tables import drop_empty, make_table, quote, tabulate
from protocol import Study, reproduce
from sklearn.base import BaseEstimator, ClassifierMixin, clone
from sklearn.model_selection import StratifiedShuffleSplit
from skorch.dataset import ValidSplit

from skall import get_estimator
from skall.statistics import proportion_interval

NETWORK = {
    "image_size": 224,
    "head": "mlp",
    "dropout": 0,
    "augment": "vinod2025",
    "optimizer": torch.optim.Adam,
    "weight_decay": 0,
    "batch_size": 32,
    "max_epochs": 60,
}
# New views in every epoch would fill the memory: a flattened image has 400 kB of features.
FROZEN = {"trainable": "head", "augment_views": 10}
METRICS = {
    "accuracy": "accuracy_percent",
    "precision": "precision",
    "recall": "recall",
    "specificity": "specificity",
    "f1": "f1",
    "roc_auc": "auc",
    "brier": "mean_squared_error",
    "log_loss": "loss",
}
COUNTS = ("trainable", "non_trainable", "optimizer")
GET_DATA = (
    "The paper uses ALL-IDB1: 108 fields of blood smears (59 healthy, 49 with leukaemia), on "
    "request from its authors, https://scotti.di.unimi.it/all/. It must not be passed on."
)
LEFT_OPEN = {
    "Which images are the test images": "a stratified fifth, drawn from the seed",
    "Patients": "not known in ALL-IDB1; fields of one patient may be on both sides of the split",
    "Learning rate": "tuned, on what is not said; 1e-4 where the trunk is trained, 1e-3 for a head "
    "alone, Adam's other settings as they are",
    "Batch size": f"tuned as well; {NETWORK['batch_size']}",
    "Epochs": "several numbers were tried, and which network got which is not said; "
    f"{NETWORK['max_epochs']} for all, and what the smaller numbers give stands above. InceptionV3 "
    "has as many as its printed results",
    "Which epoch is kept": "the last one; the test images are watched but choose nothing here",
    "Ranges of the augmentation": "skall's preset 'vinod2025': any rotation, both flips, scale by "
    f"up to 10 %, brightness by up to 20 %; for frozen trunks {FROZEN['augment_views']} views of "
    "each image, used in turn",
    "Which part was trained": "the parameter table proves it: the trunks of ResNet101V2 and "
    "DenseNet201 were frozen",
    "Dropout and weight decay": "none are mentioned, none are used",
    "Loss": "cross-entropy",
}


class ValidatedOnTest(ClassifierMixin, BaseEstimator):
    """A network that is validated, after every epoch, on the images that it will be tested on.

    This is the paper's flaw, made visible: nothing is chosen by it here.

    Parameters
    ----------
    network : skall.CNNClassifier
    images, labels
        Those of the test part.
    """

    def __init__(self, network, images, labels):
        self.network = network
        self.images = images
        self.labels = labels

    def fit(self, X, y):
        """Train on X and y, and watch the test part."""
        watched = clone(self.network).set_params(train_split=ValidSplit(SmallerGroup()))
        self.network_ = watched.fit(
            np.concatenate([X, self.images]),
            np.concatenate([y, self.labels]),
            groups=np.repeat(["train", "test"], [len(X), len(self.images)]),
        )
        self.classes_ = self.network_.classes_
        self.history_frame_ = self.network_.history_frame_
        return self

    def predict(self, X):
        """The more probable class."""
        return self.network_.predict(X)

    def predict_proba(self, X):
        """Probability of each class."""
        return self.network_.predict_proba(X)


class SmallerGroup:
    """A splitter that holds the smaller of two groups out."""

    def split(self, X, y=None, groups=None):
        """The one split."""
        codes, sizes = np.unique(groups, return_counts=True)
        if len(codes) < 2:
            raise ValueError("an image is both in the training and the test part; drop the copies")
        held = groups == codes[sizes.argmin()]
        yield np.flatnonzero(~held), np.flatnonzero(held)

    def get_n_splits(self, X=None, y=None, groups=None):
        """One."""
        return 1


def follow(task):
    """One split of 80 to 20, the fifth being both the validation and the test set.

    Returns
    -------
    table : DataFrame
    blocks : list of str and DataFrame
    """
    y, share = task.cells.target, float(task.published["test_share"])
    splitter = StratifiedShuffleSplit(1, test_size=share, random_state=task.seed)
    train, test = next(splitter.split(y, y))
    images, labels = task.cells.data[test], y[test]
    networks = {
        name: ValidatedOnTest(make_network(task, name), images, labels) for name in task.backbones
    }
    comparison = run_comparison(
        task, networks, scoring=METRICS, cv=[(train, test)], baselines=False
    )

    def estimate(metric, values):
        value = values.item()
        if metric != "accuracy":
            return value, np.nan, np.nan
        return value, *proportion_interval(round(value * len(test)), len(test))

    table = tabulate(comparison.scores_, METRICS, task.published["results"], estimate)
    by_name = comparison.history_.groupby("estimator")
    histories = {name: history.reset_index(drop=True) for name, history in by_name}
    return table, [
        f"{len(test)} test images, exact 95 % intervals (Clopper-Pearson); the mean squared error "
        "is the Brier score.",
        "## The last epoch",
        tabulate_last_epoch(task, histories),
        "## The test set is the validation set",
        explain_choice(task),
        tabulate_choice(task, histories),
        "## What the published numbers say",
        explain_published(task.published),
        "## Parameters",
        tabulate_parameters(task),
    ]


def make_network(task, name):
    """A network with what the paper gave it: its trainable part and its epochs."""
    published = task.published["results"][name]
    own = dict(FROZEN) if published["trainable"] == "head" else {}
    own["max_epochs"] = min(
        task.network["max_epochs"], published.get("epochs", task.network["max_epochs"])
    )
    return get_estimator(name, random_state=task.seed, **(task.network | own))


def tabulate_last_epoch(task, histories):
    """Accuracies and losses of training and validation, ours and published."""
    rows = {}
    for name in task.backbones:
        last, row = histories[name].iloc[-1], rows.setdefault(name, {})
        for part in ("train", "valid"):
            numbers = {"accuracy_percent": 100 * last[f"{part}_acc"], "loss": last[f"{part}_loss"]}
            for label, number in numbers.items():
                row[f"{part}_{label}"] = number
                row[f"{part}_{label}_published"] = quote(
                    task.published["results"][name], f"{part}_{label}"
                )
    return make_table(rows)


def tabulate_choice(task, histories):
    """Accuracy and loss on the test images by the epoch whose weights would be reported."""
    rows = {}
    for name in task.backbones:
        history = histories[name]
        tried = [n for n in task.published["epochs_tried"] if n <= len(history)]
        best = history["valid_loss"].idxmin()
        rows[name] = {
            **{f"accuracy_percent_after_{n}": 100 * history["valid_acc"][n - 1] for n in tried},
            "epochs": len(history),
            "accuracy_percent_last_epoch": 100 * history["valid_acc"].iloc[-1],
            "loss_last_epoch": history["valid_loss"].iloc[-1],
            "epoch_of_least_test_loss": best + 1,
            "accuracy_percent_then": 100 * history["valid_acc"][best],
            "loss_then": history["valid_loss"][best],
            "highest_accuracy_percent": 100 * history["valid_acc"].max(),
        }
    return drop_empty(make_table(rows))


def explain_choice(task):
    """What it means to validate on the test set."""
    same = [
        name
        for name, results in task.published["results"].items()
        if results["valid_loss"] == results["loss"]
    ]
    return (
        f"The published validation and test losses of {' and '.join(same)} are the same numbers. "
        "Watching the test set changes no weight, but whoever picks the epoch, the learning rate "
        "or the batch size by it reports the luckiest of several draws. How much that would gain "
        "here by the choice of the epoch alone, each line from one training:"
    )


def explain_published(published):
    """How wide and how consistent the published numbers are, as Markdown."""
    n = published["test_images"]
    low, high = proportion_interval(n, n)
    return (
        f"- {n} of {n} correct has an exact 95 % interval of {100 * low:.1f} to {100 * high:.0f} "
        f"%: {len(published['results'])} networks that all have it cannot be ranked.\n"
        "- The accuracies of the prose are not those of the reports, and the rows of MobileNetV2 "
        "and DenseNet201 are the same.\n"
        f"- VGG19's confusion matrix sums to {published['vgg19_confusion_matrix_sum']}, its "
        f"support to {published['vgg19_support']}.\n"
        "- Budgets were unequal: two trunks were frozen, and they came out best in the prose."
    )


def tabulate_parameters(task):
    """Parameters as Keras counts them, ours and published, and why they differ where they do."""
    size = task.published["image_size"]
    rows = {}
    for name in task.backbones:
        published = task.published["results"][name]
        known = published.get("difference", {})
        counted = get_estimator(
            name, head="mlp", image_size=size, trainable=published["trainable"]
        ).summary()
        row = rows[name] = {"trained": published["trainable"]}
        for count in COUNTS:
            row[count] = counted[count]
            row[f"{count}_published"] = published["parameters"][count]
        gaps = {count: row[count] - row[f"{count}_published"] for count in COUNTS}
        if not any(gaps.values()):
            row["difference"] = "none"
        elif gaps == {count: known.get(count, 0) for count in COUNTS}:
            listed = [f"{gap:+,} {count.replace('_', '-')}" for count, gap in gaps.items() if gap]
            row["difference"] = f"{', '.join(listed)}: {known['reason']}"
        else:
            row["difference"] = f"unexplained: {gaps}"
    return make_table(rows)


STUDY = Study(
    section="vinod2025",
    get_data=GET_DATA,
    network=NETWORK,
    metrics=METRICS,
    follow=follow,
    left_open=LEFT_OPEN,
    folds=False,
)

if __name__ == "__main__":
    reproduce(STUDY)
