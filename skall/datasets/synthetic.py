"""Synthetic blood cells whose difficulty, and whose traps, are set by hand."""

import math
import numbers

import numpy as np
from sklearn.utils import Bunch

from skall.datasets.drawing import CYTOPLASM, NUCLEUS, RED_CELL, Morphology, Slide, draw_cell
from skall.environment.randomness import draw_seed

__all__ = ["make_blood_cells"]

POSITIVE, NEGATIVE = "ALL", "healthy"
SMALLEST_IMAGE = 16

# Per feature: mean of a healthy lymphocyte, mean of a blast, standard deviation among the cells
# of a class, and the range it is kept in. The order of magnitude is that of haematology atlases.
FEATURES = {
    "nucleus_radius": (3.5, 5.1, 0.42, (2.2, 7.0)),
    "nucleus_fraction": (0.60, 0.84, 0.06, (0.40, 0.94)),
    "irregularity": (0.025, 0.055, 0.01, (0.0, 0.1)),
    "cleft": (-0.15, 0.10, 0.13, (0.0, 0.35)),
    "chromatin_size": (0.55, 0.25, 0.06, (0.15, 0.9)),
    "chromatin_contrast": (0.30, 0.14, 0.04, (0.05, 0.45)),
    "n_nucleoli": (0.0, 2.0, 0.5, (0, 3)),
}

DESCR = """\
Synthetic blood cells
---------------------
Drawn crops of a Wright-Giemsa-stained smear, 26 micrometres wide, each centred on one white cell:
a lymphoblast ("ALL") or a healthy lymphocyte ("healthy"). A blast is larger, its nucleus fills
more of the cell and has finer chromatin, nucleoli and sometimes a cleft. Stain, light, focus and
crowding differ between patients. Made by skall.datasets.make_blood_cells; no patient was involved
and nothing learned from them says anything about one.
"""


