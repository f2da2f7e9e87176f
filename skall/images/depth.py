"""Pixels of more than 8 bits: what their white is, and how they become 8 bits."""

import os
import re
import struct
import sys
import warnings
from contextlib import suppress
from threading import Lock

import numpy as np
from PIL import Image, PngImagePlugin, TiffImagePlugin

from skall.images.formats import read_picture

FULL = 65535
# Of 16 bits, what a camera of 14 or fewer fills. A bright field that dark is none.
MOST_NARROW = 2**14 - 1
COLOURS = ("RGB", "RGBA", "CMYK")
# TIFF's tags for the largest sample; the second is of any kind.
MAX_SAMPLE_VALUE, S_MAX_SAMPLE_VALUE = 281, 341


class DepthWarning(UserWarning):
    """What is white in images of 16 bits is not known for sure."""


class Whites:
    """The values of white in a set of images, about which it warns once.

    Parameters
    ----------
    depth : int, optional
        Bits of a sample that are used, as :func:`find_white` takes them.
    """

    def __init__(self, depth=None):
        self.depth = depth
        self._guessed = set()
        self._warned = False
        self._lock = Lock()

    def __reduce__(self):
        # A lock stays in its process.
        return Whites, (self.depth,)

    def note(self, white, source, largest):
        """Warn where an image is dark because its white is not known, or whites differ.

        Parameters
        ----------
        white, source
            From :func:`find_white`.
        largest : float
            The largest sample.
        """
        text = None
        with self._lock:
            if source == "largest":
                self._guessed.add(white)
            if source is None and white == FULL and 0 < largest <= MOST_NARROW:
                bits = int(largest).bit_length()
                text = (
                    f"images of 16 bits have values of {bits} bits only, up to {2**bits - 1} of "
                    f"{FULL}, and come out nearly black: their files do not say what white is. "
                    "depth=12 says that the camera gives 12 bits (10 and 14 are common too), "
                    "depth=16 that the images are that dark"
                )
            elif len(self._guessed) > 1:
                found = " and ".join(str(white) for white in sorted(self._guessed))
                text = (
                    f"the files of images name different values of white, {found}: where they are "
                    "of one camera, depth=12 says that it gives 12 bits (10 and 14 are common too)"
                )
            if text is None or self._warned:
                return
            self._warned = True
        warnings.warn(text, DepthWarning, stacklevel=2)


def is_deep(picture):
    """Whether a PIL image that was opened, and is not decoded yet, has more than 8 bits a sample.

    Parameters
    ----------
    picture : PIL.Image.Image

    Returns
    -------
    bool
    """
    return picture.mode[0] in "IF" or _is_deep_colour(picture)


def _is_deep_colour(picture):
    """Pillow decodes colours of 16 bits to their higher 8."""
    # Where the file is not at hand any more, what Pillow gives is all that there is.
    if picture.mode not in COLOURS or not getattr(picture, "filename", None):
        return False
    return any(";16" in _find_rawmode(tile) for tile in picture.tile) or _is_planar(picture)


def _find_rawmode(tile):
    rawmode = tile[3][0] if isinstance(tile[3], tuple) else tile[3]
    return rawmode if isinstance(rawmode, str) else ""


def _is_planar(picture):
    """Whether colours of 16 bits lie in planes, uncompressed: Pillow would read bytes for them."""
    tags = getattr(picture, "tag_v2", {})
    bits = tags.get(TiffImagePlugin.BITSPERSAMPLE, (1,))
    planar = tags.get(TiffImagePlugin.PLANAR_CONFIGURATION, 1) == 2
    return planar and max(bits) == 16 and bool(picture.tile) and picture.tile[0][0] == "raw"


def _has_low_bytes(picture):
    """Whether Pillow can give the lower 8 of 16 bits, by another order of the bytes."""
    tags = getattr(picture, "tag_v2", {})
    in_planes = tags.get(TiffImagePlugin.PLANAR_CONFIGURATION, 1) == 2
    tile = picture.tile[0]
    return not (in_planes and tile[0] == "libtiff") and not _find_rawmode(tile).startswith("LA")


def find_white(picture, depth=None):
    """The sample value that is white.

    Parameters
    ----------
    picture : PIL.Image.Image
        Of more than 8 bits a sample, not decoded yet.
    depth : int, optional
        Bits of a sample that are used; then white is the largest number of so many bits. By
        default the file's own range where it names one: OME's ``SignificantBits``, PNG's ``sBIT``,
        fewer than 16 bits a sample, the largest value that ImageJ shows, or TIFF's
        ``MaxSampleValue``. The last two may be those of the image and not of the camera: the next
        number of all ones counts, as 4095 for 3870. Otherwise it is 65535 for integers and 1 for
        floats.

    Returns
    -------
    white : int
    source : {"given", "range", "largest", None}
        Who says so: the user, the file by its range or its largest value, nobody.
    """
    bits, source = (depth, "given") if depth else _find_bits(picture)
    return (2**bits - 1 if bits else 1 if picture.mode == "F" else FULL), source


