"""Metrics of held-out predictions without each patient, and their jackknife variance."""

from dataclasses import dataclass, replace

import numpy as np
import pandas as pd

from skall.metrics import resolve_pos_label
from skall.metrics.formulas import evaluate_weighted, find_formula
from skall.statistics.held_out import list_classes, number_units, read_outcome
from skall.statistics.patients import LeftOut, find_freedom

# Where there are more patients, or cells of unknown ones, blocks of them are left out: the error is
# then known to some hundredths of itself, and 20,000 cells take seconds.
MOST_LEFT_OUT = 200
KEYS = ["repeat", "fold", "sample"]


@dataclass(frozen=True)
class Patients:
    """Who stands behind the metrics of some folds, and how they are left out.

    Attributes
    ----------
    cells : ndarray of shape (n_rows,)
        Column of `weights` for each row of predictions: rows of one fold, class and patient.
    weights : ndarray of shape (1 + n_left_out, n_cells)
        First of all patients, then without each. Every fold counts the same in every class.
    freedom : float
        Degrees of freedom of the variance.
    parts : dict of int to DataFrame
        By repeat the ``class``, ``fold`` and ``share`` in the mean of the class, indexed by who is
        left out; no repeat where some have several classes or folds.
    n_patients : int
    rarest : label
        The class of fewest patients.
    fewest : int
        Their number.
    unit : {"patient", "cell"}
        Cells stand for patients that are not known.
    inflation : float
        What the variance is multiplied by, because estimators have learnt from other patients.
    """

    cells: np.ndarray
    weights: np.ndarray
    freedom: float
    parts: dict
    n_patients: int
    rarest: object
    fewest: int
    unit: str
    inflation: float


class HeldOut:
    """Held-out predictions of estimators, with their metrics without each patient.

    Parameters
    ----------
    scores, predictions : DataFrame
        As :class:`skall.comparison.Comparison` holds them. Of predictions that do not hold every
        class nothing can be computed.
    pos_label : label, optional
        The positive class of two; without it nothing can be computed where it is needed.
    test_ratio : float, optional
        Number of test samples over number of training samples. By default as if every fold were
        trained on all samples it does not test; of a single fold as if on no end of them.
    """

    def __init__(
        self,
        scores: pd.DataFrame,
        predictions: pd.DataFrame,
        pos_label: object = None,
        test_ratio: float | None = None,
    ) -> None:
        self._rows: dict[str, pd.DataFrame] = {}
        self._plans: dict[frozenset, Patients] = {}
        self._found: dict[tuple[str, str], LeftOut | None] = {}
        try:
            self.classes, self.columns = list_classes(predictions)
            self.pos_label = resolve_pos_label(self.classes, pos_label)
        except ValueError:
            return
        sizes = predictions.drop_duplicates([*KEYS]).groupby(["repeat", "fold"]).size()
        self.n_folds, n_tested = len(sizes), predictions["sample"].nunique()
        if test_ratio is None:
            n_others = (n_tested - sizes).where(sizes < n_tested, np.inf)
            test_ratio = (sizes / n_others).mean()
        self.inflation = 1 + test_ratio * n_tested / sizes.mean()
        units = predictions.assign(patient=number_units(predictions))
        units["known"] = units["group"].notna() if "group" in units else False
        self._rows = {
            str(name): rows.sort_values(KEYS, kind="stable", ignore_index=True)
            for name, rows in units.groupby("estimator", sort=False)
        }
        known = scores[scores["value"].notna()]
        self._folds = {
            key: frozenset(zip(rows["repeat"], rows["fold"], strict=True))
            for key, rows in known.groupby(["estimator", "metric"])
        }

    def leave_out(self, name, metric):
        """A metric of an estimator in the folds where it has a value, without each patient.

        Parameters
        ----------
        name, metric : str

        Returns
        -------
        LeftOut or None
            None without a value or what it is computed from.
        """
        if (name, metric) not in self._found:
            self._found[name, metric] = self._leave_out(name, metric)
        return self._found[name, metric]

    def _leave_out(self, name, metric):
        if name not in self._rows or (name, metric) not in self._folds:
            return None
        folds = self._folds[name, metric]
        rows = self._rows[name]
        if len(folds) < self.n_folds:
            there = [fold in folds for fold in zip(rows["repeat"], rows["fold"], strict=True)]
            rows = rows[there].reset_index(drop=True)
        if folds not in self._plans:
            self._plans[folds] = plan_patients(rows, self.inflation)
        patients, repeats = self._plans[folds], rows["repeat"].to_numpy()
        is_ranking = find_formula(metric).needs == "ranking"
        values, changes = [], []
        for repeat in np.unique(repeats):
            there = repeats == repeat
            outcome = read_outcome(rows[there], self.classes, self.columns, self.pos_label)
            if not is_ranking:
                # Labels are counted by class; what shifts between the folds is cancelled below.
                outcome = replace(outcome, folds=None)
            cells = patients.cells[there]
            value, *without = evaluate_weighted([metric], outcome, cells, patients.weights)[:, 0]
            values.append(value)
            changes.append(np.array(without) - value)
            if not is_ranking and repeat in patients.parts:
                changes[-1] = cancel_shifts(changes[-1], patients.parts[repeat])
        value = np.mean(values)
        return None if np.isnan(value) else LeftOut(value, np.mean(changes, axis=0), patients)