def make_blood_cells(
    n_samples: int = 200,
    n_patients: int = 20,
    image_size: int = 128,
    *,
    class_sep: float = 1.0,
    patient_effect: float = 0.5,
    shortcut: float = 0.0,
    duplicates: float = 0.0,
    imbalance: float = 0.5,
    random_state: int | np.random.RandomState | None = None,
) -> Bunch:
    """Draw stained lymphoblasts and healthy lymphocytes, several of each patient.

    A crop shows one white cell among red cells. As in life a patient has leukaemia or has not, so
    that each has cells of one class only, while stain, light and focus belong to the patient. The
    parameters make the evils of published comparisons at will: cells that a network tells apart
    by the patient's stain, by the frame, or because it has seen a copy.

    Parameters
    ----------
    n_samples : int, default=200
        Number of images, at least `n_patients`.
    n_patients : int, default=20
        Number of patients, at least 2. Both classes get at least two of them, where there are
        four patients and two cells of the class; the images of a class are spread evenly.
    image_size : int, default=128
        Height and width in pixels, at least 16, of a crop 26 micrometres wide.
    class_sep : float, default=1.0
        Distance between the classes in size, share of the nucleus, outline, chromatin and
        nucleoli, as a multiple of the default; 0 draws both classes alike.
    patient_effect : float, default=0.5
        How much patients differ in stain, light, focus and crowding; 0 not at all, 2 grossly. A
        classifier can then tell patients instead of classes, which a random split rewards.
    shortcut : float, default=0.0
        Strength in [0, 1] of a brown vignette around the images of the leukaemic class only.
    duplicates : float, default=0.0
        Fraction of the images, in [0, 1], that are near-duplicates of another cell of the same
        patient: rotated or mirrored, with the light changed by up to 4 %.
    imbalance : float, default=0.5
        Fraction of the images, in [0, 1], that show a lymphoblast.
    random_state : None, int or numpy.random.RandomState, default=None
        None draws fresh entropy and leaves numpy's global generator alone. For one seed and one
        version of numpy the images are the same to the byte; `shortcut` then adds the vignette
        to the same cells.

    Returns
    -------
    Bunch
        With the attributes

        data : ndarray of shape (n_samples, image_size, image_size, 3), uint8
            RGB images in random order.
        target : ndarray of shape (n_samples,), str
            ``"ALL"`` (acute lymphoblastic leukaemia) or ``"healthy"``.
        target_names : ndarray of shape (2,), str
            The classes, sorted.
        pos_label : str
            ``"ALL"``.
        groups : ndarray of shape (n_samples,), str
            Patient ids, ``"P01"`` and so on.
        filenames : ndarray of shape (n_samples,), str
            A name for each image.
        source_id : ndarray of shape (n_samples,), int
            Only with `duplicates`: row of the original cell, an original's own row. Usable as
            groups.
        name, DESCR : str
            What they are called, and what they are.

    Raises
    ------
    ValueError
        If a parameter is out of its range, or so many duplicates are asked for that a patient
        would be left without an original.
    TypeError
        If a parameter is not a number.

    Examples
    --------
    >>> from skall.datasets import make_blood_cells
    >>> cells = make_blood_cells(12, n_patients=4, image_size=32, random_state=0)
    >>> cells.data.shape, cells.data.dtype
    ((12, 32, 32, 3), dtype('uint8'))
    >>> len(set(cells.groups)), len(set(zip(cells.groups, cells.target)))
    (4, 4)
    """
    n_patients = _check_number("n_patients", n_patients, 2, integer=True)
    n_samples = _check_number("n_samples", n_samples, n_patients, integer=True)
    image_size = _check_number("image_size", image_size, SMALLEST_IMAGE, integer=True)
    class_sep = _check_number("class_sep", class_sep, 0)
    patient_effect = _check_number("patient_effect", patient_effect, 0)
    shortcut = _check_number("shortcut", shortcut, 0, 1)
    duplicates = _check_number("duplicates", duplicates, 0, 1)
    imbalance = _check_number("imbalance", imbalance, 0, 1)

    # A generator for each cell: what is drawn for one does not move the others.
    layout, copying, *rest = np.random.default_rng(draw_seed(random_state)).spawn(
        2 + n_patients + n_samples
    )
    is_blast, patients = _assign_patients(n_samples, n_patients, imbalance, layout)
    sources = _choose_sources(patients, n_patients, duplicates, copying)
    slides = [_draw_slide(patient_effect, rng) for rng in rest[:n_patients]]
    data = np.empty((n_samples, image_size, image_size, 3), dtype=np.uint8)
    for i, rng in enumerate(rest[n_patients:]):
        if sources[i] == i:
            slide = _vary_slide(slides[patients[i]], rng)
            image = draw_cell(_draw_morphology(is_blast[i], class_sep, rng), slide, image_size, rng)
            if is_blast[i]:
                image = _tint_frame(image, shortcut)
            data[i] = np.rint(255 * image)
    for copied in np.flatnonzero(sources != np.arange(n_samples)):
        data[copied] = _copy_cell(data[sources[copied]], copying)
    target = np.where(is_blast, POSITIVE, NEGATIVE)
    width = max(2, len(str(n_patients)))
    groups = np.array([f"P{patient + 1:0{width}}" for patient in patients])
    known = {"source_id": sources} if duplicates else {}
    return Bunch(
        name="synthetic cells",
        data=data,
        target=target,
        target_names=np.array([POSITIVE, NEGATIVE]),
        pos_label=POSITIVE,
        groups=groups,
        filenames=np.array([f"{groups[i]}_{i:05}_{target[i]}.png" for i in range(n_samples)]),
        DESCR=DESCR,
        **known,
    )


def _check_number(name, value, low, high=None, *, integer=False):
    kind = numbers.Integral if integer else numbers.Real
    if isinstance(value, bool | np.bool_) or not isinstance(value, kind):
        wanted = "an integer" if integer else "a number"
        raise TypeError(f"{name} must be {wanted}, got {value!r} of type {type(value).__name__}")
    if not math.isfinite(value) or value < low or (high is not None and value > high):
        allowed = f"at least {low}" if high is None else f"between {low} and {high}"
        if name == "n_samples":
            allowed += ", one for each of the n_patients"
        raise ValueError(f"{name} must be finite and {allowed}, got {value!r}")
    return int(value) if integer else float(value)


