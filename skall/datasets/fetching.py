"""Data sets that may be downloaded by anybody."""

import json
import os
import shutil
import tempfile
import zipfile
from collections import Counter
from collections.abc import Iterable
from pathlib import Path, PurePosixPath
from typing import Any

from sklearn.utils import Bunch

from skall.datasets.bloodmnist import load_bloodmnist
from skall.datasets.download import download, explain_offline, get_data_home, read_url
from skall.datasets.pbc import load_pbc
from skall.datasets.source import IMAGE_SUFFIXES

BLOODMNIST_URL = "https://zenodo.org/records/10519652/files/{name}?download=1"
# Published with MedMNIST v2, by the size of the images in pixels.
BLOODMNIST_MD5 = {
    28: "7053d0359d879ad8a5505303e11de1dc",
    64: "2b94928a2ae4916078ca51e05b6b800b",
    128: "adace1e0ed228fccda1f39692059dd4c",
    224: "b718ff6835fcbdb22ba9eacccd7b2601",
}
PBC_LISTING = (
    "https://data.mendeley.com/public-api/datasets/snkd93bnjr/files?folder_id=root&version=1"
)
PBC_PAGE = "https://data.mendeley.com/datasets/snkd93bnjr/1"
PBC_FOLDER = "PBC_dataset_normal_DIB"
# Table 1 of Acevedo et al. (2020).
PBC_COUNTS = {
    "basophil": 1218,
    "eosinophil": 3117,
    "erythroblast": 1551,
    "ig": 2895,
    "lymphocyte": 1214,
    "monocyte": 1420,
    "neutrophil": 3329,
    "platelet": 2348,
}


def fetch_bloodmnist(
    size: int = 28,
    data_home: str | os.PathLike | None = None,
    *,
    pos_label: str | None = None,
    return_X_y: bool = False,
    as_frame: bool = False,
) -> Bunch | Any:
    """Download BloodMNIST, unless it is there, and load it.

    The file is checked against its published MD5 checksum. An interrupted download goes on from
    where it stopped. Without internet, put the file into `data_home` yourself.

    Parameters
    ----------
    size : {28, 64, 128, 224}, default=28
        Height and width of the images in pixels.
    data_home : str or os.PathLike, optional
        Where the file is kept; see :func:`get_data_home`.
    pos_label, return_X_y, as_frame
        As :func:`load_bloodmnist`.

    Returns
    -------
    Bunch or tuple
        As :func:`load_bloodmnist`.

    Raises
    ------
    ValueError
        If `size` is another.
    ConnectionError
        If it cannot be downloaded; the message says which file to put where.
    OSError
        If what was downloaded has another checksum.
    """
    if size not in BLOODMNIST_MD5:
        raise ValueError(f"size={size!r} is not one of {list(BLOODMNIST_MD5)}")
    name = "bloodmnist.npz" if size == 28 else f"bloodmnist_{size}.npz"
    file = download(
        BLOODMNIST_URL.format(name=name),
        get_data_home(data_home) / name,
        algorithm="md5",
        checksum=BLOODMNIST_MD5[size],
    )
    return load_bloodmnist(file, pos_label=pos_label, return_X_y=return_X_y, as_frame=as_frame)


def fetch_pbc(
    data_home: str | os.PathLike | None = None,
    *,
    classes: int = 8,
    pos_label: str | None = None,
    return_X_y: bool = False,
    as_frame: bool = False,
) -> Bunch | Any:
    """Download PBC, unless it is there, and load it.

    Neither the paper nor the page of the data set prints a checksum. Mendeley Data lists a SHA-256
    checksum for each of its files; what is downloaded is checked against the one that it lists at
    that time. Whatever its origin, the archive is checked by the checksums that it holds for each
    of its images, and by their number in each class, 17,092 in all, before it is unpacked. An
    interrupted download goes on from where it stopped. Without internet, put the archive into
    `data_home` yourself.

    Parameters
    ----------
    data_home : str or os.PathLike, optional
        Where the archive is kept and unpacked; see :func:`get_data_home`.
    classes, pos_label, return_X_y, as_frame
        As :func:`load_pbc`.

    Returns
    -------
    Bunch or tuple
        As :func:`load_pbc`.

    Raises
    ------
    ConnectionError
        If it cannot be downloaded; the message says which file to put where.
    OSError
        If what was downloaded has another checksum.
    ValueError
        If the archive is damaged, or does not hold the images that it should.
    """
    home = get_data_home(data_home)
    folder = home / PBC_FOLDER
    # It is moved here in one step, complete.
    if not folder.is_dir():
        archive = home / f"{PBC_FOLDER}.zip"
        if not archive.is_file():
            _download_pbc(archive)
        _unpack_pbc(archive, folder)
    return load_pbc(
        folder, classes=classes, pos_label=pos_label, return_X_y=return_X_y, as_frame=as_frame
    )


def _download_pbc(archive: Path) -> None:
    with explain_offline(PBC_PAGE, archive, "17,092 images"):
        listing = read_url(PBC_LISTING)
    try:
        entry = next(file for file in json.loads(listing) if file["filename"] == archive.name)
        url = entry["content_details"]["download_url"]
        checksum = entry["content_details"]["sha256_hash"]
    except (ValueError, TypeError, KeyError, StopIteration) as exc:
        raise ConnectionError(
            f"{PBC_LISTING} does not list {archive.name} as it used to. Download it from "
            f"{PBC_PAGE} and put it here as {str(archive)!r}; then the same call goes on"
        ) from exc
    download(url, archive, algorithm="sha256", checksum=checksum)


def _unpack_pbc(archive: Path, folder: Path) -> None:
    unfinished = Path(tempfile.mkdtemp(dir=folder.parent, prefix=f".{folder.name}-"))
    try:
        try:
            with zipfile.ZipFile(archive) as opened:
                members = [name for name in opened.namelist() if _is_image(PurePosixPath(name))]
                _check_pbc(archive, members)
                opened.extractall(unfinished, members)
        except (zipfile.BadZipFile, EOFError) as exc:
            raise ValueError(
                f"{str(archive)!r} is damaged ({exc}): delete it and start again"
            ) from exc
        top = {PurePosixPath(member).parts[0] for member in members}
        unpacked = unfinished / folder.name if top == {folder.name} else unfinished
        try:
            unpacked.rename(folder)
        except OSError:
            # Another process was quicker.
            if not folder.is_dir():
                raise
    finally:
        shutil.rmtree(unfinished, ignore_errors=True)


def _is_image(member: PurePosixPath) -> bool:
    hidden = any(part.startswith(".") or part == "__MACOSX" for part in member.parts)
    return member.suffix.lower() in IMAGE_SUFFIXES and not hidden


def _check_pbc(archive: Path, members: Iterable[str]) -> None:
    counts = dict(sorted(Counter(PurePosixPath(member).parent.name for member in members).items()))
    if counts != PBC_COUNTS:
        raise ValueError(
            f"{str(archive)!r} holds the images {counts}, expected {PBC_COUNTS}: it is another "
            f"archive, or not whole. Delete it and start again, or fetch it from {PBC_PAGE}"
        )
