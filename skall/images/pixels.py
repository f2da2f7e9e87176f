"""Pixels: any picture or array as RGB uint8."""

from hashlib import blake2b

import numpy as np
from PIL import ExifTags, Image, ImageOps

from skall.images.depth import Whites, is_deep, reduce_to_8_bits

BACKGROUND = (255, 255, 255)
# What turns a picture upright, by its orientation in EXIF. Anything else, as a text, is no
# orientation, and the picture is taken as it lies, as viewers do.
TURNS = {
    2: Image.Transpose.FLIP_LEFT_RIGHT,
    3: Image.Transpose.ROTATE_180,
    4: Image.Transpose.FLIP_TOP_BOTTOM,
    5: Image.Transpose.TRANSPOSE,
    6: Image.Transpose.ROTATE_270,
    7: Image.Transpose.TRANSVERSE,
    8: Image.Transpose.ROTATE_90,
}
SIDEWAYS = (5, 6, 7, 8)
RESIZES = ("stretch", "pad", "crop")


def convert_to_rgb(picture, whites=None):
    """A PIL image of any mode as an upright RGB image.

    The orientation in the EXIF data is applied; transparent pixels show a white background, that
    of a bright-field microscope; more than 8 bits are scaled, not clipped, to 8.

    Parameters
    ----------
    picture : PIL.Image.Image
    whites : skall.images.depth.Whites, optional
        What is white in pixels of more than 8 bits.

    Returns
    -------
    PIL.Image.Image
        Of mode RGB.

    Raises
    ------
    ValueError
        For pixels of more than 8 bits outside the range that tells their scale.
    """
    if is_deep(picture):
        picture = reduce_to_8_bits(picture, whites or Whites(), _turn_upright)
    else:
        picture = _turn_upright(picture)
    if picture.mode == "RGB" and "transparency" not in picture.info:
        return picture
    if picture.has_transparency_data:
        picture = picture.convert("RGBA")
        canvas = Image.new("RGBA", picture.size, (*BACKGROUND, 255))
        return Image.alpha_composite(canvas, picture).convert("RGB")
    return picture.convert("RGB")


def check_pages(picture):
    """Raise where a TIFF file holds a stack of images, of which each may be the one.

    Smaller copies of the first page, as scanners and cameras add them, are none.

    Parameters
    ----------
    picture : PIL.Image.Image
        Opened from a file.
    """
    if picture.format != "TIFF" or picture.n_frames == 1:
        return
    size = picture.size
    picture.seek(1)
    if picture.size == size:
        raise ValueError(
            f"it is a stack of {picture.n_frames} pages of {size[0]} x {size[1]} pixels, as of "
            "channels or focal planes; write the page that is the image as a file of its own"
        )
    picture.seek(0)


def draft(picture, size):
    """Have a JPEG decoded at 1/2, 1/4 or 1/8 of its size, where it is to be shrunk to a square.

    The decoder then averages blocks of pixels, and at least two of its pixels are left for each
    that is wanted, in both directions, which resizing averages. The fraction is one that divides
    the picture's height and width, so that nothing moves. On images of cells the result differs
    from that of full decoding by 5 grey levels of 255 at most and by less than 0.5 on average, less
    than the Lanczos or box filter differs from the bilinear one; on pure noise by about 10.

    Parameters
    ----------
    picture : PIL.Image.Image
        Opened and not decoded yet; of another format it stays as it is.
    size : int
        Height and width, in pixels, of that square, into which it may be stretched, padded or cut.

    Returns
    -------
    int
        How many pixels of the picture one that is decoded stands for, in each direction.
    """
    whole = picture.width
    for fraction in (8, 4, 2):
        parts = [divmod(length, fraction) for length in picture.size]
        if all(length >= 2 * size and not rest for length, rest in parts):
            picture.draft(None, tuple(length for length, _ in parts))
            break
    return whole // picture.width


