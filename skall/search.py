"""Searches for parameter values, with the images of a patient in one part."""

import math
import warnings
from collections.abc import Callable, Mapping, Sequence
from contextlib import contextmanager
from numbers import Integral
from typing import Any, Literal

import numpy as np
from sklearn.base import BaseEstimator, clone
from sklearn.exceptions import FitFailedWarning
from sklearn.experimental import enable_halving_search_cv  # noqa: F401
from sklearn.model_selection import GridSearchCV, HalvingRandomSearchCV, RandomizedSearchCV

from skall.backbones.registry import get_backbone
from skall.classifier import CNNClassifier
from skall.classifier.parameters import VALUES
from skall.environment.extras import import_extra
from skall.environment.randomness import draw_seed
from skall.model_selection.splitting import CompleteGroupKFold, CompleteKFold, ThinnedFolds
from skall.validation.constraints import check_values

# What each strategy samples from besides lists, recognised by a method.
DISTRIBUTIONS = {"grid": (), "halving": ("rvs",), "optuna": ("to_external_repr",)}


def make_search(
    estimator: BaseEstimator,
    space: Mapping[str, Any],
    *,
    strategy: Literal["grid", "halving", "optuna"] = "grid",
    trials: int | None = None,
    cv: int = 3,
    scoring: str | Callable[..., float] = "balanced_accuracy",
    grouped: bool = False,
    random_state: int | np.random.RandomState | None = None,
) -> GridSearchCV | HalvingRandomSearchCV | RandomizedSearchCV:
    """Make a scikit-learn search over an estimator's parameters.

    Parameters
    ----------
    estimator : classifier
        The classifier or pipeline, which is not changed.
    space : dict of str to list
        The values of each parameter. Besides lists, ``"halving"`` takes distributions of
        scipy.stats, and ``"optuna"`` those of optuna.distributions.
    strategy : {"grid", "halving", "optuna"}, default="grid"
        ``"grid"``: :class:`~sklearn.model_selection.GridSearchCV`, all combinations.
        ``"halving"``: :class:`~sklearn.model_selection.HalvingRandomSearchCV` [1]_, which drops two
        thirds of the candidates in each round and trains the others for three times as many
        epochs, at most the estimator's ``max_epochs``. The resource is samples instead of epochs if
        the estimator has no ``max_epochs``, if `space` has it, or if the estimator uses
        ``warmup_epochs`` or ``unfreeze_after``.
        ``"optuna"``: :class:`OptunaSearch`.
    trials : int, optional
        Number of combinations to try: required for ``"optuna"`` and for distributions, by default
        all of them for ``"halving"``, and not allowed for ``"grid"``.
    cv : int, default=3
        Number of folds, which are shuffled; fewer if a class has too few samples (groups) to be in
        every part, because a metric on a fold without a class is not comparable.
    scoring : str or callable, default="balanced_accuracy"
        As in scikit-learn; greater is better.
    grouped : bool, default=False
        Split with :class:`~skall.model_selection.splitting.CompleteGroupKFold`, by the
        groups that ``fit`` is given, instead of
        :class:`~skall.model_selection.splitting.CompleteKFold`.
        ``search.fit(X, y, groups=groups)`` passes them to this split;
        :func:`skall.routing.fit_with_groups` also passes them to the estimator's own ``fit``, which
        needs them for early stopping.
    random_state : int, RandomState or None, default=None
        Seed of the folds and of the candidates; the estimator has its own.

    Returns
    -------
    search : GridSearchCV, HalvingRandomSearchCV or OptunaSearch
        The unfitted search. Once fitted, it predicts with the best parameters, fitted to all
        samples. A candidate that fails gives a warning and ranks last; ``"optuna"`` leaves it out.

    Raises
    ------
    ValueError, TypeError
        If a parameter, value, strategy or number of trials is not possible.
    ImportError
        If the strategy is ``"optuna"`` and Optuna is not installed.

    References
    ----------
    .. [1] Jamieson & Talwalkar, "Non-stochastic Best Arm Identification and Hyperparameter
       Optimization", AISTATS 2016, arXiv:1502.07943.

    Examples
    --------
    >>> from sklearn.datasets import make_classification
    >>> from sklearn.linear_model import LogisticRegression
    >>> X, y = make_classification(random_state=0)
    >>> search = make_search(LogisticRegression(), {"C": [1e-6, 1.0]}, random_state=0)
    >>> search.fit(X, y).best_params_
    {'C': 1.0}
    """
    if strategy not in DISTRIBUTIONS:
        raise ValueError(
            f"unknown strategy {strategy!r}; possible are {', '.join(map(repr, DISTRIBUTIONS))}"
        )
    _check_space(estimator, space, strategy)
    trials = _check_trials(space, strategy, trials)
    seed = draw_seed(random_state)
    splitter = CompleteGroupKFold if grouped else CompleteKFold
    options = {"scoring": scoring, "cv": splitter(cv, random_state=seed)}
    if strategy == "grid":
        return GridSearchCV(estimator, space, **options)
    options["random_state"] = seed
    if strategy == "optuna":
        _import_optuna()
        return OptunaSearch(estimator, space, n_iter=trials, **options)
    return _make_halving(estimator, space, trials, options)


