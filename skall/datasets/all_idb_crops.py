"""Crops of ALL-IDB1: around the marked blasts, and around nuclei found in healthy fields."""

import os
import tempfile
from collections.abc import Sequence
from dataclasses import dataclass
from hashlib import blake2b
from pathlib import Path

import numpy as np
from numpy.typing import ArrayLike
from PIL import Image
from scipy import ndimage

from skall.datasets.source import quote_some
from skall.images.formats import read_picture


def read_centres(file: Path, field: Path) -> np.ndarray:
    """Read the marks of a field: one ``x y`` in pixels per line, with tabs, spaces or a comma.

    Returns
    -------
    int array of shape (n, 2)

    Raises
    ------
    ValueError
        If a line is no such pair, or a mark lies outside the field.
    """
    text = file.read_text(encoding="utf-8-sig", errors="replace")
    lines = [line.replace(",", " ").split() for line in text.splitlines() if line.strip()]
    try:
        centres = np.array([[float(x), float(y)] for x, y in lines]).reshape(-1, 2)
    except ValueError as exc:
        raise ValueError(f"{str(file)!r} is no list of marks, one 'x y' per line: {exc}") from exc
    size = read_picture(field, lambda picture: picture.size)
    outside = centres[~((centres >= 0) & (centres <= size)).all(axis=1)]
    if len(outside):
        raise ValueError(
            f"{len(outside)} marks of {str(file)!r} lie outside its field of {size[0]} x {size[1]} "
            f"pixels: {quote_some(outside.tolist())}. Are they of another field?"
        )
    return np.rint(centres).astype(int)


def cut_crops(field: Path, centres: ArrayLike, size: int, folder: Path) -> list[str]:
    """Cut square crops round the given centres and keep them as PNG files.

    At the border of the field a crop is shifted inwards, so that it shows nothing that is not
    there; its cell is then off its centre. A file is named by its place and by the contents of the
    field, so that it is cut once, and never taken for one of another field. Several processes may
    cut at the same time.

    Parameters
    ----------
    field : pathlib.Path
        Image file.
    centres : sequence of pairs of int
        ``x, y`` in pixels.
    size : int
        Height and width of a crop in pixels.
    folder : pathlib.Path
        Where the crops are kept; it exists.

    Returns
    -------
    list of str
        Name in `folder` of each crop. Centres that give the same crop give it once.

    Raises
    ------
    ValueError
        If the field is smaller than a crop.
    """
    digest = blake2b(field.read_bytes(), digest_size=8).hexdigest()
    width, height = read_picture(field, lambda picture: picture.size)
    if min(width, height) < size:
        raise ValueError(
            f"crop_size={size} is larger than the field {str(field)!r} of {width} x {height} pixels"
        )
    largest = np.subtract((width, height), size)
    placed = np.clip(np.subtract(centres, size // 2), 0, largest)
    corners = list(dict.fromkeys(map(tuple, placed.tolist())))
    names = [f"{field.stem}_x{x}_y{y}_{size}_{digest}.png" for x, y in corners]
    missing = [
        (name, corner)
        for name, corner in zip(names, corners, strict=True)
        if not (folder / name).exists()
    ]
    if missing:
        pixels = read_picture(field, lambda picture: picture.convert("RGB"))
    for name, (x, y) in missing:
        _save(pixels.crop((x, y, x + size, y + size)), folder / name)
    return names


def _save(picture: Image.Image, file: Path) -> None:
    handle, unfinished = tempfile.mkstemp(dir=file.parent, suffix=".part")
    try:
        with os.fdopen(handle, "wb") as stream:
            picture.save(stream, format="PNG")
        os.replace(unfinished, file)
    except BaseException:
        os.unlink(unfinished)
        raise


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
    width, height = picture.size
    size = max(1, round(width / scale)), max(1, round(height / scale))
    picture.draft("RGB", size)
    return picture.convert("RGB").getchannel("G").resize(size, Image.Resampling.BOX), scale


def _label_dark(absorbed: np.ndarray, threshold: float) -> np.ndarray:
    dark = ndimage.binary_fill_holes(ndimage.binary_opening(absorbed > threshold))
    return ndimage.label(dark)[0]
