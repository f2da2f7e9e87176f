"""Features of images, computed once per image."""

from hashlib import blake2b
from itertools import islice
from random import Random

import torch

from skall.backbones.registry import describe_source
from skall.cache.store import make_key
from skall.features.feature_rows import LateRows
from skall.images.prefetch import read_ahead
from skall.network.blocks import BLOCK, choose_multiple, choose_pass_size, run_halved
from skall.network.device import describe_device
from skall.network.frozen import get_frozen


def identify_extractor(extractor, name, weights, random_state):
    """What identifies the features of an extractor in a store.

    Parameters
    ----------
    extractor : FeatureExtractor
    name : str
        The backbone's: trunks with the same weights may compute different features, and those of
        another version of a plugin too.
    weights, random_state
        The estimator's parameters.

    Returns
    -------
    bytes or None
        Made from the weights, normalisation and pooling as they are now; None for random weights
        without a seed.
    """
    if weights is None and random_state is None:
        return None
    digest = blake2b(get_frozen(extractor.trunk).digest, digest_size=16)
    digest.update(f"{extractor.pooling}".encode())
    for tensor in (extractor.mean, extractor.std):
        digest.update(tensor.cpu().numpy().tobytes())
    return f"{name} {describe_source(name)}".encode() + digest.digest()


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
        suffix = make_key(
            b"", size, place, extractor.numerics, key + (view.digest() if view else b"")
        )
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
        run = run or get_frozen(extractor.trunk).accelerate(extractor, size)
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
