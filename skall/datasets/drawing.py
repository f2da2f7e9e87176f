"""Draw one stained white blood cell among red cells, as a microscope's camera would see it.

Lengths are in micrometres. Every structure adds its optical density, and the picture is the
light that is left (Beer-Lambert), so that overlapping cells darken each other as in a smear.
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

__all__ = ["Morphology", "Slide", "draw_cell"]

FIELD = 26.0
"""Width of a crop in micrometres; a red cell is 7 to 8 wide."""

# Optical densities (natural logarithm) of red, green and blue light, read off stained smears.
NUCLEUS = np.array([1.25, 1.75, 0.62], dtype=np.float32)
CYTOPLASM = np.array([0.50, 0.42, 0.05], dtype=np.float32)
RED_CELL = np.array([0.17, 0.34, 0.24], dtype=np.float32)


@dataclass(frozen=True)
class Morphology:
    """What makes a white cell a blast or a mature lymphocyte.

    Attributes
    ----------
    nucleus_radius : float
        Mean radius of the nucleus, in micrometres.
    nucleus_fraction : float
        Share of the cell's area that the nucleus takes, in (0, 1).
    irregularity : float
        Relative amplitude of the nucleus's outline.
    cleft : float
        Depth of the fold in the nucleus's outline, as a part of its radius.
    chromatin_size : float
        Size of the chromatin's grains or clumps, in micrometres.
    chromatin_contrast : float
        Relative standard deviation of the chromatin's density.
    n_nucleoli : int
        Number of pale spots in the nucleus.
    """

    nucleus_radius: float
    nucleus_fraction: float
    irregularity: float
    cleft: float
    chromatin_size: float
    chromatin_contrast: float
    n_nucleoli: int


@dataclass(frozen=True)
class Slide:
    """How a slide was stained, lit and photographed.

    Attributes
    ----------
    light : ndarray of shape (3,)
        Red, green and blue of the empty background, in (0, 1].
    nucleus, cytoplasm, red_cell : ndarray of shape (3,)
        Optical densities for red, green and blue light.
    blur : float
        Standard deviation of the defocus, in micrometres.
    crowding : float
        Expected number of red cells that are tried in a crop.
    """

    light: np.ndarray
    nucleus: np.ndarray
    cytoplasm: np.ndarray
    red_cell: np.ndarray
    blur: float
    crowding: float


def draw_cell(
    morphology: Morphology, slide: Slide, size: int, rng: np.random.Generator
) -> NDArray[np.float32]:
    """Draw a crop centred on one white cell.

    Parameters
    ----------
    morphology : Morphology
        Shape and texture of the white cell.
    slide : Slide
        Stain, light and focus.
    size : int
        Height and width of the crop in pixels; it always shows the same 26 micrometres.
    rng : numpy.random.Generator
        Source of every random decision.

    Returns
    -------
    image : ndarray of shape (size, size, 3), float32
        Red, green and blue in [0, 1].
    """
    pixel = FIELD / size
    axis = ((np.arange(size) + 0.5) * pixel - FIELD / 2).astype(np.float32)
    plane = axis[None, :] + 1j * axis[:, None]
    density = np.zeros((size, size, 3), dtype=np.float32)
    cell_radius = morphology.nucleus_radius / np.sqrt(morphology.nucleus_fraction)
    for centre, radius in _place_red_cells(cell_radius, slide.crowding, rng):
        _add_red_cell(density, plane, centre, radius, slide, rng)
    for _ in range(rng.poisson(0.5)):
        _add_platelet(density, plane, cell_radius, slide, rng)
    _add_white_cell(density, plane, morphology, cell_radius, slide, rng)
    return _expose(density, plane, slide, rng)


def _place_red_cells(cell_radius, crowding, rng):
    """Centres (complex) and radii of red cells that leave the white cell free."""
    placed = []
    for _ in range(rng.poisson(crowding)):
        radius = rng.normal(3.6, 0.2)
        reach = FIELD / 2 + 0.8 * radius
        centre = complex(*rng.uniform(-reach, reach, size=2))
        # Red cells touch and now and then overlap, but hardly ever lie on one another.
        spacing = rng.choice([1.0, 0.7], p=[0.7, 0.3])
        free = all(abs(centre - c) > spacing * (radius + r) for c, r in placed)
        if free and abs(centre) > cell_radius + 0.95 * radius:
            placed.append((centre, radius))
    return placed


def _cut_window(plane, centre, radius):
    """Index of the part of the plane within radius of centre, and its offsets from centre."""
    size = len(plane)
    first = [(part - radius) / FIELD + 0.5 for part in (centre.imag, centre.real)]
    width = 2 * radius / FIELD
    window = tuple(
        slice(max(int(f * size) - 1, 0), max(min(int((f + width) * size) + 2, size), 0))
        for f in first
    )
    return window, plane[window] - np.complex64(centre)


def _draw_harmonics(amplitude, rng):
    """Random complex amplitudes of an outline's 2nd to 5th harmonic, the high ones smaller."""
    weights = amplitude / np.arange(1, 5)
    return weights * (rng.standard_normal(4) + 1j * rng.standard_normal(4))


def _measure_depth(offsets, radius, harmonics, cleft=0.0, cleft_angle=0.0):
    """Distance along the ray to a smooth closed outline; positive inside."""
    distance = np.abs(offsets)
    direction = offsets / np.maximum(distance, 1e-6)
    wave = np.zeros_like(direction)
    for harmonic in harmonics[::-1]:
        wave = (wave + np.complex64(harmonic)) * direction
    reach = 1 + (wave * direction).real
    if cleft:
        towards = (direction * np.complex64(np.exp(-1j * cleft_angle))).real
        reach -= cleft * np.exp(12 * (towards - 1))
    return radius * reach - distance