def cancel_shifts(changes, parts):
    """Changes without what the classes of a fold take from each other.

    An estimator that sets its threshold lower in one fold than in another, as one that always says
    the commoner class of its training part, gains in one class what it loses in the other. Patients
    of a class would seem to differ by that, though the metric of no fold has changed.

    Parameters
    ----------
    changes : ndarray of shape (n_left_out,)
        Of a metric without each patient.
    parts : DataFrame
        As in :attr:`Patients.parts`.

    Returns
    -------
    ndarray of shape (n_left_out,)
        Each fold's deviation, the sum over its classes, is divided among them in equal parts; their
        squares have the same expectation where classes deviate independently.
    """
    if not np.isfinite(changes).all() or (parts["share"] == 1).any():
        return changes
    # To first order, what each patient adds to the metric.
    effects = parts.assign(effect=changes[parts.index] * (1 - parts["share"]))
    in_fold, in_part = effects.groupby("fold"), effects.groupby(["fold", "class"])
    n_classes = in_fold["class"].transform("nunique")
    shared = in_fold["effect"].transform("sum") / np.sqrt(n_classes)
    kept = parts["share"] / in_part["share"].transform("sum")
    effect = effects["effect"] + (shared - in_part["effect"].transform("sum")) * kept
    changed = changes.copy()
    changed[parts.index] = effect / (1 - parts["share"])
    return changed


def plan_patients(rows, inflation):
    """How patients are to be left out of some folds.

    Parameters
    ----------
    rows : DataFrame
        Predictions of one estimator with its patients' numbers in column ``patient``, and in
        ``known`` whether these are patients and not single cells.
    inflation : float

    Returns
    -------
    Patients
    """
    labels, classes = np.unique(rows["y_true"].to_numpy(), return_inverse=True)
    folds = rows.groupby(["repeat", "fold"]).ngroup().to_numpy()
    names, patients = np.unique(rows["patient"].to_numpy(), return_inverse=True)
    table = pd.DataFrame({"repeat": rows["repeat"], "fold": folds, "class": classes})
    table = table.assign(patient=patients).groupby(["repeat", "fold", "class", "patient"])
    cells, sizes = table.ngroup().to_numpy(), table.size().rename("size").reset_index()
    of_part = sizes.groupby(["fold", "class"])["size"].transform("sum")
    n_folds = sizes.groupby("class")["fold"].transform("nunique")
    # A cell of a small test part counts as much more as its part is smaller than others.
    of_class = sizes.groupby("class")["size"].transform("sum")
    weights = (of_class / n_folds / of_part).to_numpy()
    shares = np.zeros((len(labels), len(names)))
    np.add.at(shares, (sizes["class"], sizes["patient"]), sizes["size"] / of_part / n_folds)
    n_of_class = (shares > 0).sum(axis=1)
    rarest = int(n_of_class.argmin())
    blocks = _deal_blocks(shares, sizes)
    n_blocks = blocks.max() + 1
    block_shares = np.stack([np.bincount(blocks, row, n_blocks) for row in shares])
    without = blocks[sizes["patient"]] != np.arange(n_blocks)[:, None]
    return Patients(
        cells=cells,
        # Precisions are quotients of counts that are taken as 1 at least.
        weights=np.vstack([np.ones(len(sizes)), without]) * weights / weights.min(),
        freedom=min(find_freedom(row[row > 0]) for row in block_shares),
        parts=_list_parts(
            sizes.assign(block=blocks[sizes["patient"]], share=sizes["size"] / of_part)
        ),
        n_patients=len(names),
        rarest=labels[rarest],
        fewest=int(n_of_class[rarest]),
        unit="patient" if rows["known"].any() else "cell",
        inflation=inflation,
    )


def _list_parts(sizes):
    """Class, fold and share of each block, by the repeats where all have one of each."""
    parts = {}
    for repeat, rows in sizes.groupby("repeat"):
        blocks = rows.groupby("block")
        if (blocks[["class", "fold"]].nunique() == 1).all(axis=None):
            n_folds = rows.groupby("class")["fold"].transform("nunique")
            share = (rows["share"] / n_folds).groupby(rows["block"]).sum()
            parts[repeat] = blocks[["class", "fold"]].first().assign(share=share)
    return parts


def _deal_blocks(shares, sizes):
    """The block of each patient: one of its own, or where they are many one of its class's."""
    n_classes, n_patients = shares.shape
    if n_patients <= MOST_LEFT_OUT:
        return np.arange(n_patients)
    main = shares.argmax(axis=0)
    # In the order of the folds, so that no block is of one fold alone.
    first = sizes.groupby("patient")["fold"].min().to_numpy()
    order = np.lexsort((first, main))
    n_blocks = max(2, MOST_LEFT_OUT // n_classes)
    place = pd.Series(main[order]).groupby(main[order]).cumcount().to_numpy()
    blocks = np.empty(n_patients, dtype=int)
    blocks[order] = main[order] * n_blocks + place % n_blocks
    return np.unique(blocks, return_inverse=True)[1]
