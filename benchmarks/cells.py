"""Synthetic cells for measurements, as files and as arrays."""

import numpy as np
from PIL import Image

from skall.datasets import make_blood_cells

FILE_SIZE = 257


def write_cells(folder, n_images, size):
    """Synthetic cells as JPEG files in folders of classes, and decoded to the network's size.

    Parameters
    ----------
    folder : Path
    n_images : int
    size : int
        Pixels of the decoded images.
    """
    cells = make_blood_cells(n_images, n_patients=4, image_size=FILE_SIZE, random_state=0)
    decoded = []
    for number, (pixels, label) in enumerate(zip(cells.data, cells.target, strict=True)):
        image = Image.fromarray(pixels)
        path = folder / "files" / label / f"{number:04}.jpg"
        path.parent.mkdir(parents=True, exist_ok=True)
        image.save(path, quality=95)
        decoded.append(np.asarray(image.resize((size, size), Image.Resampling.BILINEAR)))
    np.save(folder / "images.npy", np.stack(decoded))
    np.save(folder / "targets.npy", (cells.target == cells.pos_label).astype(np.int64))
