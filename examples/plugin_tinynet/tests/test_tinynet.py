"""TinyNet keeps to skall's contract."""

import pytest

from skall import get_estimator, list_backbones
from skall.datasets import make_blood_cells
from skall.testing import check_backbone


def test_is_listed():
    assert "tinynet" in list_backbones()


def test_is_a_backbone():
    check_backbone("tinynet")


def test_has_no_published_weights():
    cells = make_blood_cells(8, n_patients=4, image_size=64, random_state=0)
    with pytest.raises(ValueError, match="weights=None"):
        get_estimator("tinynet", weights="imagenet").fit(cells.data, cells.target)
