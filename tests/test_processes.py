"""Work in processes that are spawned, as on macOS and Windows."""

import multiprocessing
import pickle

import numpy as np
import pytest
import torch

from skall import CNNClassifier
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