def measure_upright(picture):
    """Height and width of a PIL image as :func:`convert_to_rgb` turns it, in pixels."""
    width, height = picture.size
    # Pillow turns TIFF files itself, and gives the size that they have then.
    # The orientation of a PNG file may stand at its end, behind all that is to be decoded.
    turned = width != height and picture.format != "TIFF" and _read_orientation(picture) in SIDEWAYS
    return (width, height) if turned else (height, width)


def _turn_upright(picture):
    """A copy of a PIL image, turned as the orientation in its EXIF data says."""
    # First, because decoding can bring EXIF data, or turn the picture and say so.
    picture.load()
    turn = TURNS.get(_read_orientation(picture))
    return picture.copy() if turn is None else picture.transpose(turn)


def _read_orientation(picture):
    return picture.getexif().get(ExifTags.Base.Orientation)


def picture_from_array(array):
    """An array ``(h, w)``, ``(h, w, 1)`` or ``(h, w, 3)``, uint8 or in [0, 1], as RGB."""
    if array.dtype != np.uint8:
        array = np.rint(array * 255.0).astype(np.uint8)
    if array.ndim == 3 and array.shape[2] == 1:
        array = array[:, :, 0]
    return Image.fromarray(np.ascontiguousarray(array)).convert("RGB")


def resize_picture(picture, size, resize="stretch"):
    """An RGB image as a square.

    Parameters
    ----------
    picture : PIL.Image.Image
        Of mode RGB.
    size : int
        Height and width in pixels.
    resize : {"stretch", "pad", "crop"}, default="stretch"
        ``"stretch"`` changes the aspect ratio; ``"pad"`` keeps it and fills with black;
        ``"crop"`` keeps it and cuts the longer side about the centre.

    Returns
    -------
    PIL.Image.Image
    """
    square = (size, size)
    if picture.size == square:
        return picture
    if resize == "pad":
        return ImageOps.pad(picture, square, Image.Resampling.BILINEAR)
    if resize == "crop":
        return ImageOps.fit(picture, square, Image.Resampling.BILINEAR)
    return picture.resize(square, Image.Resampling.BILINEAR)


def check_pixels(array, name):
    """Raise unless an array holds the pixels of one or more images, uint8 or float in [0, 1].

    Parameters
    ----------
    array : ndarray
    name : str
        What the array is called in the message; ``"X"`` for a stack, whose rows are named.
    """
    if np.issubdtype(array.dtype, np.complexfloating):
        raise ValueError(f"Complex data not supported: {name} has dtype {array.dtype}")
    if array.dtype == np.uint8:
        return
    if not np.issubdtype(array.dtype, np.floating):
        raise ValueError(
            f"{name} has dtype {array.dtype}; images are uint8, or float in [0, 1]: pass "
            "X.astype('uint8') where the values go to 255, X / 65535 where they have 16 bits, "
            "X / 4095 where they have 12"
        )
    good = np.isfinite(array) & (array >= 0) & (array <= 1)
    if not good.all():
        place = np.argwhere(~good)[0]
        value = array[tuple(place)]
        where = f"row {place[0]} of X" if name == "X" else name
        if not np.isfinite(value):
            raise ValueError(f"{where} contains {'NaN' if np.isnan(value) else 'infinity'}")
        raise_unscaled(where, value)


def raise_unscaled(name, value):
    """Raise for a pixel outside the range that tells its scale.

    Parameters
    ----------
    name : str
        What holds it, as ``"row 2 of X"``.
    value : float
    """
    raise ValueError(
        f"{name} contains {value:g}, but images that are not uint8 lie in [0, 1]: divide by the "
        "largest value that their kind can have, X / 255 for 8-bit images, or pass uint8"
    )


def digest(array):
    """Bytes that arrays share when their shape, type and values are equal."""
    array = np.ascontiguousarray(array)
    header = f"{array.shape}{array.dtype}".encode()
    return blake2b(header + array.tobytes(), digest_size=16).digest()
