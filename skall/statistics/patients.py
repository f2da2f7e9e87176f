"""Intervals and tests over patients, from the predictions of each while held out."""

from dataclasses import dataclass
from typing import Any

import numpy as np
from scipy import stats

from skall.statistics.significance import PairedResult, check_level, standardise

# With three patients of a class no test that `benchmarks/verdicts.py` tries keeps its level.
LEAST_PATIENTS = 4


def scale_deviations(shares):
    """What the squared deviations of a class's patients count in the jackknife's variance [1]_.

    Leaving out a patient with the share v of its class moves the class's mean by v / (1 - v) times
    the patient's deviation from it. The squares are added up as they are, which in the mean is not
    below the variance; the usual factor (n - 1) / n would let it be.

    Parameters
    ----------
    shares : ndarray of shape (n_patients,)
        In the mean of the class; they add up to 1.

    Returns
    -------
    ndarray of shape (n_patients,)

    References
    ----------
    .. [1] Tukey, "Bias and confidence in not-quite large samples", Annals of Mathematical
       Statistics 29, 1958; Efron & Stein, "The jackknife estimate of variance", Annals of
       Statistics 9, 1981, doi 10.1214/aos/1176345462.

    Examples
    --------
    >>> scale_deviations(np.array([0.25, 0.25, 0.25, 0.25])).round(4).tolist()
    [0.1111, 0.1111, 0.1111, 0.1111]
    """
    with np.errstate(divide="ignore"):
        return (shares / (1 - shares)) ** 2


def find_freedom(shares):
    """Degrees of freedom of a class's jackknife variance, after Bell and McCaffrey [1]_.

    Those of the chi-squared distribution with the same mean and variance, for patients of equal
    spread: n - 1 where their shares are equal, fewer where one of them has most.

    Parameters
    ----------
    shares : ndarray of shape (n_patients,)
        In the mean of the class; they add up to 1.

    Returns
    -------
    float
        0 for a single patient.

    References
    ----------
    .. [1] Bell & McCaffrey, "Bias reduction in standard errors for linear regression with
       multi-stage samples", Survey Methodology 28, 2002.

    Examples
    --------
    >>> float(round(find_freedom(np.full(8, 1 / 8)), 6)), float(find_freedom(np.array([1.0])))
    (7.0, 0.0)
    >>> float(round(find_freedom(np.array([0.5, 0.1, 0.1, 0.1, 0.1, 0.1])), 2))
    1.33
    """
    if len(shares) < 2:
        return 0.0
    # The variance is the sum of a times the square of (e - v)'x: moments of that quadratic form.
    v, a = shares, scale_deviations(shares)
    s = v @ v
    lengths = 1 - 2 * v + s
    total, first, second = a.sum(), a @ v, a @ v**2
    products = s**2 * total**2 - 4 * s * total * first + 2 * total * second + 2 * first**2
    squares = products + a**2 @ (lengths**2 - (s - 2 * v) ** 2)
    return float((a @ lengths) ** 2 / squares)


@dataclass(frozen=True)
class LeftOut:
    """A metric of all patients, and what it changes by without each of them.

    Attributes
    ----------
    value : float
    changes : ndarray of shape (n_left_out,)
        Its value without each patient, or block of patients, minus that of all.
    patients : Patients
    """

    value: float
    changes: np.ndarray
    patients: Any

    def __sub__(self, other):
        """The difference of two estimators' metric over the same patients."""
        return LeftOut(self.value - other.value, self.changes - other.changes, self.patients)

    def find_error(self):
        """The standard error; NaN where a class has a single patient.

        Returns
        -------
        float
        """
        # Sums in another order differ in the last bits, and a variance of 1e-32 proves nothing.
        changes = np.where(np.abs(self.changes) < 1e-12, 0, self.changes)
        if not np.isfinite(changes).all():
            return np.nan
        return float(np.sqrt(self.patients.inflation * (changes @ changes)))


def patient_t_interval(
    value: float, left_out: LeftOut, *, confidence_level: float = 0.95
) -> tuple[float, float]:
    """Interval of a metric by the patients, as :func:`patient_t_test` tests a difference.

    Parameters
    ----------
    value : float
        The mean over the folds.
    left_out : LeftOut
    confidence_level : float, default=0.95

    Returns
    -------
    low, high : float
        NaN where a class has a single patient. They may lie outside the range of the metric.
    """
    check_level(confidence_level, "confidence_level")
    half = left_out.find_error() * stats.t.isf(
        (1 - confidence_level) / 2, left_out.patients.freedom
    )
    return float(value - half), float(value + half)


def patient_t_test(
    difference: float, left_out: LeftOut, *, confidence_level: float = 0.95
) -> PairedResult:
    """Student's test of two estimators' difference by its spread over the patients.

    The variance is the jackknife's over patients, which are left out one after the other while
    every fold and class keeps its weight, so that one patient with half of all cells is not taken
    for many. It is multiplied by Nadeau and Bengio's correction for estimators that have learnt
    from other patients, 1 + n / n_train where n cells were tested [1]_. The degrees of freedom are
    those of the class with the fewest (see :func:`find_freedom`): about its patients less one.
    Chosen by simulation among tests over folds, over patients and mixtures of both, in
    `benchmarks/verdicts.py`: the most power of those whose errors stay at their level.

    Parameters
    ----------
    difference : float
        The mean over the folds of the first estimator's value minus the second one's.
    left_out : LeftOut
        Of the difference.
    confidence_level : float, default=0.95

    Returns
    -------
    PairedResult
        `p_value` is not below that of a test that exchanges the two estimators' predictions of
        whole patients, and NaN where a class has fewer than :data:`LEAST_PATIENTS`. With a single
        one, all is NaN but the difference.

    References
    ----------
    .. [1] Nadeau & Bengio, "Inference for the generalization error", Machine Learning 52, 2003,
       doi 10.1023/A:1024068626366: of k folds, (1 / k + n_test / n_train) of a fold's variance,
       which is 1 + k n_test / n_train times that of all patients.
    """
    check_level(confidence_level, "confidence_level")
    difference = 0.0 if abs(difference) < 1e-12 else float(difference)
    error = left_out.find_error()
    if np.isnan(error):
        return PairedResult(difference, np.nan, np.nan, np.nan, np.nan)
    low, high = patient_t_interval(difference, left_out, confidence_level=confidence_level)
    statistic = standardise(difference, error)
    p_value = 2 * stats.t.sf(abs(statistic), left_out.patients.freedom)
    least = 0.5 ** (left_out.patients.n_patients - 1)
    if left_out.patients.fewest < LEAST_PATIENTS:
        return PairedResult(difference, low, high, statistic, np.nan)
    return PairedResult(difference, low, high, statistic, float(min(1, max(p_value, least))))


def find_detectable(left_out: LeftOut, alpha: float = 0.05, power: float = 0.8) -> float:
    """The smallest true difference that :func:`patient_t_test` would mostly show.

    Parameters
    ----------
    left_out : LeftOut
        Of the difference.
    alpha : float, default=0.05
    power : float, default=0.8
        How often it would be shown.

    Returns
    -------
    float
        The standard error times the sum of Student's quantiles of ``1 - alpha / 2`` and `power`.
    """
    freedom = left_out.patients.freedom
    reach = stats.t.isf(alpha / 2, freedom) + stats.t.isf(1 - power, freedom)
    return float(left_out.find_error() * reach)
