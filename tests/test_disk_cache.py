"""Caches on disk: what they save, and what they survive."""

import errno
import os
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from zlib import crc32

import joblib
import numpy as np
import pytest
import torch
from PIL import Image

from skall import (
    CNNClassifier,
    CNNFeatures,
    HandcraftedFeatures,
    ImagePreprocessor,
)
from skall.cache.disk import LEDGER, MAX_BYTES, SETTINGS, DiskStore, open_cache
from skall.cache.memory import get_store
from skall.cli.commands import main
from skall.datasets import make_blood_cells
from skall.environment import versions
from skall.network.trunk import FeatureExtractor

CELLS = make_blood_cells(24, n_patients=4, image_size=48, random_state=0)
TINY = {"weights": None, "image_size": 32, "random_state": 0}


@pytest.fixture
def paths(tmp_path):
    files = [tmp_path / f"{row}.png" for row in range(24)]
    for file, pixels in zip(files, CELLS.data, strict=True):
        Image.fromarray(pixels).save(file)
    return np.array([str(file) for file in files], dtype=object)[:, None]


def predict(paths, memory, trainable="head"):
    net = CNNClassifier(
        "timm/test_resnet", trainable=trainable, max_epochs=2, memory=memory, **TINY
    )
    return net.fit(paths[:16], CELLS.target[:16]).predict_proba(paths)


def forbid(*args, **options):
    raise AssertionError("computed again")


@pytest.mark.parametrize(
    "package", ["skall", "torch", "torchvision", "timm", "numpy", "pillow", "scikit-image"]
)
def test_another_version_computes_anew(tmp_path, monkeypatch, package):
    DiskStore(tmp_path).put(b"key", np.arange(3))
    assert DiskStore(tmp_path).get(b"key") is not None
    known = versions.version
    monkeypatch.setattr(versions, "version", lambda n: "99" if n == package else known(n))
    assert DiskStore(tmp_path).get(b"key") is None


@pytest.mark.parametrize("part", ["torch.backends.cpu.get_cpu_capability", "PIL.features.version"])
def test_another_processor_or_decoder_computes_anew(tmp_path, monkeypatch, part):
    DiskStore(tmp_path).put(b"key", np.arange(3))
    monkeypatch.setattr(part, lambda *names: "other")
    assert DiskStore(tmp_path).get(b"key") is None


def test_features_of_another_device_are_computed_anew(paths, tmp_path, monkeypatch):
    """Of the same kind, as those of two models of GPUs."""
    store = get_store(tmp_path / "cache")
    features = CNNFeatures("timm/test_resnet", memory=tmp_path / "cache", **TINY)
    features.fit_transform(paths)
    held = len(store)
    features.fit_transform(paths)
    assert len(store) == held
    monkeypatch.setattr(
        "skall.features.extraction.describe_device", lambda device: f"another {device}"
    )
    features.fit_transform(paths)
    assert len(store) == held + 24


@pytest.mark.parametrize("trainable", ["head", "all"])
def test_the_next_run_reads_what_the_first_made(paths, tmp_path, monkeypatch, trainable):
    expected = predict(paths, None, trainable)
    folder = tmp_path / "cache"
    np.testing.assert_array_equal(predict(paths, folder, trainable), expected)
    monkeypatch.setattr(Image, "open", forbid)
    if trainable == "head":
        # Not even the trunk runs.
        monkeypatch.setattr(FeatureExtractor, "forward", forbid)
    np.testing.assert_array_equal(predict(paths, str(folder), trainable), expected)
    # Of a file, as whatever goes wrong while it is read.
    with pytest.raises((AssertionError, ValueError), match="computed again"):
        predict(paths, None, trainable)


def test_estimators_share_a_folder(paths, tmp_path, monkeypatch):
    folder = tmp_path / "cache"
    make = {"weights": None, "image_size": 32, "random_state": 0, "memory": folder}
    first = CNNFeatures("timm/test_resnet", **make).fit_transform(paths)
    pixels = ImagePreprocessor(size=32, contrast="equalize", memory=folder).fit_transform(paths)
    numbers = HandcraftedFeatures(memory=joblib.Memory(folder)).fit_transform(paths)
    monkeypatch.setattr(Image, "open", forbid)
    again = CNNFeatures("timm/test_resnet", **make).fit_transform(paths)
    np.testing.assert_array_equal(first, again)
    preprocessor = ImagePreprocessor(size=32, contrast="equalize", memory=folder)
    np.testing.assert_array_equal(preprocessor.fit_transform(paths), pixels)
    handcrafted = HandcraftedFeatures(memory=folder).fit_transform(paths)
    np.testing.assert_array_equal(handcrafted, numbers)


