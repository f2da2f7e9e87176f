"""Data sets of patients' cells, cross-validated by closed-form learners: thousands in seconds.

Each data set is drawn anew, patients and cells, and two linear discriminants are really trained and
tested over folds that keep patients together, so that the spread of folds and of training sets is
what it is and not what somebody assumed. Both estimators see features of their own that tell the
classes apart equally well, so that neither is expected to be better; or one sees better ones.
"""

import warnings
from dataclasses import dataclass

import numpy as np
from sklearn.model_selection import StratifiedGroupKFold


@dataclass(frozen=True)
class Design:
    """Patients of some sizes (cells each), the last `n_rare` of them of the rarer class."""

    name: str
    sizes: tuple
    n_rare: int
    n_folds: int


@dataclass(frozen=True)
class Contest:
    """What the two estimators see and how they learn.

    `own` and `shared` are numbers of features; `skill`, `rival_skill` and `shared_skill` distances
    between the classes' means in them; `patient` is the standard deviation of what a patient's
    cells have in common, where a cell's own is 1; `noise` is that of training, as a share of the
    learnt weights, as a network's seed would add. A `rival_skill` of None is a constant classifier.
    """

    name: str
    is_null: bool
    own: int = 6
    shared: int = 0
    skill: float = 1.6
    rival_skill: float | None = 1.6
    shared_skill: float = 0.0
    patient: float = 0.7
    noise: float = 0.0
    ridge: float = 0.1


@dataclass(frozen=True)
class Results:
    """Held-out results of b data sets, by patient.

    ``differences`` holds for each metric the first estimator's patient means minus the second's,
    (b, n_patients): of right labels for the balanced accuracy; for the ROC AUC of the share of the
    other class in the same fold that a cell is ordered rightly with. ``swapped`` holds what
    exchanging the two estimators' predictions of a patient changes.
    """

    differences: dict
    swapped: dict
    folds: np.ndarray
    classes: np.ndarray
    sizes: np.ndarray


UNEQUAL = (12, 20, 20, 28, 35, 40, 40, 50, 60, 70, 25)
DESIGNS = (
    Design("6 patients (3 and 3), 3 folds", (20,) * 6, 3, 3),
    Design("8 unequal (4 and 4), 3 folds", (10, 15, 20, 40) * 2, 4, 3),
    Design("12 of 100 cells (6 and 6), 3 folds", (100,) * 12, 6, 3),
    Design("14 unequal (11 and 3), 3 folds", (*UNEQUAL, 30, 45, 60), 3, 3),
    Design("14 unequal (7 and 7), 5 folds", (10, 15, 20, 30, 40, 50, 60) * 2, 7, 5),
    Design("14, one of them half (7 and 7), 5 folds", (*(10,) * 6, 130, *(10,) * 7), 7, 5),
    Design("20 of 5 cells (10 and 10), 10 folds", (5,) * 20, 10, 10),
    Design("20 unequal (10 and 10), 5 folds", (5, 10, 20, 30, 50) * 4, 10, 5),
    Design("24 of 10 cells (12 and 12), 3 folds", (10,) * 24, 12, 3),
    Design("30 unequal (24 and 6), 5 folds", (5, 10, 20, 30, 40, 60) * 5, 6, 5),
    Design("30 unequal (20 and 10), 10 folds", (10, 20, 30) * 10, 10, 10),
    Design("60 of 5 cells (30 and 30), 10 folds", (5,) * 60, 30, 10),
    Design("60 unequal (54 and 6), 5 folds", (5, 10, 15, 20, 25, 30) * 10, 6, 5),
    Design("60 unequal (40 and 20), 3 folds", (8, 12) * 30, 20, 3),
    Design("200 cells, each by itself (120 and 80), 5 folds", (1,) * 200, 80, 5),
)
CONTESTS = (
    Contest("equal", True),
    Contest("equal, predictions alike", True, 2, 6, 0.8, 0.8, 1.4),
    Contest("equal, training varies", True, 24, patient=1.0, ridge=0.01),
    Contest("equal, noisy training", True, noise=1.0),
    Contest("equal, noisy training, alike", True, 1, 7, 0.0, 0.0, 2.0, 0.4, 0.7),
    Contest("equal, nearly perfect", True, skill=5.0, rival_skill=5.0),
    Contest("nothing learnt beside a constant", True, skill=0.0, rival_skill=None),
    Contest("a little better", False, rival_skill=1.0),
    Contest("much better", False, skill=3.0, rival_skill=1.0),
    Contest("better, predictions alike", False, 2, 6, 2.2, 0.0, 1.2),
    Contest("much better, noisy training", False, skill=3.0, rival_skill=1.0, noise=1.0),
    Contest("learnt beside a constant", False, skill=2.0, rival_skill=None),
)
# Numbers in the largest array of features.
CHUNK = 3_000_000


