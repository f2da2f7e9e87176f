"""Which differences between the estimators of a comparison are real, in words."""

from skall.metrics.names import describe_metric
from skall.statistics import summarise_differences
from skall.statistics.held_out import choose_metric, pivot_folds
from skall.statistics.pairs import EQUIVALENT, NO_DIFFERENCE, UNDECIDED
from skall.statistics.wording import describe_undecided, describe_unseen


def test_families(comparison, metric=None, alpha=0.05):
    """Tests among the estimators, and of each against the baselines.

    Two families of tests, each with Holm's adjustment: a question about the networks is not to
    lose power to those about the baselines.

    Parameters
    ----------
    comparison : Comparison
    metric : str, optional
        By default balanced_accuracy, or the first where that was not computed.
    alpha : float, default=0.05

    Returns
    -------
    families : list of DataFrame
        As :meth:`skall.comparison.Comparison.test` gives; none for a family without pairs.
    reason : str or None
        Why there are no tests, where folds do not allow them.

    Notes
    -----
    The tests are those that :meth:`skall.comparison.Comparison.test` makes by default. Folds that
    do not determine the metric, because they lack a class, are left out for all. An estimator that
    has no value where others have one is in no test.
    """
    metric = choose_metric(comparison.scores_, metric)
    known = _list_complete(comparison.scores_, metric)
    rivals, baselines = ([n for n in names if n in known] for names in comparison.split_names())
    families, options = [], {"metric": metric, "alpha": alpha}
    try:
        if len(rivals) > 1:
            families.append(comparison.test(names=rivals, **options))
        if rivals and baselines:
            names = rivals + baselines
            families.append(comparison.test(names=names, references=baselines, **options))
    except ValueError as exc:
        return [], str(exc)
    return families, None


def _list_complete(scores, metric):
    """The estimators that have a value in every fold that determines the metric."""
    folds = pivot_folds(scores, metric, scores["estimator"].unique())
    return {*folds.columns[folds.notna().all() & (len(folds) > 0)]}


# Not one that pytest should run where it is imported.
test_families.__test__ = False


def describe_differences(comparison, metric=None, alpha=0.05):
    """Sentences that say which differences are real.

    Parameters
    ----------
    comparison : Comparison
    metric : str, optional
    alpha : float, default=0.05

    Returns
    -------
    list of str
        Those of each family of :func:`test_families`.
    """
    families, reason = test_families(comparison, metric, alpha)
    if reason:
        return [f"Differences were not tested: {reason}."]
    rivals, baselines = comparison.split_names()
    sentences = []
    for tests in families:
        against = set(tests["estimator_b"]) <= {*baselines}
        sentences += (
            _describe_against(tests, rivals) if against else summarise_differences(tests, alpha)
        )
    return sentences


def _describe_against(tests, rivals):
    """What each estimator is, against the baselines: once for those that are alike."""
    said = _relate_all([tests], rivals)
    alike = {}
    for name in rivals:
        # As of one that failed in some folds.
        alike.setdefault(_write(said[name]) or "not tested", []).append(name)
    return [
        "Against the baselines: "
        + "; ".join(f"{', '.join(names)}: {text}" for text, names in alike.items())
        + "."
    ]


def conclude(comparison, metric=None, alpha=0.05):
    """For each estimator, what it is better and worse than.

    Parameters
    ----------
    comparison : Comparison
    metric : str, optional
    alpha : float, default=0.05

    Returns
    -------
    dict of str to str
        As ``"better than dummy; no difference shown to resnet18"``.
    """
    metric = choose_metric(comparison.scores_, metric)
    families, reason = test_families(comparison, metric, alpha)
    known = _list_complete(comparison.scores_, metric)
    said = _relate_all(families, comparison.scores_["estimator"].unique())
    empty = f"not tested: {reason}" if reason else "nothing to compare with"
    missing = f"not tested: {describe_metric(metric)} has no value in some folds"
    return {
        name: _write(relations, unseen=True) or (empty if name in known else missing)
        for name, relations in said.items()
    }


def _relate_all(families, names):
    """For each name the tests by what the name is to the others, as ``"better than"``."""
    found = {name: {} for name in names}
    for tests in families:
        for row in tests.itertuples():
            a, b = row.estimator_a, row.estimator_b
            for one, other in ((a, b), (b, a)):
                if one in found:
                    relation = _relate(row, one, other)
                    found[one].setdefault(relation, []).append((other, row))
    return found


def _write(relations, unseen=False):
    """Relations as a text, with the differences that would not be seen."""
    order = ["better than", "worse than", f"{EQUIVALENT} to", f"{NO_DIFFERENCE} to"]
    order += [relation for relation in relations if relation not in order]
    parts = []
    for relation in order:
        if relation in relations:
            others, rows = zip(*relations[relation], strict=True)
            parts.append(f"{relation} {', '.join(others)}")
            if unseen and rows[0].conclusion in (NO_DIFFERENCE, UNDECIDED):
                parts[-1] += describe_unseen(rows)
    return "; ".join(parts)


def _relate(row, one, other):
    if row.conclusion == f"{one} is better than {other}":
        return "better than"
    if row.conclusion == f"{other} is better than {one}":
        return "worse than"
    if row.conclusion == UNDECIDED:
        return f"{describe_undecided(row)} against"
    return f"{row.conclusion} to"
