"""The jobs of a comparison, each an estimator on a fold, run by this process or by workers."""

import os
import warnings
from contextlib import contextmanager
from threading import RLock

from joblib import Parallel, delayed, effective_n_jobs
from joblib.parallel import get_active_backend

from skall.comparison.estimators import (
    get_final_estimator,
    list_networks,
    make_estimator,
    shared_cache,
)
from skall.comparison.evaluation import evaluate_fold, make_failure
from skall.comparison.progress import Progress, watch
from skall.environment.allocator import tune_allocator
from skall.images.depth import DepthWarning

# Locked while this process evaluates a fold.
_EVALUATING = RLock()
_REASON = (
    "training draws from random generators that threads of a process share, so that the results of "
    "folds would depend on each other"
)


def check_backend(n_jobs):
    """Raise where joblib's backend would run several folds in one process, or in none."""
    if n_jobs == 0:
        raise ValueError("n_jobs=0: give a number of worker processes, or -1 for one a core")
    backend, _ = get_active_backend()
    client = getattr(backend, "client", None)
    if client is not None and hasattr(client, "nthreads"):
        threads = max(client.nthreads().values(), default=1)
        if threads > 1:
            raise ValueError(
                f"a worker of Dask has {threads} threads, and {_REASON}: start workers with one, "
                "as LocalCluster(n_workers=2, threads_per_worker=1) or dask worker --nthreads 1"
            )
    elif getattr(backend, "supports_sharedmem", False) and effective_n_jobs(n_jobs) > 1:
        raise ValueError(
            f"joblib's backend {type(backend).__name__} runs folds in threads, and {_REASON}: use "
            "processes, as joblib.parallel_config(backend='loky') or none at all, or n_jobs=1"
        )


def run_jobs(plan, *, record, tracker, n_jobs, error_score, verbose):
    """The results of all jobs in the order of ``plan.jobs``, of which stored ones are read."""
    jobs = plan.jobs
    results = [record and record.read(*job, plan.has_network(job[0])) for job in jobs]
    done = [number for number, result in enumerate(results) if result is not None]
    if len(done) < len(jobs):
        plan.check_pixels(memory=record.cache if record else "auto")
    if tracker:
        for number in done:
            tracker.log_fold(*jobs[number], results[number])
    with Progress(jobs, [jobs[number] for number in done], verbose) as progress:
        # The epochs of other processes cannot be watched.
        watcher = progress.watcher if effective_n_jobs(n_jobs) == 1 else None
        tasks = [
            delayed(_run_job)(
                number,
                name,
                fold=fold,
                record=record,
                caller=os.getpid(),
                error_score=error_score,
                candidate=plan.candidates[name],
                seed=plan.get_seed(name, fold),
                search=plan.search,
                watcher=watcher,
                **plan.shared,
            )
            for number, (name, fold) in enumerate(jobs)
            if results[number] is None
        ]
        for number, result in Parallel(n_jobs=n_jobs, return_as="generator_unordered")(tasks):
            results[number] = result
            progress.update(*jobs[number])
            if tracker:
                tracker.log_fold(*jobs[number], result)
    return results


def _run_job(number, name, *, caller, **options):
    """The number of a job, and its result."""
    if os.getpid() != caller:
        # Only in workers: the allocator of the user's process is left as it is.
        tune_allocator()
    with alone_in_process():
        return number, _evaluate(name, **options)


@contextmanager
def alone_in_process():
    """Raise RuntimeError where another thread of this process evaluates a fold meanwhile."""
    if not _EVALUATING.acquire(blocking=False):
        raise RuntimeError(
            f"two threads of a process work on folds at once, and {_REASON}: give every worker a "
            "process of its own with a single thread"
        )
    try:
        yield
    finally:
        _EVALUATING.release()


def _evaluate(name, *, fold, record, error_score, candidate, seed, search, watcher, **options):
    """The result of an estimator on a fold, stored unless the estimator has failed."""
    try:
        # Copied here, so that a fitted copy lives no longer than its fold.
        estimator = make_estimator(candidate, seed, search)
        if watcher:
            for network in list_networks(estimator):
                watch(network, watcher)
        with warnings.catch_warnings(), shared_cache(record and record.cache, estimator):
            # Given once, when the images were checked.
            warnings.simplefilter("ignore", DepthWarning)
            result = evaluate_fold(estimator, fold=fold, **options)
    except Exception as exc:
        if error_score == "raise":
            exc.add_note(f"raised by the estimator {name!r} in {fold.title}")
            raise
        # Not stored: the next call tries again.
        return make_failure(exc, options["scoring"])
    if record:
        record.write(name, fold, result, get_final_estimator(estimator))
    return result
