"""Tests of two estimators over folds and patients, for many data sets at once.

Each takes a :class:`Sample` and gives two-sided p-values (b,). The difference that they test is the
same, the mean over the folds of a metric's difference: a sum over the patients of each class, with
their shares in it as weights.
"""

from dataclasses import dataclass

import numpy as np
from scipy import stats

from skall.statistics.patients import LEAST_PATIENTS, find_freedom, scale_deviations

N_RESAMPLES = 500
# Of the two classes' means; a pair of cells belongs to both classes.
SCALES = {"balanced_accuracy": 0.5, "roc_auc": 1.0}


@dataclass(frozen=True)
class Sample:
    """One metric of b data sets.

    `values` (b, n_patients) are differences of patients, `shares` (2, n_patients) their weights in
    the mean of their class, `scale` what a class's mean counts, `deviations` (b, n_patients) how
    far they lie from their class's mean, `folds` (b, n_folds) the folds' differences, `test_ratio`
    test over training cells, `swapped` (b, n_patients) what a patient's exchanged predictions
    change.
    """

    values: np.ndarray
    shares: np.ndarray
    scale: float
    deviations: np.ndarray
    folds: np.ndarray
    test_ratio: float
    swapped: np.ndarray
    rng: np.random.Generator

    @property
    def difference(self):
        return self.folds.mean(axis=1)

    def find_variances(self):
        """The jackknife's variance of each class's part, (2, b), and its degrees of freedom."""
        variances, freedoms = [], []
        for shares in self.shares:
            of_class = np.flatnonzero(shares)
            factors = scale_deviations(shares[of_class])
            variances.append(self.scale**2 * (self.deviations[:, of_class] ** 2 @ factors))
            freedoms.append(find_freedom(shares[of_class]))
        return np.array(variances), np.array(freedoms)

    def find_fold_variance(self):
        """Nadeau and Bengio's."""
        n_folds = self.folds.shape[1]
        return (1 / n_folds + self.test_ratio) * self.folds.var(axis=1, ddof=1)


def take_sample(results, metric, rng):
    """One metric of simulated results.

    Parameters
    ----------
    results : verdict_data.Results
    metric : {"balanced_accuracy", "roc_auc"}
    rng : numpy.random.Generator

    Returns
    -------
    Sample
    """
    values, scale = results.differences[metric], SCALES[metric]
    n_folds = results.folds.max() + 1
    by_fold = np.zeros((2, n_folds, len(results.sizes)))
    for label in (0, 1):
        for fold in range(n_folds):
            there = (results.classes == label) & (results.folds == fold)
            by_fold[label, fold, there] = results.sizes[there] / results.sizes[there].sum()
    of_classes = values @ by_fold.transpose(0, 2, 1)
    # For the AUC the two classes' means are the same number.
    folds = of_classes.mean(axis=0)
    n_test = np.bincount(results.folds, results.sizes)
    ratio = np.mean(n_test / (n_test.sum() - n_test))
    shares = by_fold.mean(axis=1)
    swapped = results.swapped[metric] * shares.sum(axis=0) * scale
    deviations = values - (values @ shares.T)[:, results.classes]
    if metric != "roc_auc":
        # Of what a fold's classes deviate by, only what they do not take from each other.
        in_fold = values - of_classes[results.classes, :, results.folds].T
        shifts = (folds - folds.mean(axis=1, keepdims=True)) / scale / np.sqrt(2)
        deviations = in_fold + shifts[:, results.folds]
    return Sample(values, shares, scale, deviations, folds, ratio, swapped, rng)


def _compare(difference, variance, freedom):
    """P-values of a t-test; no difference is none, whatever its variance."""
    with np.errstate(divide="ignore", invalid="ignore"):
        statistic = np.where(np.abs(difference) < 1e-12, 0, np.abs(difference) / np.sqrt(variance))
    return 2 * stats.t.sf(statistic, freedom)


def _match(variances, freedoms):
    """Satterthwaite's degrees of freedom of a sum of variances (k, b)."""
    total = variances.sum(axis=0)
    with np.errstate(divide="ignore", invalid="ignore"):
        freedom = total**2 / (variances**2 / freedoms[:, None]).sum(axis=0)
    return np.where(total > 0, freedom, freedoms.min())


def test_folds(sample):
    return _compare(sample.difference, sample.find_fold_variance(), sample.folds.shape[1] - 1)


def permute(sample):
    signs = sample.rng.choice([-1.0, 1.0], size=(N_RESAMPLES - 1, sample.values.shape[1]))
    observed = np.abs(sample.swapped.sum(axis=1))
    drawn = np.abs(sample.swapped @ signs.T)
    return (1 + (drawn >= observed[:, None] - 1e-9).sum(axis=1)) / N_RESAMPLES


