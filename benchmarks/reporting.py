"""What was measured, in a file and in words."""

import re
from importlib.metadata import version
from pathlib import Path

import pandas as pd
from measuring import FAILED
from paper_tables import to_markdown
from ratios import BROKEN, NOT_JUDGED, NOT_MEASURED, judge, tabulate

RESULTS = Path(__file__).parent / "results"
SAME_RUN = ["section", "network"]


def name_results(kind, hardware):
    """File of results, named by what was measured, on what, with which versions."""
    hardware = re.sub(r"[^a-z0-9.]+", "-", hardware.lower()).strip("-")
    versions = f"skall{version('skall')}_torch{version('torch').partition('+')[0]}"
    return RESULTS / f"{kind}_{hardware}_{versions}.csv"


def store(measurements, path):
    """Add measurements to a file; earlier ones of the same section and network are replaced."""
    path = Path(path)
    path.parent.mkdir(parents=True, exist_ok=True)
    if path.exists():
        earlier = pd.read_csv(path)
        again = pd.MultiIndex.from_frame(earlier[SAME_RUN]).isin(
            pd.MultiIndex.from_frame(measurements[SAME_RUN])
        )
        measurements = pd.concat([earlier[~again], measurements], ignore_index=True)
    measurements.to_csv(path, index=False, float_format="%.6g")


def report(measurements, bounds, ours):
    """Print the tables and what became of the bounds.

    Parameters
    ----------
    measurements : DataFrame
        As :class:`measuring.Race` makes them.
    bounds : list of Bound
    ours : str
        The contestant that the others are divided by.

    Returns
    -------
    int
        The exit status: 1 where a ratio is beyond its bound, or a contestant failed.
    """
    for (section, network, measure), table in tabulate(measurements, ours).items():
        print(f"\n## {section}, {network}: seconds per {measure}\n")
        print(to_markdown(table.rename_axis("contestant")))
    absent = measurements[measurements["seconds"].isna()]
    if len(absent):
        print("\n## Not measured\n")
        print(to_markdown(absent.set_index("section")[["network", "contestant", "note"]]))
    verdicts = judge(measurements, bounds)
    print("\n## Bounds\n")
    print(to_markdown(verdicts.set_index("section")))
    broken = verdicts[verdicts["verdict"] == BROKEN]
    for row in broken.itertuples():
        print(
            f"\nBeyond its bound: {row.section}, {row.network}: {row.ours} against {row.other}: "
            f"{row.ratio}, {row.bound}"
        )
    open_ones = verdicts["verdict"].str.startswith((NOT_MEASURED, NOT_JUDGED))
    if open_ones.any():
        print(f"\n{open_ones.sum()} of {len(verdicts)} bounds are not judged, by want of others.")
    failed = absent[absent["note"] == FAILED]
    for row in failed.itertuples():
        print(f"\nFailed: {row.section}, {row.network}, {row.contestant}")
    return int(bool(len(broken) or len(failed)))


def measure_and_report(measure, arguments, ours):
    """Measure, and report; the exit status as that of :func:`report`, or 130 where interrupted."""
    try:
        status = report(measure(arguments), arguments.bounds, ours)
    except KeyboardInterrupt:
        print(f"\nInterrupted; what was finished, each section and network, is in {arguments.out}")
        return 130
    print(f"\nWritten to {arguments.out}")
    return status