def test_what_decides_the_last_bits_decides_the_file(tmp_path):
    store = DiskStore(tmp_path)
    store.put(b"key", np.arange(3))
    before = torch.get_num_threads()
    torch.set_num_threads(before + 1)
    try:
        assert DiskStore(tmp_path).get(b"key") is None
    finally:
        torch.set_num_threads(before)
    assert DiskStore(tmp_path).get(b"key").tolist() == [0, 1, 2]


def test_a_file_that_cannot_be_opened_now_is_kept(tmp_path, monkeypatch):
    store = DiskStore(tmp_path)
    store.put(b"key", np.arange(3))

    def fail(*args, **kwargs):
        raise OSError(errno.EMFILE, "Too many open files")

    with monkeypatch.context() as patch:
        patch.setattr(Path, "read_bytes", fail)
        assert store.get(b"key") is None
    assert store.get(b"key").tolist() == [0, 1, 2]


def test_threads_keep_to_the_limit_together(tmp_path):
    store = DiskStore(tmp_path)
    store.set_limit(10_000)
    with ThreadPoolExecutor(8) as pool:
        list(pool.map(lambda n: store.put(b"%d" % n, np.zeros(100)), range(64)))
    assert len(store) == 10_000 // (800 + HEAD)


def test_a_changed_file_is_read_anew(tmp_path):
    folder = tmp_path / "cache"
    # Of one size in bytes.
    path = tmp_path / "cell.bmp"
    for time, grey in enumerate((5, 9)):
        Image.new("RGB", (48, 48), (grey, grey, grey)).save(path)
        os.utime(path, (time, time))
        found = ImagePreprocessor(size=32, memory=folder).fit_transform([str(path)])
        assert (found == grey).all()


def test_sizes_are_kept_apart(paths, tmp_path):
    for size in (32, 48):
        features = CNNFeatures("timm/test_resnet", **(TINY | {"image_size": size}))
        found, expected = (
            features.set_params(memory=memory).fit_transform(paths[:2])
            for memory in (tmp_path / "cache", None)
        )
        np.testing.assert_array_equal(found, expected)


def invert(content, start, stop):
    """The content with some of its bytes inverted."""
    return content[:start] + bytes(255 - byte for byte in content[start:stop]) + content[stop:]


@pytest.mark.parametrize(
    "damage",
    [
        lambda content: b"",
        # The checksum of nothing.
        lambda content: bytes(4),
        lambda content: content[:40],
        lambda content: content[:-10],
        lambda content: b"nothing of the kind",
        lambda content: b"PK\x03\x04" + content[4:],
        lambda content: invert(content, 10, 12),
        lambda content: invert(content, len(content) - 20, len(content) - 10),
    ],
    ids=["empty", "zeros", "head", "short", "text", "zip", "header", "values"],
)
def test_a_damaged_file_is_made_again(tmp_path, damage):
    store = DiskStore(tmp_path)
    store.put(b"key", np.arange(3))
    [path] = tmp_path.glob("*/*.npy")
    path.write_bytes(damage(path.read_bytes()))
    assert store.get(b"key") is None
    store.put(b"key", np.arange(3))
    assert store.get(b"key").tolist() == [0, 1, 2]


def test_objects_are_never_unpickled(tmp_path):
    store = DiskStore(tmp_path)
    store.put(b"key", np.arange(3))
    [path] = tmp_path.glob("*/*.npy")
    np.save(path, np.array([{}], dtype=object), allow_pickle=True)
    content = path.read_bytes()
    path.write_bytes(content + crc32(content).to_bytes(4, "little"))
    assert store.get(b"key") is None and not path.exists()


# Of a file beside the numbers of its array: the head, and a checksum.
HEAD = 128 + 4


