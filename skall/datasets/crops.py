"""Crops round cells of whole fields, kept as files."""

import os
import tempfile
from collections.abc import Sequence
from hashlib import blake2b
from pathlib import Path

import numpy as np
from PIL import Image

from skall.datasets.layout import quote_some
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


def cut_crops(field: Path, centres: Sequence[Sequence[int]], size: int, folder: Path) -> list[str]:
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
    corners = np.clip(np.subtract(centres, size // 2), 0, np.subtract((width, height), size))
    corners = list(dict.fromkeys(map(tuple, corners.tolist())))
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
