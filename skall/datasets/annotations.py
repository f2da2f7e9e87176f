"""Data that are no cells by class: boxes about cells of whole fields, and masks of cells."""

import re
from collections.abc import Sequence
from pathlib import PurePosixPath

from skall.datasets.source import Source, quote_some

# Folders that hold images of all classes.
ANY_CLASS = re.compile(r"(jpeg)?images?|imgs?|train(ing)?|test(ing)?|val(id(ation)?)?|data(set)?")
MASK_FOLDER = re.compile(r"masks?|ground ?truths?.*|gr?t|grth|segmentation.*", re.I)
MASK_STEM = re.compile(r"(.+?)[ _-]*(mask|masks|seg|segmentation|gt|groundtruth|label)", re.I)
# Of two images of one name: masks are kept without loss, and small.
MASK_SUFFIXES = (".png", ".bmp", ".tif", ".tiff", ".jpg", ".jpeg")
# Class and box, as shares of the image.
YOLO_LINE = re.compile(rb"\d+(\s+[\d.eE+-]+){4,}\s*")
# Of a file, to see what it is.
HEAD = 100_000


def check_annotations(source: Source) -> None:
    """Raise ValueError where a folder holds boxes about cells, or masks, and no cells by class.

    Class folders may hold such files beside their images.
    """
    advice = _describe_masks(source) or (_hold_no_classes(source) and _describe_boxes(source))
    if advice:
        raise ValueError(f"{str(source.path)!r} {advice}")


def _hold_no_classes(source: Source) -> bool:
    folders = {image.parent.name.lower() for image in source.images}
    return sum(not ANY_CLASS.fullmatch(name) for name in folders - {""}) < 2


def _describe_boxes(source: Source) -> str | None:
    found = _find_boxes(source)
    if not found:
        return None
    kind, files = found
    return (
        f"looks like data for the detection of cells: {len(source.images)} images with boxes in "
        f"{len(files)} files, {kind}: {quote_some(files, limit=2)}. skall classifies images of "
        "single cells. Cut each box out of its image, as with PIL's Image.crop((left, upper, "
        "right, lower)), and save it in a folder named after its class"
    )


def _find_boxes(source: Source) -> tuple[str, list[PurePosixPath]] | None:
    """What kind of boxes lie beside the images, and in which files."""
    stems = {image.stem for image in source.images}
    beside: dict[str, list[PurePosixPath]] = {".xml": [], ".txt": [], ".json": []}
    for file in source.others:
        beside.get(file.suffix.lower(), []).append(file)
    named = {
        suffix: [file for file in files if file.stem in stems] for suffix, files in beside.items()
    }
    many = {suffix for suffix, files in named.items() if files and 2 * len(files) >= len(stems)}
    if ".xml" in many:
        return "in the format of Pascal VOC", named[".xml"]
    if ".txt" in many and YOLO_LINE.match(_read_head(source, named[".txt"])):
        return "in the format of YOLO", named[".txt"]
    if ".json" in many:
        return "in JSON, as LabelMe writes them", named[".json"]
    coco = [file for file in beside[".json"] if b'"file_name"' in _read_head(source, [file])]
    return ("in the format of COCO", coco) if coco and stems else None


def _read_head(source: Source, files: list[PurePosixPath]) -> bytes:
    """The beginning of the first file that is not empty: of fields without cells there is none."""
    for file in files:
        with (source.path / file).open("rb") as stream:
            if head := stream.read(HEAD):
                return head
    return b""


def _describe_masks(source: Source) -> str | None:
    masks = _find_masks(source.images)
    if not masks:
        return None
    return (
        f"holds masks, which show where a cell is and not the cell: {len(masks)} of its "
        f"{len(source.images)} images, {quote_some(masks)}. Give a folder of the images alone, or "
        "a CSV file that lists them as path,label"
    )


def _find_masks(images: Sequence[PurePosixPath]) -> list[PurePosixPath]:
    """Images in folders of masks, with the name of a mask, or beside one of the same name."""
    stems = {image.stem for image in images}
    kinds: dict[PurePosixPath, set[str]] = {}
    for image in images:
        kinds.setdefault(image.with_suffix(""), set()).add(image.suffix.lower())
    masks = []
    for image in images:
        named = MASK_STEM.fullmatch(image.stem)
        beside = kinds[image.with_suffix("")]
        if (
            any(MASK_FOLDER.fullmatch(part) for part in image.parent.parts)
            or (named and named[1] in stems)
            or (len(beside) > 1 and image.suffix.lower() == min(beside, key=MASK_SUFFIXES.index))
        ):
            masks.append(image)
    return masks