def test_patients(sample):
    variances, freedoms = sample.find_variances()
    return _compare(sample.difference, variances.sum(axis=0), _match(variances, freedoms))


def test_patients_inflated(sample):
    """Nadeau and Bengio's factor on the patients' variance, and Satterthwaite's freedom."""
    variances, freedoms = sample.find_variances()
    return _compare(
        sample.difference, _inflate(sample) * variances.sum(axis=0), _match(variances, freedoms)
    )


def test_patients_of_rarest(sample):
    """The same with the freedom of the class that has the least; none of too few patients."""
    if (sample.shares > 0).sum(axis=1).min() < LEAST_PATIENTS:
        return np.ones(len(sample.values))
    variances, freedoms = sample.find_variances()
    variance = _inflate(sample) * variances.sum(axis=0)
    p_values = _compare(sample.difference, variance, freedoms.min())
    return np.maximum(p_values, 0.5 ** (sample.values.shape[1] - 1))


def _inflate(sample):
    return 1 + sample.folds.shape[1] * sample.test_ratio


def take_larger(sample):
    variances, freedoms = sample.find_variances()
    of_patients, of_folds = variances.sum(axis=0), sample.find_fold_variance()
    freedom = np.where(
        of_folds > of_patients, sample.folds.shape[1] - 1, _match(variances, freedoms)
    )
    return _compare(sample.difference, np.maximum(of_patients, of_folds), freedom)


def add_variances(sample):
    """The patients' variance and Nadeau and Bengio's correction of the folds'."""
    variances, freedoms = sample.find_variances()
    correction = sample.test_ratio * sample.folds.var(axis=1, ddof=1)
    variances = np.concatenate([variances, correction[None]])
    freedoms = np.append(freedoms, sample.folds.shape[1] - 1)
    return _compare(sample.difference, variances.sum(axis=0), _match(variances, freedoms))


def bootstrap(sample):
    """P-values of percentile, BCa and studentised intervals over patients drawn by class."""
    change, variance, skew, observed = 0.0, 0.0, 0.0, 0.0
    for shares in sample.shares:
        of_class = np.flatnonzero(shares)
        n, weights = len(of_class), shares[of_class]
        drawn = sample.rng.multinomial(n, np.full(n, 1 / n), size=N_RESAMPLES)
        deviations = sample.values[:, of_class] - sample.values @ shares[:, None]
        totals = drawn @ weights
        means = deviations @ (drawn * weights).T / totals
        squares = (
            deviations**2 @ (drawn * weights**2).T
            - 2 * means * (deviations @ (drawn * weights**2).T)
            + means**2 * (drawn @ weights**2)
        )
        change = change + sample.scale * means
        factor = sample.scale**2 * n / (n - 1)
        variance = variance + factor * np.maximum(squares, 0) / totals**2
        observed = observed + factor * (deviations**2 @ weights**2)
        skew = skew + sample.scale**3 * (deviations**3 @ weights**3)
    difference = sample.difference[:, None]
    below = _share_below(change + difference, 0)
    bias = stats.norm.ppf(_share_below(change, 0))
    reach = stats.norm.ppf(below) - bias
    with np.errstate(divide="ignore", invalid="ignore"):
        acceleration = np.nan_to_num(skew / (6 * observed**1.5))
        corrected = stats.norm.cdf(reach / (1 + acceleration * reach) - bias)
        drawn = np.nan_to_num(np.abs(change) / np.sqrt(variance))
        found = np.nan_to_num(np.abs(difference[:, 0]) / np.sqrt(observed))
    larger = (drawn >= found[:, None] - 1e-12).sum(axis=1)
    return {
        "bootstrap, percentile": 2 * np.minimum(below, 1 - below),
        "bootstrap, BCa": 2 * np.minimum(corrected, 1 - corrected),
        "bootstrap, studentised": (1 + larger) / (1 + N_RESAMPLES),
    }


def _share_below(drawn, value):
    """The share of resamples below a value, ties count half; never 0 or 1."""
    share = (drawn < value - 1e-12).mean(axis=1) + (np.abs(drawn - value) <= 1e-12).mean(axis=1) / 2
    return np.clip(share, 0.5 / N_RESAMPLES, 1 - 0.5 / N_RESAMPLES)


TESTS = {
    "corrected resampled t": test_folds,
    "permutation of patients": permute,
    "patients' t": test_patients,
    "patients' t, corrected": test_patients_inflated,
    "patients' t, corrected, rarest class": test_patients_of_rarest,
    "larger of both variances": take_larger,
    "patients' variance and folds' correction": add_variances,
}
# The test that skall has for its default.
CHOSEN = "patients' t, corrected, rarest class"


def find_p_values(sample):
    """The p-values (b,) of every test by its name."""
    return {name: test(sample) for name, test in TESTS.items()} | bootstrap(sample)