def test_what_does_not_fit_is_not_admitted(tmp_path):
    limit = 3 * (500 + HEAD)
    DiskStore(tmp_path).set_limit(limit)
    store = DiskStore(tmp_path)
    for number in range(4):
        store.put(b"%d" % number, np.zeros(500, np.uint8))
    assert len(store) == 3 and store.get(b"0") is not None and store.get(b"3") is None
    assert store.nbytes == limit
    DiskStore(tmp_path).put(b"4", np.zeros(1, np.uint8))
    assert len(store) == 3
    store.set_limit(10_000)
    DiskStore(tmp_path).put(b"4", np.zeros(1, np.uint8))
    assert len(store) == 4


def test_images_leave_half_of_the_folder_to_features(tmp_path):
    store = DiskStore(tmp_path)
    store.set_limit(4 * (500 + HEAD))
    for number in range(4):
        store.put(b"%d" % number, np.zeros(500, np.uint8), cheap=True)
    assert len(store) == 2
    for number in range(4):
        store.put(b"features of %d" % number, np.zeros(500, np.uint8))
    assert len(store) == 4


def test_processes_keep_to_the_limit_together(tmp_path):
    DiskStore(tmp_path).set_limit(10_000)
    script = """
import sys
import numpy as np
from skall.cache.disk import DiskStore

DiskStore._salt = b"no torch, which takes seconds to import"
store, name = DiskStore(sys.argv[1]), sys.argv[2]
store.put(name.encode(), np.zeros(10))
print("ready", flush=True)
input()
for number in range(64):
    store.put(f"{name}{number}".encode(), np.zeros(100))
"""
    writers = [
        subprocess.Popen(
            [sys.executable, "-c", script, tmp_path, name],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )
        for name in "abc"
    ]
    for writer in writers:
        # All have seen a folder that is nearly empty.
        assert writer.stdout.readline() == "ready\n"
    for writer in writers:
        writer.communicate("\n", timeout=60)
        assert writer.returncode == 0
    assert 10_000 - (800 + HEAD) < DiskStore(tmp_path).nbytes <= 10_000


def test_room_of_files_that_were_removed_is_found(tmp_path):
    DiskStore(tmp_path).set_limit(2 * (500 + HEAD))
    for number in range(2):
        DiskStore(tmp_path).put(b"%d" % number, np.zeros(500, np.uint8))
    next(tmp_path.glob("*/*.npy")).unlink()
    DiskStore(tmp_path).put(b"2", np.zeros(500, np.uint8))
    assert DiskStore(tmp_path).get(b"2") is not None
    # Neither is what a damaged file took counted for ever.
    next(tmp_path.glob("*/*.npy")).write_bytes(b"")
    store = DiskStore(tmp_path)
    assert sum(store.get(b"%d" % number) is None for number in range(3)) == 2
    store.put(b"3", np.zeros(500, np.uint8))
    assert len(store) == 2


@pytest.mark.parametrize("content", ["", "many", "-3", "12 monkeys"])
def test_a_damaged_ledger_is_counted_anew(tmp_path, content):
    store = DiskStore(tmp_path)
    store.put(b"key", np.zeros(500, np.uint8))
    (tmp_path / LEDGER).write_text(content)
    store.put(b"another", np.zeros(500, np.uint8))
    assert int((tmp_path / LEDGER).read_text()) == store.nbytes == 2 * (500 + HEAD)


def make_writing_fail(patch, error):
    def fail(*args, **options):
        raise error

    patch.setattr(Path, "write_bytes", fail)


def test_who_clears_does_no_harm(tmp_path, monkeypatch):
    store = DiskStore(tmp_path)
    with monkeypatch.context() as patch:
        make_writing_fail(patch, FileNotFoundError(errno.ENOENT, "gone"))
        store.put(b"key", np.arange(3))
    assert store.get(b"key") is None and not list(tmp_path.rglob("*.partial"))
    store.put(b"key", np.arange(3))
    assert store.get(b"key").tolist() == [0, 1, 2]


