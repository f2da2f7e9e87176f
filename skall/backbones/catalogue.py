"""Sizes of the registered backbones; those of shipped ones come from a table."""

import csv
from functools import cache
from importlib.resources import files

import pandas as pd

from skall.backbones.registry import is_shipped, list_backbones

TABLE = "backbones.csv"
COLUMNS = ["source", "input_size", "parameters", "macs", "feature_shape", "license", "url"]


def describe_backbones():
    """Describe the registered backbones, with their size at their own input size.

    The shipped ones are in a table, ``backbones.csv`` beside this module, made by
    ``benchmarks/backbones.py``; those of other packages are built and measured.

    Returns
    -------
    table : pandas.DataFrame
        One row per backbone, with the columns ``source``, ``input_size`` (pixels), ``parameters``,
        ``macs`` (multiply-accumulates for one image), ``feature_shape``, ``license`` and ``url`` of
        the weights. For a backbone that cannot be built ``source`` is the error.

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
        except Exception as exc:  # plugins may raise anything
            message = " ".join(str(exc).splitlines()[:1])
            rows[name] = {"source": f"error: {type(exc).__name__}: {message}"}
    table = pd.DataFrame.from_dict(rows, orient="index", columns=COLUMNS)
    return table.rename_axis("backbone")


def _describe(name):
    if is_shipped(name) and name in read_table():
        return read_table()[name]
    # Imported here, because torch takes seconds to import.
    from skall.network.summary import describe_backbone

    return describe_backbone(name)


@cache
def read_table():
    """Read the table of the shipped backbones.

    Returns
    -------
    rows : dict of str to dict
        By name, with the columns of :func:`describe_backbones`.
    """
    with files("skall.backbones").joinpath(TABLE).open(encoding="utf-8", newline="") as file:
        return {row.pop("backbone"): _parse(row) for row in csv.DictReader(file)}


def _parse(row):
    numbers = {name: int(row[name]) for name in ("input_size", "parameters", "macs")}
    shape = tuple(map(int, row["feature_shape"].split("x")))
    return row | numbers | {"feature_shape": shape}
