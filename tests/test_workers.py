"""Work in other processes: spawned, as on macOS and Windows; not in threads of one process."""

import multiprocessing
import pickle
from concurrent.futures import ThreadPoolExecutor

import joblib
import numpy as np
import pytest
import torch
from sklearn.datasets import make_classification
from sklearn.linear_model import LogisticRegression

from skall import CNNClassifier, compare
from skall.comparison import workers
from skall.datasets import make_blood_cells

PARAMS = {"weights": None, "image_size": 32, "max_epochs": 1, "random_state": 0}


def _fit_and_predict(n_threads):
    torch.set_num_threads(n_threads)
    cells = make_blood_cells(16, n_patients=4, image_size=32, random_state=0)
    net = CNNClassifier("timm/test_resnet", **PARAMS).fit(cells.data, cells.target)
    return pickle.dumps(net), net.predict_proba(cells.data)


@pytest.mark.thorough
def test_a_spawned_process_computes_the_same():
    with multiprocessing.get_context("spawn").Pool(1) as pool:
        pickled, there = pool.apply(_fit_and_predict, [torch.get_num_threads()])
    _, here = _fit_and_predict(torch.get_num_threads())
    np.testing.assert_array_equal(there, here)
    cells = make_blood_cells(16, n_patients=4, image_size=32, random_state=0)
    np.testing.assert_array_equal(pickle.loads(pickled).predict_proba(cells.data), here)


@pytest.mark.thorough
def test_batches_can_be_read_by_spawned_workers():
    cells = make_blood_cells(16, n_patients=4, image_size=32, random_state=0)
    for trainable in ("all", "head"):
        net = CNNClassifier(
            "timm/test_resnet",
            trainable=trainable,
            iterator_train__num_workers=1,
            iterator_train__multiprocessing_context="spawn",
            **PARAMS,
        )
        alone = CNNClassifier("timm/test_resnet", trainable=trainable, **PARAMS)
        np.testing.assert_array_equal(
            net.fit(cells.data, cells.target).predict_proba(cells.data),
            alone.fit(cells.data, cells.target).predict_proba(cells.data),
        )


@pytest.mark.parametrize("n_jobs", [2, None])
def test_folds_in_threads_are_refused(n_jobs):
    """They share torch's random generator, and changed each other's results without a word."""
    expected = "ThreadingBackend runs folds in threads.*backend='loky'"
    with joblib.parallel_config("threading", n_jobs=2), pytest.raises(ValueError, match=expected):
        compare_numbers(n_jobs=n_jobs)


@pytest.mark.parametrize("backend", ["threading", "loky", "sequential"])
def test_one_fold_at_a_time_is_possible_with_any_backend(backend):
    with joblib.parallel_config(backend):
        comparison = compare_numbers(n_jobs=1)
    assert comparison.scores_["value"].notna().all()


class Cluster:
    """Workers of Dask, with these threads."""

    supports_sharedmem = False

    def __init__(self, *threads):
        self.client = self
        self.threads = threads

    def nthreads(self):
        return {f"tcp://worker:{number}": n for number, n in enumerate(self.threads)}


def test_workers_of_dask_with_several_threads_are_refused(monkeypatch):
    for backend in (Cluster(1, 1), Cluster()):
        monkeypatch.setattr(workers, "get_active_backend", lambda b=backend: (b, 2))
        workers.check_backend(2)
    monkeypatch.setattr(workers, "get_active_backend", lambda: (Cluster(1, 2), 2))
    with pytest.raises(ValueError, match=r"Dask has 2 threads.*threads_per_worker=1"):
        compare_numbers()


def test_a_process_works_on_one_fold_at_a_time():
    """Whatever backend starts the threads; a comparison inside a fold is the same thread's."""
    with workers.alone_in_process():
        assert compare_numbers().failures_.empty
        expected = pytest.raises(RuntimeError, match="two threads of a process work on folds")
        # Not a failure of the estimator's.
        with ThreadPoolExecutor(1) as pool, expected:
            pool.submit(compare_numbers).result()
    with ThreadPoolExecutor(1) as pool:
        assert pool.submit(compare_numbers).result().failures_.empty


def compare_numbers(**options):
    X, y = make_classification(random_state=0)
    options = {"cv": 2, "random_state": 0, "verbose": 0, "scoring": ["accuracy"]} | options
    return compare({"logistic": LogisticRegression()}, X, y, **options)
