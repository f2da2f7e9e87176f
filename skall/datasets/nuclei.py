"""Cells of fields that nobody marked, found by what the marked ones look like."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from PIL import Image
from scipy import ndimage

from skall.images.formats import read_picture

# Long side, in pixels, of the fields as they are looked at: nuclei stay tens of pixels wide.
LOOK = 648
# Of the marked nuclei. On fields put together from real images of PBC (ALL-IDB1's own could not be
# tried) it finds all of 150 leukocytes and 3 stray lobes, and at least 132 of them where a field is
# stained 0.7 to 1.3 times as much. 0.5 takes red cells of dark fields, 0.7 loses all of pale ones.
DARKNESS = 0.6
# Areas of nuclei, of that of the median marked one: small lymphocytes to monocytes; platelets and
# debris are smaller.
AREAS = (0.25, 3.0)


@dataclass(frozen=True)
class Nucleus:
    """What the nuclei of marked cells look like.

    Parameters
    ----------
    darkness : float
        Share of the background's green light that they absorb; in (0, 1].
    area : float
        In pixels of the original field.
    """

    darkness: float
    area: float


def measure_nuclei(fields: Sequence[Path], centres: Sequence[np.ndarray]) -> Nucleus:
    """Measure the nuclei at the marks of some fields; medians over all marks.

    Parameters
    ----------
    fields : sequence of pathlib.Path
    centres : sequence of arrays of shape (n, 2)
        ``x, y`` of each marked cell, in pixels, for each field.
    """
    seen = []
    for field, marks in zip(fields, centres, strict=True):
        absorbed, scale = _absorb_green(field)
        places = np.minimum((marks / scale).astype(int), np.array(absorbed.shape[::-1]) - 1)
        seen.append((absorbed, scale, places[:, 1], places[:, 0]))
    darkness = float(np.median(np.concatenate([a[r, c] for a, _, r, c in seen])))
    areas = []
    for absorbed, scale, rows, columns in seen:
        labels = _label_dark(absorbed, DARKNESS * darkness)
        sizes = np.bincount(labels.ravel())
        marked = labels[rows, columns]
        areas.extend(sizes[marked[marked > 0]] * scale**2)
    return Nucleus(darkness, float(np.median(areas)) if areas else 0.0)


def find_nuclei(field: Path, like: Nucleus) -> np.ndarray:
    """Find the regions of a field that are as dark and about as large as marked nuclei.

    Returns
    -------
    int array of shape (n, 2)
        ``x, y`` of their centroids, in pixels.
    """
    absorbed, scale = _absorb_green(field)
    labels = _label_dark(absorbed, DARKNESS * like.darkness)
    # Segmented nuclei fall apart into lobes, which lie closer together than cells do.
    reach = max(1, round(0.3 * np.sqrt(like.area / np.pi) / scale))
    joined, n = ndimage.label(ndimage.binary_dilation(labels > 0, iterations=reach))
    joined[labels == 0] = 0
    areas = ndimage.sum_labels(labels > 0, joined, np.arange(1, n + 1)) * scale**2
    low, high = np.multiply(AREAS, like.area)
    kept = np.flatnonzero((areas >= low) & (areas <= high)) + 1
    if not len(kept):
        return np.empty((0, 2), int)
    centroids = np.array(ndimage.center_of_mass(labels > 0, joined, kept))
    return np.rint((centroids[:, ::-1] + 0.5) * scale).astype(int)


def _absorb_green(field: Path) -> tuple[np.ndarray, float]:
    """Share of green light absorbed, in [0, 1], in a small copy, and how much smaller it is.

    Chromatin stained with Giemsa absorbs green most; haemoglobin does much less.
    """
    green, scale = read_picture(field, _shrink_green)
    light = np.asarray(green, dtype=np.float64)
    background = max(float(np.percentile(light, 95)), 1.0)
    return np.clip(1 - light / background, 0, 1), scale


def _shrink_green(picture: Image.Image) -> tuple[Image.Image, float]:
    """The green channel in a small copy, and how much smaller that is."""
    scale = max(1.0, max(picture.size) / LOOK)
    size = [max(1, round(side / scale)) for side in picture.size]
    picture.draft("RGB", size)
    return picture.convert("RGB").getchannel("G").resize(size, Image.Resampling.BOX), scale


def _label_dark(absorbed: np.ndarray, threshold: float) -> np.ndarray:
    dark = ndimage.binary_fill_holes(ndimage.binary_opening(absorbed > threshold))
    return ndimage.label(dark)[0]