def _make_halving(estimator, space, trials, options):
    params = estimator.get_params()
    epochs = params.get("max_epochs")
    counted = {"unfreeze_after", "warmup_epochs"}
    needs_many = any(params.get(name) for name in counted)
    if epochs is not None and not needs_many and not {"max_epochs", *counted} & {*space}:
        options |= {"resource": "max_epochs", "max_resources": epochs}
    return HalvingSearch(
        estimator,
        space,
        n_candidates=trials,
        min_resources="exhaust",
        return_train_score=False,
        **options,
    )


class HalvingSearch(HalvingRandomSearchCV):
    """A halving search that scores on whole test parts, also where samples are the resource.

    It has the parameters of :class:`~sklearn.model_selection.HalvingRandomSearchCV`; see
    :class:`~skall.model_selection.splitting.ThinnedFolds`.
    """

    # scikit-learn calls this once; each round has its own splitter.
    def _run_search(self, evaluate_candidates, *, callback_ctx):
        def evaluate(candidates, cv, **options):
            if self.resource == "n_samples":
                cv = ThinnedFolds(cv.base_cv, cv.fraction, cv.random_state)
            return evaluate_candidates(candidates, cv, **options)

        super()._run_search(evaluate, callback_ctx=callback_ctx)


class OptunaSearch(RandomizedSearchCV):
    """A randomised search in which Optuna proposes each candidate from the earlier scores.

    It is :class:`~sklearn.model_selection.RandomizedSearchCV` with candidates from Optuna's
    tree-structured Parzen estimator [1]_, [2]_. Unlike ``optuna_integration.OptunaSearchCV``, it
    reports the errors of its candidates, supports scikit-learn's metadata routing, which passes
    groups to the estimator's ``fit``, and trains no combination twice. It needs the extra
    ``search``.

    Parameters
    ----------
    estimator, scoring, n_jobs, refit, cv, verbose, error_score, return_train_score
        As in :class:`~sklearn.model_selection.RandomizedSearchCV`; `scoring` is one metric.
    param_distributions : dict of str to list or optuna distribution
        The values of each parameter.
    n_iter : int, default=10
        Number of proposals. Repeated ones are not trained again, so ``cv_results_`` may be shorter.
    random_state : int, RandomState or None, default=None
        Seed of the proposals.

    References
    ----------
    .. [1] Bergstra et al., "Algorithms for Hyper-Parameter Optimization", NeurIPS 2011.
    .. [2] Akiba et al., "Optuna: A Next-generation Hyperparameter Optimization Framework", KDD
       2019, doi 10.1145/3292500.3330701.
    """

    # RandomizedSearchCV calls this once.
    def _run_search(self, evaluate_candidates):
        optuna = _import_optuna()
        space = self.param_distributions
        # Positions instead of values: Optuna's categories can only be texts and numbers.
        distributions = {
            name: optuna.distributions.CategoricalDistribution(range(len(values)))
            if is_list(values)
            else values
            for name, values in space.items()
        }
        sampler = optuna.samplers.TPESampler(seed=draw_seed(self.random_state))
        with _silent(optuna):
            study = optuna.create_study(direction="maximize", sampler=sampler)
        known, failure = {}, None
        for _ in range(self.n_iter):
            trial = study.ask(distributions)
            proposal = tuple(trial.params.items())
            if proposal not in known:
                candidate = {
                    name: space[name][value] if is_list(space[name]) else value
                    for name, value in proposal
                }
                try:
                    known[proposal] = evaluate_candidates([candidate])["mean_test_score"][-1]
                except ValueError as exc:
                    # scikit-learn's message if every fit of a candidate fails.
                    if self.error_score == "raise" or "fits failed" not in str(exc):
                        raise
                    failure = exc
                    known[proposal] = np.nan
                    warnings.warn(f"{candidate} failed: {exc}", FitFailedWarning, stacklevel=2)
            score = known[proposal]
            if np.isfinite(score):
                study.tell(trial, score)
            else:
                study.tell(trial, state=optuna.trial.TrialState.FAIL)
        if not np.isfinite(list(known.values())).any():
            raise failure or ValueError("no candidate has a finite score")


