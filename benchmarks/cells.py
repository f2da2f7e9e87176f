"""Synthetic cells for measurements, as files and as arrays."""

import numpy as np
from PIL import Image

from skall.datasets import make_blood_cells

FILE_SIZE = 257


def draw_cells(n_images, size, n_drawn=300):
    """Cells, no two alike.

    Drawing takes long, so that some are drawn, and each is shown as often as is needed, turned,
    moved and stained otherwise.

    Parameters
    ----------
    n_images : int
    size : int
        Height and width in pixels.
    n_drawn : int, default=300

    Yields
    ------
    PIL.Image.Image, str
        The image and its class.
    bool
        Whether the class is the positive one.
    """
    n_drawn = min(n_drawn, n_images)
    cells = make_blood_cells(n_drawn, n_patients=4, image_size=size, random_state=0)
    rng = np.random.default_rng(0)
    for number in range(n_images):
        drawn = number % n_drawn
        pixels = np.roll(cells.data[drawn], rng.integers(-20, 21, 2), axis=(0, 1))
        pixels = np.rot90(pixels, rng.integers(4)) * rng.uniform(0.9, 1, 3)
        label = cells.target[drawn]
        yield Image.fromarray(pixels.astype(np.uint8)), label, label == cells.pos_label


def write_cells(folder, n_images, size):
    """Synthetic cells as JPEG files in folders of classes, and decoded to the network's size.

    Parameters
    ----------
    folder : Path
    n_images : int
    size : int
        Pixels of the decoded images.
    """
    decoded, targets = [], []
    for number, (image, label, is_positive) in enumerate(draw_cells(n_images, FILE_SIZE)):
        path = folder / "files" / label / f"{number:04}.jpg"
        path.parent.mkdir(parents=True, exist_ok=True)
        image.save(path, quality=95)
        decoded.append(np.asarray(image.resize((size, size), Image.Resampling.BILINEAR)))
        targets.append(int(is_positive))
    np.save(folder / "images.npy", np.stack(decoded))
    np.save(folder / "targets.npy", np.array(targets, dtype=np.int64))
