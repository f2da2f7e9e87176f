"""Downloads, from a server that the test starts: no internet is used."""

import hashlib
import json
import re
import threading
import zipfile
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest
from miniatures import PBC, write_bloodmnist

from skall.datasets import fetch_bloodmnist, fetch_pbc, fetching, get_data_home
from skall.datasets.download import download

CONTENT = bytes(range(256)) * 40
MD5 = hashlib.md5(CONTENT).hexdigest()


class Server(ThreadingHTTPServer):
    """Serve `files`; note in `asked` what was asked for.

    `ranges`: whether ``Range`` is heeded; `limit`: bytes that are sent before the connection is
    cut, although more were promised.
    """

    def __init__(self, files):
        super().__init__(("127.0.0.1", 0), Handler)
        self.files, self.asked = files, []
        self.ranges, self.limit = True, None

    def url(self, name):
        return f"http://127.0.0.1:{self.server_port}/{name}"


class Handler(BaseHTTPRequestHandler):
    def do_GET(self):
        server = self.server
        wanted = self.headers.get("Range")
        server.asked.append((self.path, wanted))
        content = server.files.get(self.path.strip("/"))
        if content is None:
            self.send_error(404)
            return
        start = int(re.fullmatch(r"bytes=(\d+)-", wanted)[1]) if wanted and server.ranges else 0
        if start >= len(content):
            self.send_error(416)
            return
        self.send_response(206 if start else 200)
        if start:
            self.send_header("Content-Range", f"bytes {start}-{len(content) - 1}/{len(content)}")
        self.send_header("Content-Length", str(len(content) - start))
        self.end_headers()
        self.wfile.write(content[start:][: server.limit])

    def log_message(self, *args):
        """Say nothing."""


@contextmanager
def serve(files):
    with Server(files) as server:
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
        thread.start()
        try:
            yield server
        finally:
            server.shutdown()
            thread.join()


@pytest.fixture
def server():
    with serve({"file": CONTENT}) as server:
        yield server


@pytest.fixture
def offline():
    """Address of a server that is gone."""
    with serve({}) as server:
        url = server.url("file")
    return url


def fetch(url, folder, checksum=MD5):
    return download(url, folder / "file", algorithm="md5", checksum=checksum)


def test_download(server, tmp_path, capsys):
    file = fetch(server.url("file"), tmp_path)
    assert file.read_bytes() == CONTENT
    assert [path.name for path in tmp_path.iterdir()] == ["file"]
    assert re.search(r"file: 100%.*10\.2k/10\.2k", capsys.readouterr().err)
    fetch(server.url("file"), tmp_path)
    assert len(server.asked) == 1


def test_download_goes_on_where_it_stopped(server, tmp_path):
    (tmp_path / "file.part").write_bytes(CONTENT[:1000])
    assert fetch(server.url("file"), tmp_path).read_bytes() == CONTENT
    assert server.asked == [("/file", "bytes=1000-")]


def test_server_that_cannot_resume_sends_all(server, tmp_path):
    server.ranges = False
    (tmp_path / "file.part").write_bytes(b"x" * 1000)
    assert fetch(server.url("file"), tmp_path).read_bytes() == CONTENT
    assert server.asked == [("/file", "bytes=1000-")]


def test_broken_connections_are_taken_up_again(server, tmp_path):
    server.limit = len(CONTENT) // 3
    assert fetch(server.url("file"), tmp_path).read_bytes() == CONTENT
    third = len(CONTENT) // 3
    ranges = [wanted for _, wanted in server.asked]
    assert ranges == [None, *(f"bytes={third * k}-" for k in (1, 2, 3))]


def test_interrupted_download_goes_on_with_the_next_call(server, tmp_path):
    server.limit = 100
    with pytest.raises(ConnectionError, match="cannot be downloaded"):
        fetch(server.url("file"), tmp_path)
    received = (tmp_path / "file.part").read_bytes()
    assert received and CONTENT.startswith(received)
    assert not (tmp_path / "file").exists()
    server.limit = None
    assert fetch(server.url("file"), tmp_path).read_bytes() == CONTENT
    assert server.asked[-1] == ("/file", f"bytes={len(received)}-")