@contextmanager
def _silent(optuna):
    """Keep Optuna from announcing each study."""
    level = optuna.logging.get_verbosity()
    optuna.logging.set_verbosity(optuna.logging.WARNING)
    try:
        yield
    finally:
        optuna.logging.set_verbosity(level)


def _import_optuna():
    return import_extra("optuna", "search", "strategy='optuna'")


def is_list(values: object) -> bool:
    """Check whether values are listed, and not a distribution."""
    return isinstance(values, (Sequence, np.ndarray)) and not isinstance(values, str)


def _check_space(estimator, space, strategy):
    """Check that the estimator has the parameters and accepts their values."""
    if not isinstance(space, Mapping) or not space:
        raise TypeError(
            f"what is searched must be a dict of parameters and lists of values, as "
            f"{{'lr': [1e-4, 1e-3]}}; got {space!r}"
        )
    for name, values in space.items():
        known = any(hasattr(values, method) for method in DISTRIBUTIONS[strategy])
        if not (is_list(values) or known):
            raise TypeError(
                f"{name}: strategy={strategy!r} cannot search {values!r}; give a list of values"
            )
        if is_list(values) and len(values) == 0:
            raise ValueError(f"{name}: the list of values is empty")
        for value in values if is_list(values) else ():
            candidate = clone(estimator).set_params(**{name: value})
            if isinstance(candidate, CNNClassifier):
                get_backbone(candidate.backbone)
                check_values(candidate, VALUES)


def _check_trials(space, strategy, trials):
    """Check the number of combinations to try, and compute the default."""
    finite = all(is_list(values) for values in space.values())
    size = math.prod(len(values) for values in space.values()) if finite else math.inf
    if strategy == "grid":
        if trials is not None:
            raise ValueError(
                f"strategy='grid' tries all {size} combinations; leave out the number of trials, "
                "or choose 'halving' or 'optuna'"
            )
        return size
    if trials is None:
        if strategy == "optuna" or not finite:
            raise ValueError(f"strategy={strategy!r} needs the number of trials")
        return size
    if not isinstance(trials, Integral) or isinstance(trials, bool) or trials < 1:
        raise ValueError(f"the number of trials must be an integer of at least 1, got {trials!r}")
    if trials > size:
        raise ValueError(
            f"{trials} trials are more than there are combinations, {size}; strategy='grid' tries "
            "all of them"
        )
    return int(trials)
