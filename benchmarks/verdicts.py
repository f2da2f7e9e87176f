"""Which test is to say that one estimator is better than another: errors and power by simulation.

The rule, set before looking: of the tests whose error at the level of 5 % is not above it in any
setting where both estimators are equally good, the one with the most power. A share of errors is
above the level where the lower end of its exact 99 % interval is.
"""

import argparse
from pathlib import Path

import numpy as np
import pandas as pd
from scipy.stats import beta
from verdict_data import CONTESTS, DESIGNS, simulate
from verdict_tests import SCALES, find_p_values, take_sample

LEVEL, CONFIDENCE = 0.05, 0.99
N_SETS, N_QUICK = 2000, 200
RESULTS = Path(__file__).parent / "results" / "verdicts.csv"


def main(argv=None):
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--sets", type=int, default=N_SETS, help="data sets of each setting")
    parser.add_argument("--quick", action="store_true", help=f"{N_QUICK} data sets; about a minute")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--out", default=str(RESULTS), help="CSV file")
    parser.add_argument("--read", action="store_true", help="judge what --out holds; draw nothing")
    arguments = parser.parse_args(argv)
    if arguments.read:
        table = pd.read_csv(arguments.out)
    else:
        table = measure(N_QUICK if arguments.quick else arguments.sets, arguments.seed)
        if not arguments.quick:
            table.to_csv(arguments.out, index=False)
    print(judge(table).to_string())


def measure(n_sets, seed, designs=DESIGNS, contests=CONTESTS):
    """How often each test says that there is a difference.

    Parameters
    ----------
    n_sets : int
        Data sets of each setting.
    seed : int
    designs, contests : iterable of Design and Contest

    Returns
    -------
    DataFrame
        One row per setting, metric and test, columns ``design, contest, equal, metric, test, sets,
        difference, shown``: the mean difference, and the share of the data sets where one is shown
        at 5 %.
    """
    rows = []
    for design in designs:
        for contest in contests:
            rng = np.random.default_rng([seed, DESIGNS.index(design), CONTESTS.index(contest)])
            shown, differences = {}, {}
            for results in simulate(design, contest, n_sets, rng.integers(2**31)):
                for metric in SCALES:
                    sample = take_sample(results, metric, rng)
                    differences.setdefault(metric, []).append(sample.difference)
                    for test, p_values in find_p_values(sample).items():
                        shown.setdefault((metric, test), []).append(p_values < LEVEL)
            for (metric, test), parts in shown.items():
                difference = np.concatenate(differences[metric]).mean().round(4)
                setting = (design.name, contest.name, contest.is_null, metric, test, n_sets)
                rows.append((*setting, difference, np.concatenate(parts).mean().round(4)))
    columns = ["design", "contest", "equal", "metric", "test", "sets", "difference", "shown"]
    return pd.DataFrame(rows, columns=columns)


def judge(table):
    """Errors and power of each test over all settings.

    Parameters
    ----------
    table : DataFrame
        From :func:`measure`.

    Returns
    -------
    DataFrame
        Indexed by test, the honest ones first and then by power: ``worst_error`` and ``where``,
        ``above``: settings where the error is above the level, ``error`` and ``power``: means, and
        ``power_<metric>``.
    """
    equal, unequal = table[table["equal"]], table[~table["equal"]]
    worst = equal.loc[equal.groupby("test")["shown"].idxmax()].set_index("test")
    count = equal["shown"] * equal["sets"]
    low = beta.ppf((1 - CONFIDENCE) / 2, count, equal["sets"] - count + 1)
    judged = pd.DataFrame(
        {
            "worst_error": worst["shown"],
            "above": equal.assign(above=np.nan_to_num(low) > LEVEL).groupby("test")["above"].sum(),
            "error": equal.groupby("test")["shown"].mean(),
            "power": unequal.groupby("test")["shown"].mean(),
        }
    )
    for metric in SCALES:
        part = unequal[unequal["metric"] == metric]
        judged[f"power_{metric}"] = part.groupby("test")["shown"].mean()
    judged["where"] = worst["design"] + "; " + worst["contest"] + "; " + worst["metric"]
    judged = judged.assign(honest=judged["above"] == 0)
    judged = judged.sort_values(["honest", "power"], ascending=False).round(3)
    return judged.drop(columns="honest")


if __name__ == "__main__":
    main()
