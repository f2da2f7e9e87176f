"""Features of images, computed once per image."""

from hashlib import blake2b

import torch

from skall.acceleration import accelerate
from skall.feature_rows import make_rows
from skall.read_ahead import read_ahead
from skall.recycling import ACCELERATED, DIGESTS
from skall.row_blocks import BLOCK, choose_multiple, choose_pass_size, run_halved


def digest_trunk(extractor):
    """Bytes that identify what an extractor computes: its weights, normalisation and pooling.

    Parameters
    ----------
    extractor : FeatureExtractor

    Returns
    -------
    bytes
    """
    trunk = extractor.trunk
    state = blake2b(DIGESTS.get(trunk, lambda: _digest_module(trunk)), digest_size=16)
    state.update(f"{extractor.pooling}".encode())
    for tensor in (extractor.mean, extractor.std):
        state.update(tensor.cpu().numpy().tobytes())
    return state.digest()


def _digest_module(module):
    digest = blake2b(digest_size=16)
    layers = [type(part).__name__ for part in module.modules()]
    digest.update(f"{type(module)}{layers}".encode())
    for tensor in module.state_dict().values():
        digest.update(tensor.cpu().contiguous().numpy())
    return digest.digest()


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
    # What is stored must not depend on the batch it was computed in.
    multiple = choose_multiple(len(missing), size) if key is None else BLOCK
    device = extractor.mean.device
    pass_size = choose_pass_size(device, size)
    passes = [missing[start : start + pass_size] for start in range(0, len(missing), pass_size)]
    run = _accelerate(extractor, size) if missing else None

    def read(places):
        return places, images.read_batch([rows[place] for place in places], size, store)

    for places, batch in read_ahead(map(read, passes)):
        batch = view.draw(batch, device) if view else batch.to(device)
        with torch.no_grad():
            features = run_halved(run, batch, multiple).cpu().numpy()
        found = found or make_rows(len(rows), features.shape[1:])
        for place, row in zip(places, features, strict=True):
            found[place] = row
            if key is not None:
                store.put(names[place], row)
    return found


def _accelerate(extractor, size):
    """The extractor as it runs fastest, made once for the parts of a cross-validation."""
    device = extractor.mean.device

    def make():
        return accelerate(extractor, make_probe(size, device)).trunk

    if device.type != "cpu":
        # It would stay there.
        return extractor.with_trunk(make())
    return extractor.with_trunk(ACCELERATED.get(extractor.trunk, make, extractor.numerics, size))


def make_probe(size, device):
    """An image of noise ``(1, 3, size, size)`` to see how a network runs, always the same."""
    noise = torch.rand(1, 3, size, size, generator=torch.Generator().manual_seed(0))
    return noise.to(device)
