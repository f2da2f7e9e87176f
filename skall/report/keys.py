"""The mark of each estimator, as the figures draw it, for the tables of the page."""

from functools import cache
from typing import NamedTuple

from matplotlib.markers import MarkerStyle

from skall.displays.style import style_estimators


class Key(NamedTuple):
    """A mark in a square of 12 units: its outline as SVG writes paths, and its colours."""

    path: str
    colour: str
    fill: str


def make_keys(comparison):
    """The mark of each estimator.

    Parameters
    ----------
    comparison : Comparison

    Returns
    -------
    dict of str to Key
    """
    return {
        name: Key(
            path=_trace(style.marker),
            colour=style.colour,
            fill="none" if style.face == "white" else style.face,
        )
        for name, style in style_estimators(comparison).items()
    }


@cache
def _trace(marker):
    """A marker's outline."""
    style = MarkerStyle(marker)
    path = style.get_path().transformed(style.get_transform())
    return " ".join(
        "M" + " L".join(f"{6 + 8 * x:.1f} {6 - 8 * y:.1f}" for x, y in polygon) + "Z"
        for polygon in path.to_polygons()
    )
