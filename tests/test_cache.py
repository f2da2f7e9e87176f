"""The store of a process: bounded, and what is dear to make stays."""

import pickle
import tracemalloc
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest
from PIL import Image

from skall import CNNFeatures, ImagePreprocessor
from skall.cache import memory
from skall.cache.memory import IN_PROCESS, MemoryStore, get_store
from skall.datasets import make_blood_cells
from skall.network.trunk import FeatureExtractor

CELLS = make_blood_cells(12, n_patients=4, image_size=48, random_state=0)


@pytest.fixture
def paths(tmp_path):
    for row, pixels in enumerate(CELLS.data):
        Image.fromarray(pixels).save(tmp_path / f"{row}.png")
    return [str(tmp_path / f"{row}.png") for row in range(len(CELLS.data))]


def put(store, name, n_bytes, cheap=False):
    store.put(name.encode(), np.full(n_bytes, len(name), np.uint8), cheap=cheap)


def held(store, names):
    return "".join(name for name in names if store.get(name.encode()) is not None)


def test_cheap_arrays_give_way_to_dear_ones_the_oldest_first():
    store = MemoryStore(100)
    for name in "abc":
        put(store, name, 30, cheap=True)
    put(store, "D", 40)
    assert held(store, "abcD") == "bcD" and store.nbytes == 100
    put(store, "E", 30)
    assert held(store, "bcDE") == "cDE" and store.nbytes == 100
    put(store, "F", 1)
    assert held(store, "cDEF") == "DEF" and store.nbytes == 71


def test_nothing_gives_way_to_cheap_arrays_nor_dear_ones_to_dear():
    store = MemoryStore(100)
    put(store, "a", 50, cheap=True)
    put(store, "B", 50)
    put(store, "c", 50, cheap=True)
    assert held(store, "aBc") == "aB"
    put(store, "D", 50)
    put(store, "E", 50)
    assert held(store, "aBDE") == "BD"


def test_nothing_gives_way_to_what_would_not_fit_all_the_same():
    store = MemoryStore(100)
    put(store, "a", 50, cheap=True)
    put(store, "B", 40)
    put(store, "C", 61)
    put(store, "D", 1000)
    assert held(store, "aBCD") == "aB"


def test_without_memory_nothing_is_lost(monkeypatch):
    store = MemoryStore(100)
    put(store, "a", 60, cheap=True)

    def fail(*args):
        raise MemoryError

    with monkeypatch.context() as patch:
        patch.setattr(memory.np, "array", fail)
        put(store, "B", 60)
    assert held(store, "aB") == "a" and store.nbytes == 60
    put(store, "B", 60)
    assert held(store, "aB") == "B"


def test_it_says_what_it_holds_and_forgets_it():
    store = MemoryStore(2_000)
    assert repr(store) == "MemoryStore(0 images, 0 arrays of features, 0 of 2,000 bytes)"
    for name in "abcd":
        put(store, name, 400, cheap=True)
    put(store, "E", 800)
    assert repr(store) == "MemoryStore(3 images, 1 array of features, 2,000 of 2,000 bytes)"
    assert len(store) == 4
    store.clear()
    assert repr(store) == repr(MemoryStore(2_000))
    # Nothing is left that would be counted on to give way.
    put(store, "F", 2_001)
    put(store, "G", 2_000)
    assert held(store, "FG") == "G"


def test_a_copy_in_another_process_starts_empty():
    store = MemoryStore(100)
    put(store, "a", 10)
    again = pickle.loads(pickle.dumps(store))
    assert len(again) == 0 and again.max_bytes == 100


def test_threads():
    store = MemoryStore(10_000)

    def work(number):
        put(store, f"{number % 50}", 100 + number % 7, cheap=number % 3 > 0)
        store.get(b"1")
        return repr(store)

    with ThreadPoolExecutor(8) as pool:
        list(pool.map(work, range(3_000)))
    arrays = [store.get(f"{number}".encode()) for number in range(50)]
    assert store.nbytes == sum(array.nbytes for array in arrays if array is not None)
    assert 0 < store.nbytes <= store.max_bytes


def test_its_bytes_are_the_process_s():
    store = MemoryStore(5_000_000)
    tracemalloc.start()
    try:
        for number in range(1_000):
            put(store, str(number), 10_000, cheap=number % 2 > 0)
        current, _ = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert store.nbytes == 5_000_000 <= current < 5_500_000


def test_features_stay_where_images_fill_the_store(paths, monkeypatch):
    """Else the trunk would run again in each fold of a large data set."""
    store = MemoryStore(max_bytes=5 * 32 * 32 * 3)
    monkeypatch.setattr(memory, "IN_PROCESS", store)
    assert get_store("auto") is store
    ImagePreprocessor(32).fit_transform(paths)
    assert repr(store).startswith("MemoryStore(5 images, 0 arrays of features")
    features = CNNFeatures("timm/test_resnet", weights=None, image_size=32, random_state=0)
    expected = features.fit_transform(paths)
    assert "12 arrays of features" in repr(store)
    assert store.nbytes <= store.max_bytes

    def forbid(*args):
        raise AssertionError("computed again")

    monkeypatch.setattr(FeatureExtractor, "forward", forbid)
    np.testing.assert_array_equal(features.fit_transform(paths), expected)


def test_the_store_of_the_process_is_known_by_name(paths):
    IN_PROCESS.clear()
    ImagePreprocessor(32).fit_transform(paths)
    images = f"{12 * 32 * 32 * 3:,} of 1,000,000,000 bytes"
    assert repr(IN_PROCESS) == f"MemoryStore(12 images, 0 arrays of features, {images})"
    IN_PROCESS.clear()
    assert len(IN_PROCESS) == 0