def _find_bits(picture):
    """Bits of a sample that are used, and what of the file says so; None and None if nothing."""
    if isinstance(picture, PngImagePlugin.PngImageFile):
        bits = _find_significant_bits(picture)
        return bits, "range" if bits else None
    tags = getattr(picture, "tag_v2", {})
    text = str(tags.get(TiffImagePlugin.IMAGEDESCRIPTION, ""))
    significant = re.search(r'SignificantBits="(\d+)"', text)
    if significant:
        return int(significant[1]), "range"
    bits = max(tags.get(TiffImagePlugin.BITSPERSAMPLE, (1,)))
    if 8 < bits < 16:
        return bits, "range"
    shown = re.search(r"^max=([\d.eE+]+)", text, re.MULTILINE) if "ImageJ=" in text else None
    values = [shown[1] if shown else 0]
    values += [tags.get(tag, 0) for tag in (MAX_SAMPLE_VALUE, S_MAX_SAMPLE_VALUE)]
    largest = next((value for value in map(_find_largest, values) if 1 < value < np.inf), 0)
    if not largest:
        return None, None
    return int(np.ceil(largest)).bit_length(), "largest"


def _find_largest(value):
    """The largest number that a tag holds; 0 where it holds none."""
    with suppress(TypeError, ValueError):
        return float(np.max(np.asarray(value, dtype=float)))
    return 0.0


def _find_significant_bits(picture):
    """What the chunk sBIT of a PNG file says, which Pillow passes over."""
    if not picture.filename:
        return None
    with open(picture.filename, "rb") as stream:
        stream.seek(8)
        while len(head := stream.read(8)) == 8:
            length, kind = struct.unpack(">I4s", head)
            if kind == b"IDAT":
                break
            if kind == b"sBIT":
                return max(stream.read(length)) or None
            stream.seek(length + 4, os.SEEK_CUR)
    return None


def reduce_to_8_bits(picture, whites, turn):
    """A PIL image of more than 8 bits a sample, turned and scaled.

    Parameters
    ----------
    picture : PIL.Image.Image
        Not decoded yet.
    whites : Whites
    turn : callable
        Turns it upright.

    Returns
    -------
    PIL.Image.Image
        Of 8 bits.

    Raises
    ------
    ValueError
        For samples outside the range, whose scale is then not known.
    """
    white, source = find_white(picture, whites.depth)
    if _is_deep_colour(picture):
        has_low = _has_low_bytes(picture)
        if not has_low and white != FULL:
            raise ValueError(
                "of its 16 bits only the higher 8 can be read, because its colours lie in "
                "compressed planes or it is grey with an opacity: write it otherwise, as RGB with "
                "the colours of a pixel together"
            )
        picture, low = (_read_bytes(picture, turn, higher) for higher in (True, not has_low))
        # Where the lower bytes cannot be read, the higher ones are both, so that 255 is white.
        values = 256.0 * np.asarray(picture) + np.asarray(low)
    else:
        picture = turn(picture)
        values = np.asarray(picture, dtype=float)
    opacity = None
    if picture.mode == "RGBA":
        values, opacity = values[..., :3], values[..., 3:]
    _check_range(values, white, is_float=picture.mode == "F")
    whites.note(white, source, values.max())
    pixels = np.rint(np.minimum(values, white) * (255 / white))
    if opacity is not None:
        # Cameras give no opacity: it was added, in the same range or the whole one.
        full = white if opacity.max() <= white else FULL
        pixels = np.dstack([pixels, np.rint(opacity * (255 / full))])
    mode = picture.mode if picture.mode in COLOURS else "L"
    return Image.frombytes(mode, picture.size, pixels.astype(np.uint8).tobytes())


def _check_range(values, white, is_float):
    low, high = values.min(), values.max()
    if not np.isfinite(low + high):
        raise ValueError("its pixels contain NaN or infinity")
    if low < 0:
        raise ValueError(f"its pixels lie in [{low:g}, {high:g}], and 0 is black")
    # Floats may lie between two numbers, as a camera's 4095 divided by 16, which is 255.9.
    if high > white and (white == 1 or high >= white + 1):
        bits = 8 if is_float and high < 256 else max(int(high).bit_length(), 10)
        raise ValueError(
            f"its pixels lie in [{low:g}, {high:g}], beyond {white:g}, which is white by its kind, "
            f"its file or depth; depth={bits} says that they have {bits} bits"
        )
    if is_float and white > 1 >= high > 0:
        raise ValueError(
            f"its pixels lie in [{low:g}, {high:g}], so that 1 is white, and not {white:g} as its "
            "file or depth says: leave depth out"
        )


def _read_bytes(picture, turn, higher):
    """The higher or lower bytes of a picture's colours of 16 bits; it stays as it is."""
    page = picture.tell()

    def read(picture):
        picture.seek(page)
        picture.tile = _choose_bytes(picture, higher)
        return turn(picture)

    return read_picture(picture.filename, read)


def _choose_bytes(picture, higher):
    """What has Pillow decode the higher or lower bytes."""
    # Of a number in the order of the other kind of processor, the first byte is the last.
    other = {"L": "B", "B": "L", "N": "B" if sys.byteorder == "little" else "L"}
    planar = _is_planar(picture)
    tiles = []
    for tile in picture.tile:
        mode = _find_rawmode(tile)
        if planar:
            mode += f";16{'L' if picture.tag_v2.prefix == b'II' else 'B'}"
        if not higher:
            mode = mode[:-1] + other[mode[-1]]
        arguments = (mode, *tile[3][1:]) if isinstance(tile[3], tuple) else mode
        tiles.append(tile._replace(args=arguments))
    return tiles
