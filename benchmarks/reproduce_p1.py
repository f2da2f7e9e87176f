"""Talupuri et al. (2025, doi 10.47836/pp.1.5.018): eight networks, ten folds, redone.

Prints the table of the paper's own protocol, or of an honest comparison of the same networks, with
our numbers beside the published ones.

    python benchmarks/reproduce_p1.py DATA [--honest]
    python benchmarks/reproduce_p1.py --quick
"""

from comparisons import cross_validate, describe_means
from paper_tables import read_published
from protocol import Study, reproduce

from skall import ImagePreprocessor
from skall.statistics import proportion_interval

CONTRAST = "autocontrast"
NETWORK = {
    "image_size": 224,
    "augment": "talupuri2025",
    "dropout": 0.2,
    "lr": 1e-4,
    "weight_decay": 0.01,
    "batch_size": 32,
    "lr_schedule": "plateau",
    "early_stopping": True,
    "validation_fraction": 0.1,
    "n_iter_no_change": 8,
    "max_epochs": 50,
}
GET_DATA = (
    "The paper does not name its images; balanced sets of single cells, healthy and leukaemic, are "
    "cut to its description. Public ones: C-NMC 2019 (CC BY 3.0, The Cancer Imaging Archive, "
    "https://doi.org/10.7937/tcia.2019.dc64i46r), with known patients, and ALL-IDB2 (130 + 130 "
    "cells, on request from its authors, https://scotti.di.unimi.it/all/)."
)
LEFT_OPEN = {
    "Images": "the set is not named; DATA stands in for it, and need not be as balanced",
    "Patients": "not mentioned; the folds are stratified by image, so that a patient may be on "
    "both sides of a split, which makes scores too good (--honest keeps patients together)",
    "Resizing": f"no size is given; {NETWORK['image_size']} pixels for every network",
    "Contrast enhancement": f"no method is given; {CONTRAST!r}, each channel stretched to the "
    "whole range, image by image",
    "Ranges of the augmentation": "skall's preset 'talupuri2025': any rotation, both flips, scale "
    "by up to 10 %, crops by up to 20 %",
    "Learning rate, batch size and dropout": "tuned, on images that are not named; "
    f"{NETWORK['lr']:g}, {NETWORK['batch_size']} and {NETWORK['dropout']}, not tuned",
    "Optimizer and L2 penalty": f"AdamW with a weight decay of {NETWORK['weight_decay']}",
    "Schedule": "divide by 10 when the validation loss has not fallen for 2 epochs",
    "Epochs": f"at most {NETWORK['max_epochs']}; early stopping after "
    f"{NETWORK['n_iter_no_change']} epochs without improvement, and the best epoch is kept",
    "What early stopping watched": f"{100 * NETWORK['validation_fraction']:.0f} % of the training "
    "fold here; the test fold chooses nothing",
    "F1": "of the leukaemic class; the paper does not say of which",
    "Head": "global average pooling, dropout, one linear layer",
}


def enhance_contrast(images, size):
    """Each image by itself, so that nothing passes from test images to training images."""
    return ImagePreprocessor(size, contrast=CONTRAST, memory=None).fit_transform(images)


def follow(task):
    """Ten folds at image level, as the paper has them.

    Returns
    -------
    table : DataFrame
    blocks : list of str
    """
    # Without groups, on purpose: the paper split by image.
    _, table = cross_validate(task, task.study.metrics, baselines=False)
    return table, [
        describe_means(task),
        "## What the published numbers say",
        explain_published(task.published),
    ]


def explain_published(published):
    """How wide the published numbers are, as Markdown."""
    n_hits, n = published["fitting_counts"]
    low, high = proportion_interval(n_hits, n)
    split = read_published()["literature"]["random_split"]
    return (
        f"- {published['results']['efficientnet_b3']['accuracy_percent']} % is {n_hits} of {n}, in "
        f"keeping with {published['folds']} folds of {n // published['folds']} images. If so, its "
        f"exact 95 % interval is {100 * low:.1f} to {100 * high:.1f} %, and the networks above "
        "95 % cannot be ranked.\n"
        "- A bound (>) is all that the paper gives for most networks, and for MobileNet nothing; "
        f"{', '.join(published['related'])} are named as related work alone.\n"
        f"- The split is by image: on C-NMC that adds about {split['auroc_gain']} to the AUROC "
        f"({split['source']})."
    )


STUDY = Study(
    section="talupuri2025",
    get_data=GET_DATA,
    network=NETWORK,
    metrics={"accuracy": "accuracy_percent", "f1": "f1"},
    follow=follow,
    left_open=LEFT_OPEN,
    prepare=enhance_contrast,
)

if __name__ == "__main__":
    reproduce(STUDY)
