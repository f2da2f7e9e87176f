"""Features of images, computed once per image."""

from hashlib import blake2b

import numpy as np
import torch

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
    state.update(f"{type(extractor.trunk)}{extractor.pooling}".encode())
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
    torch.Tensor
        float32 ``(n, c, h', w')`` or ``(n, c)``, on the CPU.
    """
    device = extractor.mean.device
    names = [None] * len(rows)
    if key is not None:
        suffix = f"|{size}|{device.type}|".encode() + key + (view.digest() if view else b"")
        names = [images.fingerprint(row) + suffix for row in rows]
    found = [name and store.get(name) for name in names]
    missing = [place for place, features in enumerate(found) if features is None]
    for start in range(0, len(missing), PASS_SIZE):
        places = missing[start : start + PASS_SIZE]
        batch = images.read_batch([rows[place] for place in places], size, store)
        batch = view.draw(batch, device) if view else batch.to(device)
        with torch.no_grad():
            # What is stored must not depend on the batch it was computed in.
            multiple = choose_multiple(len(places), size) if key is None else BLOCK
            features = run_padded(extractor, batch, multiple).cpu().numpy()
        for place, array in zip(places, features, strict=True):
            found[place] = array
            if key is not None:
                store.put(names[place], array)
    return torch.from_numpy(np.stack(found))
