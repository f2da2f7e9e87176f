"""Blood-cell images as scikit-learn takes them: loaders for the folders that users have."""

from skall.datasets.cells import load_cells
from skall.datasets.cnmc import load_cnmc
from skall.datasets.folder import load_folder
from skall.datasets.synthetic import make_blood_cells
from skall.datasets.table import load_csv

__all__ = ["load_cells", "load_cnmc", "load_csv", "load_folder", "make_blood_cells"]