def _cover(depth, plane):
    """Share of each pixel inside an outline, for edges without steps."""
    return np.clip(depth * (len(plane) / FIELD) + 0.5, 0, 1)


def _add_red_cell(density, plane, centre, radius, slide, rng):
    window, offsets = _cut_window(plane, centre, 1.3 * radius)
    depth = _measure_depth(offsets, radius, _draw_harmonics(0.035, rng))
    # The biconcave disc of Evans and Fung (1972), doi:10.1016/0026-2862(72)90069-6, over its
    # greatest thickness; drying flattens it by a different amount in every cell.
    t = np.clip(1 - depth / radius, 0, 1) ** 2
    disc = (0.81 + 7.83 * t - 4.39 * t**2) * np.sqrt(np.maximum(1 - t, 0.15)) / 2.5
    hollow = rng.beta(4, 1.5)
    thickness = (1 - hollow) * 0.85 + hollow * disc
    thickness *= _cover(depth, plane) * rng.normal(1, 0.06)
    density[window] += thickness[..., None] * slide.red_cell


def _add_platelet(density, plane, cell_radius, slide, rng):
    angle = rng.uniform(0, 2 * np.pi)
    centre = complex(rng.uniform(cell_radius + 2, FIELD / 2 + 1) * np.exp(1j * angle))
    radius = rng.uniform(0.7, 1.3)
    window, offsets = _cut_window(plane, centre, 1.6 * radius)
    depth = _measure_depth(offsets, radius, _draw_harmonics(0.12, rng))
    grains = 1 + 0.4 * rng.standard_normal(depth.shape, dtype=np.float32)
    cover = _cover(depth, plane) * np.clip(0.3 + depth / radius, 0, 1) * grains
    density[window] += cover[..., None] * (0.35 * slide.nucleus + 0.3 * slide.cytoplasm)


def _add_white_cell(density, plane, morphology, cell_radius, slide, rng):
    radius = morphology.nucleus_radius
    window, offsets = _cut_window(plane, 0j, 1.5 * cell_radius)
    shift = rng.uniform(0.2, 0.9) * (cell_radius - radius) * np.exp(1j * rng.uniform(0, 2 * np.pi))
    nucleus = _measure_depth(
        offsets - np.complex64(shift),
        radius,
        _draw_harmonics(morphology.irregularity, rng),
        morphology.cleft,
        rng.uniform(0, 2 * np.pi),
    )
    body = _measure_depth(offsets, cell_radius, _draw_harmonics(0.03, rng))
    # The membrane follows the nucleus where that bulges.
    body = np.maximum(body, nucleus + 0.15)
    inside, covered = _cover(nucleus, plane), _cover(body, plane)
    # Red cells give way to the white one instead of shining through it.
    density[window] *= 1 - covered[..., None]
    cytoplasm = covered * (1 - inside) * _texture_cytoplasm(body, plane, rng)
    chromatin = inside * _texture_chromatin(nucleus, offsets - shift, plane, morphology, rng)
    density[window] += cytoplasm[..., None] * slide.cytoplasm
    density[window] += chromatin[..., None] * slide.nucleus


def _draw_grain(shape, grain, plane, rng):
    """Noise of mean 0 and standard deviation 1 whose grains are this many micrometres wide."""
    noise = rng.standard_normal(shape, dtype=np.float32)
    noise = ndimage.gaussian_filter(noise, grain * len(plane) / FIELD, truncate=2.5)
    return (noise - noise.mean()) / noise.std()


def _texture_cytoplasm(body, plane, rng):
    """Relative density: cloudy, and denser towards the membrane."""
    cloud = _draw_grain(body.shape, 0.35, plane, rng)
    return rng.normal(1, 0.12) + 0.12 * cloud + 0.35 * np.exp(-np.abs(body) / 0.35)


def _texture_chromatin(depth, offsets, plane, morphology, rng):
    """Relative density: grains or clumps, a dark rim, and pale nucleoli."""
    grain = np.tanh(1.3 * _draw_grain(depth.shape, morphology.chromatin_size, plane, rng))
    texture = 1 + morphology.chromatin_contrast * grain
    texture += 0.2 * np.exp(-np.abs(depth) / 0.3)
    for _ in range(morphology.n_nucleoli):
        distance = morphology.nucleus_radius * 0.6 * np.sqrt(rng.uniform())
        spot = np.complex64(distance * np.exp(1j * rng.uniform(0, 2 * np.pi)))
        width = rng.uniform(0.5, 0.8)
        texture *= 1 - 0.4 * np.exp(-((np.abs(offsets - spot) / width) ** 4))
    # The DNA of one cell is the same however large its nucleus: a wide nucleus is a pale one.
    return texture * (4.2 / morphology.nucleus_radius) ** 1.5


def _expose(density, plane, slide, rng):
    """Light that passes the smear, with uneven lighting, defocus and the camera's noise."""
    slope = complex(*rng.normal(0, 0.025, size=2)) / (FIELD / 2)
    light = 1 + (plane * np.complex64(slope.conjugate())).real
    image = np.exp(-density) * light[..., None] * slide.light.astype(np.float32)
    sigma = slide.blur * len(plane) / FIELD
    image = ndimage.gaussian_filter(image, (sigma, sigma, 0), truncate=3, mode="nearest")
    image += 0.008 * rng.standard_normal(image.shape, dtype=np.float32)
    return np.clip(image, 0, 1)
