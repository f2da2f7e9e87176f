"""The registered backbones and their size, the shipped ones without building them."""

import csv
from functools import cache
from importlib.resources import files

import pandas as pd

from skall.backbones.registry import is_shipped, list_backbones

TABLE = "backbones.csv"
COLUMNS = ["source", "input_size", "parameters", "macs", "feature_shape", "license", "url"]


def describe_backbones():
    """The registered backbones and their size, at their own input size.

    Those of skall are in a table, ``backbones.csv`` beside this module, which
    ``benchmarks/backbones.py`` makes; those of other packages are built and counted.

    Returns
    -------
    pandas.DataFrame
        A row a backbone, with the columns ``source``, ``input_size`` (pixels), ``parameters``,
        ``macs`` (multiply-accumulates for one image), ``feature_shape``, ``license`` and ``url`` of
        the weights; a backbone that cannot be built has its error as ``source``.

    Examples
    --------
    >>> from skall.backbones.catalogue import describe_backbones
    >>> describe_backbones().at["vgg16", "feature_shape"]
    (512, 7, 7)
    """
    rows = {}
    for name in list_backbones():
        try:
            rows[name] = _describe(name)
        except Exception as exc:  # whatever somebody else's code may raise
            message = " ".join(str(exc).splitlines()[:1])
            rows[name] = {"source": f"error: {type(exc).__name__}: {message}"}
    table = pd.DataFrame.from_dict(rows, orient="index", columns=COLUMNS)
    return table.rename_axis("backbone")


def _describe(name):
    if is_shipped(name) and name in read_table():
        return read_table()[name]
    # Only here, because torch takes seconds to import.
    from skall.network.summary import describe_backbone

    return describe_backbone(name)


@cache
def read_table():
    """What is stored of the shipped backbones.

    Returns
    -------
    dict of str to dict
        By name, with the columns of :func:`describe_backbones`.
    """
    with files("skall.backbones").joinpath(TABLE).open(encoding="utf-8", newline="") as file:
        return {row.pop("backbone"): _parse(row) for row in csv.DictReader(file)}


def _parse(row):
    numbers = {name: int(row[name]) for name in ("input_size", "parameters", "macs")}
    shape = tuple(map(int, row["feature_shape"].split("x")))
    return row | numbers | {"feature_shape": shape}
