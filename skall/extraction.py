"""Features of images, computed once per image."""

from hashlib import blake2b

import numpy as np
import torch

from skall.network import BLOCK, choose_multiple, run_padded


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


def extract_features(extractor, images, size, *, store, key, batch_size):
    """Features of every image, from the store where it has them.

    Parameters
    ----------
    extractor : FeatureExtractor
        On the device to run on, in evaluation mode.
    images : Images
        n rows.
    size : int
        Height and width, in pixels, that the images are brought to.
    store : Store
    key : bytes or None
        What identifies the extractor in the store; None keeps its features out of it.
    batch_size : int
        Images a pass.

    Returns
    -------
    torch.Tensor
        float32 ``(n, c, h', w')`` or ``(n, c)``, on the CPU.
    """
    names = [images.fingerprint(row) + b"|%d|" % size + (key or b"") for row in range(len(images))]
    found = [None if key is None else store.get(name) for name in names]
    missing = [row for row, features in enumerate(found) if features is None]
    for start in range(0, len(missing), batch_size):
        rows = missing[start : start + batch_size]
        batch = images.read_batch(rows, size, store).to(extractor.mean.device)
        with torch.no_grad():
            # What is stored must not depend on the batch it was computed in.
            multiple = choose_multiple(len(rows), size) if key is None else BLOCK
            features = run_padded(extractor, batch, multiple).cpu().numpy()
        for row, array in zip(rows, features, strict=True):
            found[row] = array
            if key is not None:
                store.put(names[row], array)
    return torch.from_numpy(np.stack(found))
