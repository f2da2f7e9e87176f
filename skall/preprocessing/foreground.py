"""The cell in an image: what is stained, and what is neither background nor padding."""

import numpy as np
from scipy import ndimage

# Cut-outs and padding are black; JPEG and resizing leave it a little lighter.
DARKEST = 10
# Below this difference of stain, in [0, 1], there is noise and no cell.
LEAST_CONTRAST = 0.1
# A smaller share of the image is a platelet or dust.
LEAST_AREA = 0.01
# The outline found may leave out pale cytoplasm: this share of it is kept on each side.
MARGIN = 0.25
# Pixels that an outline is searched in; more of them only take longer.
SEARCH_SIDE = 256


def is_black(pixels):
    """Where an RGB image ``(h, w, 3)`` of uint8 shows nothing, as around a cell cut out."""
    return _find_strongest(pixels) <= DARKEST


def _find_strongest(pixels):
    # Channel by channel: a reduction over three numbers at a time takes ten times as long.
    red, green, blue = np.moveaxis(pixels, 2, 0)
    return np.maximum(np.maximum(red, green), blue)


def find_threshold(values):
    """The threshold between two kinds of values.

    Parameters
    ----------
    values : ndarray
        In [0, 1], or beyond by rounding.

    Returns
    -------
    float
        To 1/256; the middle where several separate them alike.

    References
    ----------
    Otsu, N. (1979). A threshold selection method from gray-level histograms. IEEE Transactions
    on Systems, Man, and Cybernetics 9, 62-66. https://doi.org/10.1109/TSMC.1979.4310076
    """
    counts, levels = count_levels(values), np.arange(256) / 256
    weights = np.cumsum(counts) / counts.sum()
    means = np.cumsum(counts * levels) / counts.sum()
    spread = np.maximum(weights * (1 - weights), 1e-12)
    between = (means[-1] * weights - means) ** 2 / spread
    best = np.flatnonzero(np.isclose(between, between.max()))
    return (round(best.mean()) + 1) / 256


def count_levels(values):
    """The histogram of values in [0, 1] in 256 bins, of which the last holds 1 too."""
    bins = (256 * np.clip(values, 0, 1)).astype(np.uint16)
    return np.bincount(np.minimum(bins, 255).ravel(), minlength=256)


def find_cell(pixels):
    """The stained cell that is largest and nearest the centre.

    Red cells let red light through, and nuclei and cytoplasm that are stained blue to violet do
    not and are more saturated: the mean of the two, 1 - R and HSV's S, tells them apart. Black,
    around cells that are cut out, counts as background.

    Parameters
    ----------
    pixels : ndarray of uint8, shape (h, w, 3)

    Returns
    -------
    ndarray of bool, shape (h, w), or None
        None where nothing stands out.
    """
    red, green, blue = np.moveaxis(pixels, 2, 0)
    strongest, weakest = _find_strongest(pixels), np.minimum(np.minimum(red, green), blue)
    saturation = (strongest - weakest) / np.maximum(strongest, 1).astype(float)
    stain = np.where(strongest <= DARKEST, 0, (1 - red / 255 + saturation) / 2)
    smooth = ndimage.gaussian_filter(stain, max(stain.shape) / 128)
    dark = smooth >= find_threshold(smooth)
    regions, n_regions = ndimage.label(open_regions(dark))
    if n_regions == 0 or dark.all():
        return None
    if smooth[dark].mean() - smooth[~dark].mean() < LEAST_CONTRAST:
        return None
    sums = np.bincount(regions.ravel(), _weigh_centre(dark.shape).ravel())[1:]
    cell = fill_holes(regions == 1 + np.argmax(sums))
    return cell if cell.mean() >= LEAST_AREA else None


def open_regions(mask):
    """The parts of regions that a square of 3 by 3 pixels fits into; outside there are none."""
    for combine in (np.logical_and, np.logical_or):
        for axis in (0, 1):
            padded = np.pad(mask, [(int(axis == 0),) * 2, (int(axis == 1),) * 2])
            length = mask.shape[axis]
            before, here, after = (padded.take(range(k, k + length), axis) for k in range(3))
            mask = combine(combine(before, here), after)
    return mask


def fill_holes(mask):
    """The mask and what it encloses, in a third of the time that scipy's function takes."""
    outer, n_outer = ndimage.label(~mask)
    is_open = np.zeros(n_outer + 1, dtype=bool)
    for side in (outer[0], outer[-1], outer[:, 0], outer[:, -1]):
        is_open[side] = True
    is_open[0] = False
    return ~is_open[outer]


def _weigh_centre(shape):
    """Weights of pixels that fall from the centre, by half at 0.3 of the width."""
    rows, columns = (np.linspace(-1, 1, length) ** 2 for length in shape)
    return np.exp(-2 * (rows[:, None] + columns))


def crop_to_cell(picture):
    """The square about the cell of an image, with a margin; the whole where no cell is found.

    Parameters
    ----------
    picture : PIL.Image.Image
        Of mode RGB.

    Returns
    -------
    PIL.Image.Image
        A square where the image is large enough, so that shapes last.
    """
    small = picture.copy()
    small.thumbnail((SEARCH_SIDE, SEARCH_SIDE))
    cell = find_cell(np.asarray(small))
    if cell is None:
        return picture
    rows, columns = ndimage.find_objects(cell.astype(int))[0]
    scale = max(picture.size) / max(small.size)
    side = max(rows.stop - rows.start, columns.stop - columns.start) * (1 + 2 * MARGIN) * scale
    left, right = _place(columns, scale, side, picture.width)
    upper, lower = _place(rows, scale, side, picture.height)
    return picture.crop((left, upper, right, lower))


def _place(span, scale, side, length):
    """Start and end of a stretch about a span, moved inside the image where it leaves it."""
    side = min(round(side), length)
    start = round((span.start + span.stop) / 2 * scale - side / 2)
    start = min(max(start, 0), length - side)
    return start, start + side