@pytest.mark.parametrize("number", [errno.ENOSPC, errno.EROFS, errno.EACCES])
def test_where_nothing_can_be_written_work_goes_on(paths, tmp_path, monkeypatch, number):
    folder = tmp_path / "cache"
    warm = ImagePreprocessor(size=32, memory=folder).fit_transform(paths[:2])
    expected = ImagePreprocessor(size=32, memory=None).fit_transform(paths)
    make_writing_fail(monkeypatch, OSError(number, "cannot be written"))
    # One warning, for all images.
    with pytest.warns(UserWarning, match="nothing more is kept in .*cache.*cannot be") as caught:
        images = ImagePreprocessor(size=32, memory=folder).fit_transform(paths)
    assert len(caught) == 1
    np.testing.assert_array_equal(images, expected)
    np.testing.assert_array_equal(images[:2], warm)
    assert len(DiskStore(folder)) == 2 and not list(folder.rglob("*.partial"))


@pytest.mark.skipif(sys.platform != "linux", reason="files of this process cannot be limited")
def test_a_disk_that_is_full_in_the_middle_of_a_file(tmp_path):
    script = """
import resource, signal, sys
import numpy as np
from skall.cache.disk import DiskStore

signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
resource.setrlimit(resource.RLIMIT_FSIZE, (4096, 4096))
store = DiskStore(sys.argv[1])
store.put(b"small", np.arange(3))
store.put(b"large", np.zeros(100_000))
"""
    done = subprocess.run(
        [sys.executable, "-c", script, tmp_path], capture_output=True, text=True, check=True
    )
    assert "nothing more is kept" in done.stderr
    store = DiskStore(tmp_path)
    assert store.get(b"small").tolist() == [0, 1, 2] and store.get(b"large") is None
    assert not list(tmp_path.rglob("*.partial"))


@pytest.mark.parametrize("content", ["", "[]", "3", '{"max_bytes": "many"}', "{}"])
def test_damaged_settings_are_those_of_a_new_folder(tmp_path, content):
    (tmp_path / SETTINGS).write_text(content)
    store = DiskStore(tmp_path)
    store.put(b"key", np.arange(3))
    assert store.max_bytes == MAX_BYTES and len(store) == 1


@pytest.mark.parametrize("memory", ["", 3, b"folder"])
def test_what_is_no_memory(memory):
    with pytest.raises(ValueError, match="memory must be 'auto', None, a folder or"):
        get_store(memory)


def test_a_file_is_no_memory(paths):
    with pytest.raises(ValueError, match=r"a folder or a joblib.Memory; got '.*', a file"):
        get_store(paths[0, 0])


def test_many_writers_of_one_array(tmp_path):
    def write(number):
        DiskStore(tmp_path).put(b"%d" % (number % 4), np.full(10_000, number % 4))

    with ThreadPoolExecutor(8) as pool:
        list(pool.map(write, range(64)))
    assert len(DiskStore(tmp_path)) == 4
    for number in range(4):
        assert (DiskStore(tmp_path).get(b"%d" % number) == number).all()
    assert not list(tmp_path.rglob("*.partial"))


def test_memory_of_joblib(tmp_path):
    assert get_store(joblib.Memory(tmp_path)).folder == tmp_path
    nothing = get_store(joblib.Memory(None))
    nothing.put(b"key", np.arange(3))
    assert nothing.get(b"key") is None


def test_command_line(tmp_path, capsys):
    folder = tmp_path / "cache"
    store = DiskStore(folder)
    store.put(b"key", np.zeros(1_000_000, np.uint8))
    (folder / "notes.txt").write_text("mine")
    assert main(["cache", str(folder)]) == 0
    assert capsys.readouterr().out == f"{folder}: 1 arrays, 0.001 of 20 GB\n"
    assert main(["cache", str(folder), "--limit", "0.5", "--clear"]) == 0
    assert capsys.readouterr().out == f"{folder}: 0 arrays, 0 of 0.5 GB\n"
    assert {path.name for path in folder.iterdir() if path.is_file()} == {
        SETTINGS,
        LEDGER,
        "notes.txt",
    }
    assert open_cache(folder).max_bytes == 500_000_000
    with pytest.raises(SystemExit):
        main(["cache", str(folder), "--limit", "much"])
    assert "--limit: 'much' is no size above 0 in GB, such as 2.5" in capsys.readouterr().err
    assert main(["cache", str(tmp_path), "--clear"]) == 2
    assert "is no cache of skall" in capsys.readouterr().err
