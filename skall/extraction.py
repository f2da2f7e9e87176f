"""Features of images, computed once per image."""

from hashlib import blake2b

import torch

from skall.acceleration import accelerate
from skall.feature_rows import make_rows
from skall.network import BLOCK, choose_multiple, run_padded

PASS_SIZE = 2 * BLOCK


def digest_trunk(extractor):
    """Bytes that identify what an extractor computes: its weights, normalisation and pooling.

    Parameters
    ----------
    extractor : FeatureExtractor

    Returns
    -------
    bytes
    """
    state = blake2b(digest_size=16)
    layers = [type(module).__name__ for module in extractor.trunk.modules()]
    state.update(f"{type(extractor.trunk)}{layers}{extractor.pooling}".encode())
    for tensor in [extractor.mean, extractor.std, *extractor.trunk.state_dict().values()]:
        state.update(tensor.detach().cpu().contiguous().numpy().tobytes())
    return state.digest()


def extract_features(extractor, images, rows, size, *, store, key, view=None):
    """Features of images, from the store where it has them.

    Parameters
    ----------
    extractor : FeatureExtractor
        On the device to run on, in evaluation mode.
    images : Images
    rows : sequence of int, length n
        Which of the images; each once, so that none is computed twice.
    size : int
        Height and width, in pixels, that the images are brought to.
    store : Store
    key : bytes or None
        What identifies the extractor in the store; None keeps its features out of it.
    view : skall.augmentation.View, optional
        The random view of the images that is taken; by default they are taken as they are.

    Returns
    -------
    ArrayRows or FileRows
        float32 ``(n, c, h', w')`` or ``(n, c)``.
    """
    names = [None] * len(rows)
    if key is not None:
        suffix = f"|{size}|{extractor.mean.device.type}|{extractor.numerics}|".encode()
        suffix += key + (view.digest() if view else b"")
        names = [images.fingerprint(row) + suffix for row in rows]
    found = None
    missing = []
    for place, name in enumerate(names):
        features = store.get(name) if name else None
        if features is None:
            missing.append(place)
            continue
        found = found or make_rows(len(rows), features.shape)
        found[place] = features
    run = _Runner(extractor, size, store, view)
    # What is stored must not depend on the batch it was computed in.
    multiple = choose_multiple(len(missing), size) if key is None else BLOCK
    for start in range(0, len(missing), PASS_SIZE):
        places = missing[start : start + PASS_SIZE]
        features = run(images, [rows[place] for place in places], multiple)
        found = found or make_rows(len(rows), features.shape[1:])
        for place, row in zip(places, features, strict=True):
            found[place] = row
            if key is not None:
                store.put(names[place], row)
    return found


class _Runner:
    """An extractor, which is made faster when there is something to run it on."""

    def __init__(self, extractor, size, store, view):
        self.extractor = extractor
        self.size = size
        self.store = store
        self.view = view
        self.fast = None

    def __call__(self, images, rows, multiple):
        device = self.extractor.mean.device
        batch = images.read_batch(rows, self.size, self.store)
        batch = self.view.draw(batch, device) if self.view else batch.to(device)
        with torch.no_grad():
            if self.fast is None:
                self.fast = accelerate(self.extractor, make_probe(self.size, device))
            return run_padded(self.fast, batch, multiple).cpu().numpy()


def make_probe(size, device):
    """An image of noise ``(1, 3, size, size)`` to see how a network runs, always the same."""
    noise = torch.rand(1, 3, size, size, generator=torch.Generator().manual_seed(0))
    return noise.to(device)