def test_connection_that_brings_nothing_is_not_tried_for_ever(server, tmp_path):
    server.limit = 0
    with pytest.raises(ConnectionError):
        fetch(server.url("file"), tmp_path)
    assert len(server.asked) == 1


@pytest.mark.parametrize("kept", [CONTENT, CONTENT + b"x", b"x" * 1000])
def test_beginning_of_another_file_is_replaced(server, tmp_path, kept):
    (tmp_path / "file.part").write_bytes(kept)
    assert fetch(server.url("file"), tmp_path).read_bytes() == CONTENT


def test_wrong_checksum(server, tmp_path):
    with pytest.raises(OSError, match=f"checksum {MD5}, not {'0' * 32}"):
        fetch(server.url("file"), tmp_path, checksum="0" * 32)
    assert list(tmp_path.iterdir()) == []


def test_damaged_file_is_replaced(server, tmp_path):
    (tmp_path / "file").write_bytes(CONTENT[:-1])
    assert fetch(server.url("file"), tmp_path).read_bytes() == CONTENT


def test_missing_at_the_server(server, tmp_path):
    with pytest.raises(ConnectionError, match=r"404.*put it here as '.*other' \(MD5 "):
        download(server.url("other"), tmp_path / "other", algorithm="md5", checksum=MD5)


def test_offline(offline, tmp_path):
    with pytest.raises(ConnectionError, match=rf"put it here as '.*file' \(MD5 {MD5}\)"):
        fetch(offline, tmp_path)
    (tmp_path / "file").write_bytes(CONTENT)
    assert fetch(offline, tmp_path) == tmp_path / "file"


def test_data_home(tmp_path, monkeypatch):
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.setenv("USERPROFILE", str(tmp_path))
    monkeypatch.delenv("SKALL_DATA", raising=False)
    assert get_data_home() == tmp_path / "skall_data"
    monkeypatch.setenv("SKALL_DATA", "~/cells")
    assert get_data_home() == tmp_path / "cells"
    assert get_data_home(tmp_path / "a" / "b") == tmp_path / "a" / "b"
    assert all((tmp_path / name).is_dir() for name in ["skall_data", "cells", "a/b"])


@pytest.fixture
def bloodmnist(tmp_path, monkeypatch):
    """The miniature at a server, in place of the real file."""
    content = write_bloodmnist(tmp_path, "bloodmnist_64.npz").read_bytes()
    monkeypatch.setitem(fetching.BLOODMNIST_MD5, 64, hashlib.md5(content).hexdigest())
    with serve({"bloodmnist_64.npz": content}) as server:
        monkeypatch.setattr(fetching, "BLOODMNIST_URL", server.url("{name}"))
        yield server


def test_fetch_bloodmnist(bloodmnist, tmp_path):
    bunch = fetch_bloodmnist(64, tmp_path / "home")
    assert bunch.data.shape == (4, 28, 28, 3) and len(bloodmnist.asked) == 1
    data, target = fetch_bloodmnist(64, tmp_path / "home", return_X_y=True)
    assert (data == bunch.data).all() and target.tolist() == bunch.target.tolist()
    assert len(bloodmnist.asked) == 1


def test_fetch_bloodmnist_offline_says_what_to_put_where(offline, tmp_path, monkeypatch):
    monkeypatch.setattr(fetching, "BLOODMNIST_URL", offline)
    place = re.escape(str(tmp_path / "bloodmnist_224.npz"))
    message = f"{place}.*MD5 b718ff6835fcbdb22ba9eacccd7b2601"
    with pytest.raises(ConnectionError, match=message):
        fetch_bloodmnist(224, tmp_path)


def test_fetch_bloodmnist_has_four_sizes(tmp_path):
    with pytest.raises(ValueError, match=r"size=32 is not one of \[28, 64, 128, 224\]"):
        fetch_bloodmnist(32, tmp_path)


