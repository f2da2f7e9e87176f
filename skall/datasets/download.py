"""Downloads that are checked, resumed and put into place in one step, and the folder for them."""

import hashlib
import http.client
import os
import re
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import BinaryIO
from urllib.error import HTTPError
from urllib.request import Request, urlopen

from tqdm.auto import tqdm


def get_data_home(data_home: str | os.PathLike | None = None) -> Path:
    """Make and return the folder for data sets that are downloaded and crops that are cut.

    Parameters
    ----------
    data_home : str or os.PathLike, optional
        The folder; ``~`` is expanded. None: the environment variable ``SKALL_DATA``, or else
        ``~/skall_data``.

    Returns
    -------
    pathlib.Path
        Absolute.

    Examples
    --------
    >>> import tempfile
    >>> from pathlib import Path
    >>> from skall.datasets import get_data_home
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     get_data_home(Path(folder, "cells")).is_dir()
    True
    """
    if data_home is None:
        data_home = os.environ.get("SKALL_DATA") or Path("~", "skall_data")
    folder = Path(os.path.abspath(os.path.expanduser(data_home)))
    folder.mkdir(parents=True, exist_ok=True)
    return folder


# Some archives answer Python's own name with 403.
AGENT = "Mozilla/5.0 (compatible; skall)"
TIMEOUT = 30  # seconds without a byte
BLOCK = 1 << 18  # bytes
ATTEMPTS = 5


def download(url: str, file: str | os.PathLike, *, algorithm: str, checksum: str) -> Path:
    """Download a file, unless it is there already and right.

    What was received is kept in ``<file>.part``, from where an interrupted download goes on if the
    server can; the file appears under its own name when it is complete and its checksum right. A
    broken connection is taken up again a few times.

    Parameters
    ----------
    url : str
    file : str or os.PathLike
        Where the file is to lie, in a folder that exists.
    algorithm : {"md5", "sha256"}
        Of the checksum; any name that :func:`hashlib.new` takes.
    checksum : str
        In hexadecimal digits.

    Returns
    -------
    pathlib.Path
        The file.

    Raises
    ------
    ConnectionError
        If the server cannot be reached or breaks off; it says where a file that was fetched
        otherwise has to be put.
    OSError
        If what was received has another checksum; it is deleted.
    """
    file = Path(file)
    if file.is_file() and compute_checksum(file, algorithm) == checksum:
        return file
    part = file.with_name(f"{file.name}.part")
    resumed = part.exists()
    with explain_offline(url, file, f"{algorithm.upper()} {checksum}"):
        _receive_all(url, part)
        if resumed and compute_checksum(part, algorithm) != checksum:
            # What was there before may have been the beginning of another file.
            part.unlink()
            _receive_all(url, part)
    found = compute_checksum(part, algorithm)
    if found != checksum:
        part.unlink()
        raise OSError(
            f"What {url} sent has the {algorithm.upper()} checksum {found}, not {checksum}: the "
            "file was damaged on its way, or has been changed there. It was deleted; try again"
        )
    os.replace(part, file)
    return file


def read_url(url: str) -> bytes:
    """Read a short answer."""
    with urlopen(Request(url, headers={"User-Agent": AGENT}), timeout=TIMEOUT) as response:
        return response.read()


def compute_checksum(file: Path, algorithm: str) -> str:
    """Compute the checksum of a file, in hexadecimal digits."""
    with file.open("rb") as stream:
        return hashlib.file_digest(
            stream, lambda: hashlib.new(algorithm, usedforsecurity=False)
        ).hexdigest()


@contextmanager
def explain_offline(url: str, file: Path, known_by: str) -> Iterator[None]:
    """Turn what a connection raises into a ConnectionError that says what to put where."""
    try:
        yield
    except (OSError, http.client.HTTPException) as exc:
        raise ConnectionError(
            f"{url} cannot be downloaded ({type(exc).__name__}: {exc}). On a computer that can, "
            f"download it and put it here as {str(file)!r} ({known_by}); then the same call needs "
            "no internet"
        ) from exc


def _receive_all(url: str, part: Path) -> None:
    """Receive the rest of a file, again while every broken connection brought some of it."""
    for attempt in range(ATTEMPTS):
        start = part.stat().st_size if part.exists() else 0
        try:
            return _receive(url, part, start)
        except (OSError, http.client.HTTPException):
            if attempt == ATTEMPTS - 1 or not part.exists() or part.stat().st_size <= start:
                raise


def _receive(url: str, part: Path, start: int) -> None:
    headers = {"User-Agent": AGENT, "Accept-Encoding": "identity"}
    if start:
        headers["Range"] = f"bytes={start}-"
    try:
        response = urlopen(Request(url, headers=headers), timeout=TIMEOUT)
    except HTTPError as exc:
        exc.close()
        if exc.code != http.client.REQUESTED_RANGE_NOT_SATISFIABLE:
            raise
        # Nothing is left to send: the part is complete, or of another file. The checksum tells.
        return
    with response:
        resumed = response.status == http.client.PARTIAL_CONTENT
        if resumed and not _starts_at(response, start):
            raise http.client.HTTPException(f"asked for byte {start} on, got other bytes")
        with part.open("ab" if resumed else "wb") as stream:
            _copy(response, stream, start if resumed else 0, part.stem)


def _starts_at(response: http.client.HTTPResponse, start: int) -> bool:
    match = re.match(r"bytes (\d+)-", response.headers.get("Content-Range", ""))
    return match is not None and int(match[1]) == start


def _copy(response: http.client.HTTPResponse, stream: BinaryIO, start: int, name: str) -> None:
    length = response.headers.get("Content-Length")
    total = None if length is None else start + int(length)
    with tqdm(total=total, initial=start, unit="B", unit_scale=True, desc=name) as bar:
        while block := response.read(BLOCK):
            stream.write(block)
            bar.update(len(block))
        if total is not None and bar.n < total:
            raise http.client.IncompleteRead(b"", total - bar.n)
