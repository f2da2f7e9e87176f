"""The allocator: buffers are kept where that is asked for, and only there."""

import subprocess
import sys

import pytest

from skall import tune_allocator

SCRIPT = """
import ctypes, resource, sys
from skall import tune_allocator

library = ctypes.CDLL(None)
library.malloc.restype = ctypes.c_void_p

def write():
    address = ctypes.c_void_p(library.malloc(40_000_000))
    library.memset(address, 1, 40_000_000)
    library.free(address)

def count():
    before = resource.getrusage(resource.RUSAGE_SELF).ru_minflt
    for _ in range(10):
        write()
    return resource.getrusage(resource.RUSAGE_SELF).ru_minflt - before

if sys.argv[1] == "tuned":
    tune_allocator()
if sys.argv[1] == "compared":
    from skall import compare
    from sklearn.datasets import make_classification
    from sklearn.dummy import DummyClassifier
    compare({"net": DummyClassifier()}, *make_classification(), cv=2, verbose=0)
write()
print(count())
"""


@pytest.mark.thorough
@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="the C library is not glibc")
def test_kept_buffers_are_not_cleared_again():
    assert tune_allocator()
    faults = {
        kind: int(subprocess.check_output([sys.executable, "-c", SCRIPT, kind]))
        for kind in ("plain", "tuned", "compared")
    }
    assert faults["tuned"] < faults["plain"] / 10
    # Neither an import nor a comparison in the user's process changes it.
    assert faults["compared"] > faults["plain"] / 2