def write_pbc(file, names=PBC):
    with zipfile.ZipFile(file, "w") as archive:
        for name in names:
            archive.writestr(name, name)
            archive.writestr(f"__MACOSX/{name}", "")
        archive.writestr("PBC_dataset_normal_DIB/neutrophil/.DS_169665.jpg", "")
    return file.read_bytes()


@pytest.fixture
def pbc(tmp_path, monkeypatch):
    """The miniature at a server that lists it as Mendeley Data does."""
    counts = {name.split("/")[1]: 0 for name in PBC}
    for name in PBC:
        counts[name.split("/")[1]] += 1
    monkeypatch.setattr(fetching, "PBC_COUNTS", counts)
    content = write_pbc(tmp_path / "made.zip")
    with serve({"pbc": content}) as server:
        details = {
            "download_url": server.url("pbc"),
            "sha256_hash": hashlib.sha256(content).hexdigest(),
            "size": len(content),
        }
        entry = {"filename": "PBC_dataset_normal_DIB.zip", "content_details": details}
        server.files["listing"] = json.dumps([{"filename": "other"}, entry]).encode()
        monkeypatch.setattr(fetching, "PBC_LISTING", server.url("listing"))
        yield server


def test_fetch_pbc(pbc, tmp_path):
    home = tmp_path / "home"
    bunch = fetch_pbc(home)
    assert sorted(bunch.filenames) == sorted(name.split("/", 1)[1] for name in PBC)
    assert [path for path, _ in pbc.asked] == ["/listing", "/pbc"]
    assert {path.name for path in home.iterdir()} == {
        "PBC_dataset_normal_DIB",
        "PBC_dataset_normal_DIB.zip",
    }
    assert len(fetch_pbc(home, classes=11).target_names) == 11
    assert len(pbc.asked) == 2


def test_fetch_pbc_takes_an_archive_that_is_there(tmp_path, pbc):
    home = get_data_home(tmp_path / "home")
    # Without the folder round the class folders.
    write_pbc(home / "PBC_dataset_normal_DIB.zip", [name.split("/", 1)[1] for name in PBC])
    assert len(fetch_pbc(home).target) == len(PBC)
    assert pbc.asked == []


def test_fetch_pbc_offline_says_what_to_put_where(offline, tmp_path, monkeypatch):
    monkeypatch.setattr(fetching, "PBC_LISTING", offline)
    place = re.escape(str(tmp_path / "PBC_dataset_normal_DIB.zip"))
    with pytest.raises(ConnectionError, match=f"snkd93bnjr/1 cannot be downloaded.*{place}"):
        fetch_pbc(tmp_path)


@pytest.mark.parametrize("listing", [b"<html>", b"[]", b'{"message": "gone"}', b"[{}]"])
def test_fetch_pbc_with_another_listing(pbc, tmp_path, listing):
    pbc.files["listing"] = listing
    with pytest.raises(ConnectionError, match="does not list PBC_dataset_normal_DIB"):
        fetch_pbc(tmp_path / "home")


def test_fetch_pbc_checks_what_is_sent(pbc, tmp_path):
    pbc.files["pbc"] = pbc.files["pbc"][:-1] + b"x"
    with pytest.raises(OSError, match="has the SHA256 checksum"):
        fetch_pbc(tmp_path / "home")


def test_fetch_pbc_refuses_archives_that_are_not_whole(tmp_path, pbc):
    home = get_data_home(tmp_path / "home")
    archive = home / "PBC_dataset_normal_DIB.zip"
    write_pbc(archive, PBC[:-1])
    with pytest.raises(ValueError, match=r"holds the images .* expected .*'platelet': 1"):
        fetch_pbc(home)
    content = write_pbc(archive)
    for damaged in [content[:-50], content.replace(PBC[3].encode() * 2, b"x" * len(PBC[3]) * 2)]:
        archive.write_bytes(damaged)
        with pytest.raises(ValueError, match=r"is damaged .*: delete it"):
            fetch_pbc(home)
    # Nothing half unpacked is left.
    assert [path.name for path in home.iterdir()] == [archive.name]
