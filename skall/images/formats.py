"""Image files: the formats that are read, and the one place that opens them."""

from functools import cache

from PIL import Image, UnidentifiedImageError

FORMATS = {
    "PNG": "PNG",
    "JPEG": "JPEG",
    "BMP": "BMP",
    "TIFF": "TIFF",
    "GIF": "GIF",
    "WEBP": "WebP",
    "AVIF": "AVIF",
    "JPEG2000": "JPEG 2000",
    "PPM": "PPM",
}
"""Names of the formats that are read, by Pillow's names.

They are raster formats that a decoder within Pillow reads. Of others Pillow starts a program
(Ghostscript for PostScript, whatever the file is called), or reads an image inside another file.
"""
READ = ", ".join(FORMATS.values())
# What a JPEG file with several pictures is to Pillow.
SEVERAL_JPEGS = "MPO"

# Beginnings of other files that may lie among images.
SIGNATURES = {
    b"%!": "PostScript",
    b"\xc5\xd0\xd3\xc6": "PostScript",
    b"%PDF": "PDF",
    b"8BPS": "a Photoshop document",
    b"\xd7\xcd\xc6\x9a": "a Windows metafile",
    b"\x01\x00\x00\x00": "a Windows metafile",
    b"\x00\x00\x01\x00": "an icon",
    b"PK\x03\x04": "a ZIP archive",
    b"\x1f\x8b": "a gzip archive",
    b"\x89HDF": "HDF5",
    b"\x93NUMPY": "a numpy array",
    b"ZISRAWFILE": "a Zeiss CZI file",
    b"<svg": "SVG",
    b"<?xml": "XML",
    b"<!DOC": "HTML",
    b"<html": "HTML",
    b"II*\x00": "a TIFF of a kind that is not read",
    b"MM\x00*": "a TIFF of a kind that is not read",
}


class UnreadableImageError(ValueError):
    """An image cannot be read; the message names its file or row."""


def read_picture(file, read):
    """Open an image file and take from it what is wanted.

    Every image file that skall opens is opened here. What is no file of :data:`FORMATS` is not
    decoded, whatever its name.

    Parameters
    ----------
    file : path-like
    read : callable
        Takes the opened :class:`PIL.Image.Image`, not decoded yet, and returns what is wanted.

    Returns
    -------
    object
        What `read` returns.

    Raises
    ------
    UnreadableImageError
        A ValueError that names the file, for whatever goes wrong: decoders meet damaged files
        with nearly every kind of error.

    Examples
    --------
    >>> from tempfile import TemporaryDirectory
    >>> with TemporaryDirectory() as folder:
    ...     Image.new("L", (4, 3)).save(f"{folder}/cell.png")
    ...     read_picture(f"{folder}/cell.png", lambda picture: picture.size)
    (4, 3)
    """
    try:
        with Image.open(file, formats=_list_formats()) as picture:
            return read(picture)
    except UnreadableImageError:
        raise
    except UnidentifiedImageError as exc:
        raise UnreadableImageError(
            f"file {str(file)!r} cannot be read as an image: it is {_name_kind(file)}. Formats "
            f"that are read are {READ}"
        ) from exc
    except Exception as exc:
        reason = str(exc) or type(exc).__name__
        raise UnreadableImageError(
            f"file {str(file)!r} cannot be read as an image: {reason}"
        ) from exc


@cache
def _list_formats():
    Image.init()
    # A Pillow may be built without some of them.
    return tuple(name for name in FORMATS if name in Image.OPEN)


def check_format(picture, name):
    """Raise where a PIL image is of a file that skall does not open.

    Its pixels may not have been decoded yet, and decoding is what starts other programs.

    Parameters
    ----------
    picture : PIL.Image.Image
    name : str
        What the image is called in the message.
    """
    if picture.format is None or picture.format in (*FORMATS, SEVERAL_JPEGS):
        return
    kind = getattr(picture, "format_description", None) or picture.format
    raise UnreadableImageError(
        f"{name} is an image of the format {picture.format} ({kind}), which is not decoded here: "
        f"formats that are read are {READ}. Where you trust it, pass its pixels, picture.copy()"
    )


def _name_kind(file):
    """What a file that is no image is."""
    with open(file, "rb") as stream:
        start = stream.read(132)
    if not start:
        return "empty"
    if start[128:] == b"DICM":
        return "DICOM"
    if start[4:8] == b"ftyp":
        return "HEIF or AVIF, damaged or of a kind that is not read"
    text = start.lstrip(b"\xef\xbb\xbf \t\r\n\x04")
    for signature, kind in SIGNATURES.items():
        if start.startswith(signature) or text.startswith(signature):
            return kind
    return "of no image format that is known, or its beginning is damaged"
