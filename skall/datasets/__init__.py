"""Blood-cell images as scikit-learn takes them: loaders for the folders that users have."""

from skall.datasets.all_4class import load_all_4class
from skall.datasets.all_idb import load_all_idb1, load_all_idb2
from skall.datasets.bloodmnist import load_bloodmnist
from skall.datasets.cells import load_cells
from skall.datasets.cnmc import load_cnmc
from skall.datasets.download import get_data_home
from skall.datasets.fetching import fetch_bloodmnist, fetch_pbc
from skall.datasets.folder import load_folder
from skall.datasets.pbc import load_pbc
from skall.datasets.raabin import load_raabin
from skall.datasets.synthetic import make_blood_cells
from skall.datasets.table import load_csv

__all__ = [
    "fetch_bloodmnist",
    "fetch_pbc",
    "get_data_home",
    "load_all_4class",
    "load_all_idb1",
    "load_all_idb2",
    "load_bloodmnist",
    "load_cells",
    "load_cnmc",
    "load_csv",
    "load_folder",
    "load_pbc",
    "load_raabin",
    "make_blood_cells",
]
