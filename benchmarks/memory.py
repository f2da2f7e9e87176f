"""Does a large comparison stay within its memory, however many folds it has?

Writes synthetic cells of 224 pixels as files, each another picture, compares a network on them in
a process of its own, over two folds and over four, and notes the most memory that the process held.
Exits with 1 where that is above 3 GB, or grows with the folds by more than a tenth.

    python benchmarks/memory.py            # 20,000 images, minutes on two cores
    python benchmarks/memory.py --quick    # 2,000
"""

import argparse
import os
import sys
import time
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass
from multiprocessing import get_context
from pathlib import Path
from tempfile import TemporaryDirectory

import numpy as np
import pandas as pd
from cells import draw_cells
from options import positive
from paper_tables import to_markdown
from processor import name_processor
from reporting import name_results

from skall import compare, tune_allocator
from skall.cache.memory import IN_PROCESS

LIMIT = 3e9
GROWTH = 1.1
SIZE = 224
BACKBONE = "timm/mobilenetv3_small_050"
FROZEN = {"trainable": "head", "max_epochs": 5}


def measure_peak_memory():
    """The most memory in bytes that this process has held since it began; None on Windows."""
    try:
        import resource
    except ImportError:
        return None
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    # macOS counts bytes, every other system KiB.
    return peak if sys.platform == "darwin" else peak * 1024


@dataclass(frozen=True)
class Run:
    """A comparison, over each of some numbers of folds.

    Attributes
    ----------
    name : str
    params : dict
        What :func:`skall.compare` takes.
    folds : tuple of int
    shortened : bool, default=False
        Half of the images are tested, and a tenth trains in each fold: enough to fill the store of
        the process, in minutes.
    keeps : bool, default=False
        Give a folder, for the cache, the tables and the report.
    """

    name: str
    params: dict
    folds: tuple
    shortened: bool = False
    keeps: bool = False


RUNS = (
    Run("frozen trunk", FROZEN, (2, 4)),
    Run("fine-tuned", {"max_epochs": 1}, (2, 4), shortened=True),
    Run("frozen trunk, all in a folder", FROZEN, (2,), keeps=True),
)


def write_cells(folder, n_images):
    """Files of cells, PNG every tenth, else JPEG.

    Returns
    -------
    list of str, ndarray
        Paths and labels.
    """
    paths, labels = [], []
    for number, (image, label, _) in enumerate(draw_cells(n_images, SIZE)):
        path = folder / f"{number}.{'jpg' if number % 10 else 'png'}"
        options = {"quality": 90} if number % 10 else {"compress_level": 1}
        image.save(path, **options)
        paths.append(str(path))
        labels.append(label)
    return paths, np.array(labels)


def deal(n_images, n_folds):
    """Pairs of training and test parts: half of the images are tested, a tenth trains each time."""
    half = np.random.default_rng(0).permutation(n_images)[: n_images // 2]
    parts = np.array_split(half, n_folds)
    return [
        (np.concatenate(parts[fold + 1 :] + parts[:fold])[: n_images // 10], parts[fold])
        for fold in range(n_folds)
    ]


def measure(paths, labels, **options):
    """Compare in this process; gives the most bytes that it held, and what it keeps in words."""
    # As the command line does.
    tune_allocator()
    compare(
        [BACKBONE],
        np.array(paths)[:, None],
        labels,
        pos_label="ALL",
        random_state=0,
        verbose=0,
        image_size=SIZE,
        weights=None,
        device="cpu",
        # Which take minutes, and keep a few numbers for each image.
        baselines=False,
        **options,
    )
    return measure_peak_memory(), repr(IN_PROCESS)


def measure_all(paths, labels, folder):
    """A row for each run and number of folds."""
    rows = []
    for run in RUNS:
        for n_folds in run.folds:
            cv = deal(len(paths), n_folds) if run.shortened else n_folds
            out = folder / f"{n_folds} folds" if run.keeps else None
            started = time.perf_counter()
            # A process of its own, because the most memory that one has held never falls.
            with ProcessPoolExecutor(1, mp_context=get_context("spawn")) as pool:
                task = pool.submit(measure, paths, labels, cv=cv, out=out, **run.params)
                peak, held = task.result()
            seconds = time.perf_counter() - started
            print(f"{run.name}, {n_folds} folds: {peak / 1e9:.2f} GB, {seconds:.0f} s", flush=True)
            rows.append((run.name, n_folds, len(paths), peak / 1e9, seconds, held))
    return pd.DataFrame(rows, columns=["run", "folds", "images", "peak_gb", "seconds", "held"])


def judge(table):
    """What is wrong, in words."""
    wrong = [
        f"{row.run} over {row.folds} folds held {row.peak_gb:.2f} GB, above {LIMIT / 1e9:g} GB"
        for row in table.itertuples()
        if row.peak_gb * 1e9 > LIMIT
    ]
    for name, rows in table.groupby("run", sort=False):
        growth = rows["peak_gb"].iloc[-1] / rows["peak_gb"].iloc[0]
        if growth > GROWTH:
            folds = " to ".join(map(str, rows["folds"]))
            wrong.append(f"{name} grew by {growth - 1:.0%} from {folds} folds")
    return wrong


def main(argv=None):
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--quick", action="store_true", help="2,000 images instead of 20,000")
    parser.add_argument("--images", type=positive, help="any other number")
    parser.add_argument("--out", help="CSV file; of a full run, one in results/ by default")
    arguments = parser.parse_args(argv)
    n_images = arguments.images or (2_000 if arguments.quick else 20_000)
    with TemporaryDirectory() as folder:
        paths, labels = write_cells(Path(folder), n_images)
        table = measure_all(paths, labels, Path(folder))
    print(to_markdown(table.set_index("run")))
    out = arguments.out
    if out is None and n_images == 20_000:
        out = name_results("memory", f"cpu-{name_processor()}-{os.cpu_count()}-cores")
    if out:
        table.round(3).to_csv(out, index=False)
    wrong = judge(table)
    print("\n".join(wrong) or "within its bounds")
    return 1 if wrong else 0


if __name__ == "__main__":
    sys.exit(main())