def _assign_patients(n_samples, n_patients, imbalance, rng):
    """Class and patient of every row, in random order."""
    n_blasts = round(imbalance * n_samples)
    n_healthy = n_samples - n_blasts
    # Two patients of a class, where possible: with one, no patient-wise split has the class on
    # both sides.
    fewest = [
        max(min(2, n_patients // 2, n), n_patients - m)
        for n, m in [(n_blasts, n_healthy), (n_healthy, n_blasts)]
    ]
    n_ill = int(np.clip(round(imbalance * n_patients), fewest[0], n_patients - fewest[1]))
    names = rng.permutation(n_patients)
    patients = np.concatenate(
        [np.resize(names[:n_ill], n_blasts), np.resize(names[n_ill:], n_healthy)]
    )
    order = rng.permutation(n_samples)
    return (np.arange(n_samples) < n_blasts)[order], patients[order]


def _choose_sources(patients, n_patients, duplicates, rng):
    """Row that each row is copied from; its own for an original."""
    sources = np.arange(len(patients))
    _, firsts = np.unique(patients, return_index=True)
    candidates = np.setdiff1d(sources, firsts)
    n_copies = round(duplicates * len(patients))
    if n_copies > len(candidates):
        raise ValueError(
            f"duplicates={duplicates} leaves fewer than one original for each of the {n_patients} "
            f"patients; with {len(patients)} samples it can be {len(candidates) / len(patients):g} "
            "at most"
        )
    copies = rng.choice(candidates, n_copies, replace=False)
    originals = np.setdiff1d(sources, copies)
    for i in copies:
        sources[i] = rng.choice(originals[patients[originals] == patients[i]])
    return sources


def _copy_cell(image, rng):
    """A near-duplicate: one of the seven turns and mirrorings, in slightly different light."""
    turn = rng.integers(1, 8)
    copy = np.rot90(image[:, ::-1] if turn >= 4 else image, turn % 4)
    return np.clip(np.rint(copy * rng.uniform(0.96, 1.04)), 0, 255)


def _tint_frame(image, strength):
    """Darken and brown an image from the white cell's surroundings to the corners."""
    axis = np.linspace(-1, 1, len(image), dtype=np.float32)
    ramp = np.clip((np.hypot(axis[:, None], axis) - 0.55) / 0.6, 0, 1)
    return image * (1 - strength * ramp[..., None] * np.array([0.15, 0.28, 0.40], np.float32))


def _draw_slide(patient_effect, rng):
    """Stain, light and focus of one patient's slide."""

    def vary(spread, size=None):
        return np.exp(patient_effect * spread * rng.standard_normal(size))

    return Slide(
        light=np.array([0.97, 0.90, 0.86]) * vary(0.07) * vary(0.05, 3),
        nucleus=NUCLEUS * vary(0.20) * vary(0.10, 3),
        cytoplasm=CYTOPLASM * vary(0.25) * vary(0.15, 3),
        red_cell=RED_CELL * vary(0.30) * vary(0.12, 3),
        blur=0.13 * vary(0.4),
        crowding=20 * vary(0.4),
    )


def _vary_slide(slide, rng):
    """A patient's slide as it looks at one cell: the stain and the light are not quite even."""
    light = slide.light * np.exp(0.02 * rng.standard_normal() + 0.01 * rng.standard_normal(3))
    return Slide(
        light=np.clip(light, 0.3, 1.0).astype(np.float32),
        nucleus=(slide.nucleus * rng.normal(1, 0.08)).astype(np.float32),
        cytoplasm=(slide.cytoplasm * rng.normal(1, 0.10)).astype(np.float32),
        red_cell=(slide.red_cell * rng.normal(1, 0.06)).astype(np.float32),
        blur=float(np.clip(slide.blur * np.exp(rng.normal(0, 0.2)), 0.05, 0.6)),
        crowding=min(slide.crowding * np.exp(rng.normal(0, 0.5)), 60.0),
    )


def _draw_morphology(is_blast, class_sep, rng):
    """Features of one cell around the mean of its class."""
    side = 0.5 * class_sep * (1 if is_blast else -1)
    values = {}
    for name, (healthy, blast, spread, (low, high)) in FEATURES.items():
        value = (healthy + blast) / 2 + side * (blast - healthy) + spread * rng.standard_normal()
        values[name] = float(np.clip(value, low, high))
    values["n_nucleoli"] = round(values["n_nucleoli"])
    return Morphology(**values)
