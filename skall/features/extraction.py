"""Features of images, computed once per image."""

from hashlib import blake2b
from itertools import islice
from random import Random

import torch

from skall.features.feature_rows import LateRows
from skall.images.prefetch import read_ahead
from skall.network.blocks import BLOCK, choose_multiple, choose_pass_size, run_halved
from skall.network.device import describe_device
from skall.network.folding import accelerate
from skall.network.recycling import ACCELERATED, DIGESTS


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
    view : skall.preprocessing.augmentation.View, optional
        The random view of the images that is taken; by default they are taken as they are.

    Returns
    -------
    ArrayRows or FileRows
        float32 ``(n, c, h', w')`` or ``(n, c)``.
    """
    names = [None] * len(rows)
    if key is not None:
        place = describe_device(extractor.mean.device)
        suffix = f"|{size}|{place}|{extractor.numerics}|".encode()
        suffix += key + (view.digest() if view else b"")
        names = [images.fingerprint(row) + suffix for row in rows]
    found = LateRows(len(rows))
    order = range(len(rows))
    if store.is_shared and key is not None:
        # Processes that start together on the same images divide them, for each begins elsewhere.
        order = Random().sample(order, len(rows))
    # What is stored must not depend on the batch it was computed in.
    multiple = choose_multiple(len(rows), size) if key is None else BLOCK
    device = extractor.mean.device
    run = None

    def is_missing(place):
        features = store.get(names[place]) if names[place] else None
        if features is not None:
            found[place] = features
        return features is None

    def read(places):
        return places, images.read_batch([rows[place] for place in places], size, store)

    # Looked for just before it would be computed: another process may have done so meanwhile.
    passes = _batched(filter(is_missing, order), choose_pass_size(device, size))
    for places, batch in read_ahead(map(read, passes)):
        run = run or _accelerate(extractor, size)
        batch = view.draw(batch, device) if view else batch.to(device)
        with torch.no_grad():
            features = run_halved(run, batch, multiple).cpu().numpy()
        for place, row in zip(places, features, strict=True):
            found[place] = row
            if key is not None:
                store.put(names[place], row)
    return found.rows


def _batched(items, size):
    """Lists of so many items; the last may be shorter."""
    return iter(lambda: list(islice(items, size)), [])


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
