"""Names that the README had, in modules that have moved: they work, with a warning."""

import importlib
import subprocess
import sys
import warnings

import pytest

from skall.backbones.weights import export
from skall.features.shortcuts import ShortcutFeatures
from skall.network.frozen import LAST_TRUNK


@pytest.mark.parametrize(
    ("module", "name", "now", "place"),
    [
        ("skall.weights", "export", export, "skall.backbones.weights.export"),
        (
            *("skall.shortcuts", "ShortcutFeatures", ShortcutFeatures),
            "skall.features.shortcuts.ShortcutFeatures",
        ),
        ("skall.recycling", "forget", LAST_TRUNK.clear, "skall.network.frozen.LAST_TRUNK.clear"),
    ],
)
def test_old_places(module, name, now, place):
    old = importlib.import_module(module)
    with pytest.warns(DeprecationWarning, match=rf"{module}\.{name} is now {place};"):
        assert getattr(old, name) == now
    with warnings.catch_warnings(), pytest.raises(AttributeError, match=f"{module!r} has no"):
        warnings.simplefilter("error")
        old.nothing  # noqa: B018


def test_a_script_shows_the_warning():
    script = "from skall.shortcuts import ShortcutFeatures"
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True)
    assert done.returncode == 0
    assert "<string>:1: DeprecationWarning: skall.shortcuts.ShortcutFeatures" in done.stderr