def simulate(design, contest, n_sets, seed):
    """Draw, train and test.

    Parameters
    ----------
    design : Design
    contest : Contest
    n_sets : int
        Data sets.
    seed : int

    Yields
    ------
    Results
        Of some of the data sets, which share their folds.
    """
    rng = np.random.default_rng(seed)
    n_patients, n_cells = len(design.sizes), sum(design.sizes)
    patients = np.repeat(np.arange(n_patients), design.sizes)
    classes = (patients < n_patients - design.n_rare).astype(int)
    starts = np.flatnonzero(np.diff(patients, prepend=-1))
    chunk = max(8, CHUNK // (n_cells * 2 * (contest.own + contest.shared)))
    for start in range(0, n_sets, chunk):
        size = min(chunk, n_sets - start)
        folds = _deal(classes, patients, design.n_folds, rng)
        scores = _run(contest, size, patients, classes, folds, rng)
        right = [(score > 0) == (classes == 1) for score in scores]
        place, swapped = _place(scores, classes, folds)
        change = right[0].astype(float) - right[1]

        def average(values):
            return np.add.reduceat(values, starts, axis=1) / design.sizes

        yield Results(
            {"balanced_accuracy": average(change), "roc_auc": average(place[0] - place[1])},
            {"balanced_accuracy": average(change), "roc_auc": average(swapped)},
            folds[starts],
            classes[starts],
            np.array(design.sizes),
        )


def _deal(classes, patients, n_folds, rng):
    """The fold of each cell; every fold holds both classes."""
    folds = np.empty(len(classes), dtype=int)
    for _ in range(200):
        splitter = StratifiedGroupKFold(n_folds, shuffle=True, random_state=rng.integers(2**31))
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            for fold, (_, test) in enumerate(splitter.split(classes, classes, patients)):
                folds[test] = fold
        held = np.bincount(folds * 2 + classes, minlength=2 * n_folds)
        if held.all():
            return folds
    raise ValueError("no folds with both classes were found")


def _run(contest, size, patients, classes, folds, rng):
    """Held-out scores of both estimators, (size, n_cells) each; positive for class 1."""

    def draw(n_features, skill):
        features = rng.normal(size=(size, len(patients), n_features))
        effects = rng.normal(size=(size, patients[-1] + 1, n_features))
        features += contest.patient * effects[:, patients]
        features += skill * (classes - 0.5)[:, None] / np.sqrt(max(n_features, 1))
        return features

    shared, scores = draw(contest.shared, contest.shared_skill), []
    for skill in (contest.skill, contest.rival_skill):
        if skill is None:
            scores.append(np.zeros((size, len(patients))))
            continue
        features = np.concatenate([draw(contest.own, skill), shared], axis=2)
        scores.append(_cross_validate(features, classes, folds, contest, rng))
    return scores


def _cross_validate(features, classes, folds, contest, rng):
    """Scores of linear discriminants, trained for each fold on the others."""
    n_folds, n_features = folds.max() + 1, features.shape[2]
    sums, products, counts = [], [], []
    for fold in range(n_folds):
        for label in (0, 1):
            part = features[:, (folds == fold) & (classes == label)]
            sums.append(part.sum(axis=1))
            products.append(part.transpose(0, 2, 1) @ part)
            counts.append(part.shape[1])
    shape = (n_folds, 2, len(features), n_features)
    sums, products = np.reshape(sums, shape), np.reshape(products, (*shape, n_features))
    counts = np.reshape(counts, (n_folds, 2, 1, 1))
    scores = np.empty(features.shape[:2])
    for fold in range(n_folds):
        n_train = counts.sum(axis=0) - counts[fold]
        means = (sums.sum(axis=0) - sums[fold]) / n_train
        moments = (products.sum(axis=0) - products[fold]) / n_train[..., None]
        spread = (moments - means[..., :, None] * means[..., None, :]).mean(axis=0)
        spread += contest.ridge * np.eye(n_features)
        weights = np.linalg.solve(spread, (means[1] - means[0])[..., None])[..., 0]
        offset = -np.einsum("bp,bp->b", weights, means.mean(axis=0))
        length = contest.noise * np.linalg.norm(weights, axis=1)
        weights += length[:, None] * rng.normal(size=weights.shape) / np.sqrt(n_features)
        offset += 0.5 * length * rng.normal(size=len(offset))
        rows = folds == fold
        scores[:, rows] = np.einsum("bnp,bp->bn", features[:, rows], weights) + offset[:, None]
    return scores


def _place(scores, classes, folds):
    """How rightly each cell is ordered among the other class of its fold.

    Returns the shares of both estimators, and half of what a swap of their ranks changes.
    """
    place, swapped = np.empty((2, *scores[0].shape)), np.empty(scores[0].shape)
    for fold in range(folds.max() + 1):
        rows = np.flatnonzero(folds == fold)
        positive = classes[rows] == 1
        a, b = (_rank(score[:, rows]) for score in scores)
        for own, other, sign in ((positive, ~positive, 1), (~positive, positive, -1)):
            aa, bb = _win(a[:, own], a[:, other]), _win(b[:, own], b[:, other])
            ab, ba = _win(a[:, own], b[:, other]), _win(b[:, own], a[:, other])
            for number, shares in enumerate((aa, bb)):
                place[number][:, rows[own]] = shares if sign > 0 else 1 - shares
            # Patients that both give up or keep their predictions, or one of two: linear in signs.
            swapped[:, rows[own]] = sign * (aa - bb + ab - ba) / 2
    return place, swapped


def _rank(scores):
    """Ranks within the fold, which the two estimators have in common; ties share one."""
    ranks = np.empty(scores.shape)
    order = np.arange(scores.shape[1], dtype=float)
    np.put_along_axis(ranks, scores.argsort(axis=1), order[None], axis=1)
    return np.where(np.ptp(scores, axis=1, keepdims=True) > 0, ranks, order.mean())


def _win(own, other):
    """The share of the others that each of its own lies above; ties count half."""
    shares = np.empty(own.shape)
    for row, (mine, theirs) in enumerate(zip(own, np.sort(other, axis=1), strict=True)):
        sides = (np.searchsorted(theirs, mine, side) for side in ("left", "right"))
        shares[row] = sum(sides) / 2
    return shares / other.shape[1]
