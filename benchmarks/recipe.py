"""Are the defaults of training worth being defaults?

Compares recipes, the defaults among them, on the same folds, patient by patient, over several
seeds, and prints a table in Markdown. A recipe is judged by its difference to the defaults, fold by
fold, with the interval of the corrected resampled t-test (Nadeau & Bengio 2003, doi
10.1023/A:1024068626366).

    SKALL_WEIGHTS=WEIGHTS python benchmarks/recipe.py DATA --backbone mobilenetv2 --image-size 112
"""

import argparse
from pathlib import Path

import pandas as pd
from paper_tables import to_markdown
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import FunctionTransformer, StandardScaler

from skall import CNNFeatures, ImagePreprocessor, compare, datasets, get_estimator
from skall.statistics import corrected_t_interval

RECIPES = {
    "defaults": {},
    "head alone": {"trainable": "head"},
    "cosine": {"lr_schedule": "cosine", "warmup_epochs": 1},
    "cosine, augmented": {
        "lr_schedule": "cosine",
        "warmup_epochs": 1,
        "augment": "talupuri2025",
    },
    "cosine, augmented, lr 5e-4": {
        "lr_schedule": "cosine",
        "warmup_epochs": 1,
        "augment": "talupuri2025",
        "lr": 5e-4,
    },
    "head first": {
        "unfreeze_after": 3,
        "lr_schedule": "cosine",
        "augment": "talupuri2025",
    },
    "averaged": {"ema_decay": 0.99},
    "early stopping": {"early_stopping": True, "validation_fraction": 0.2},
    "plain fine-tuning (Adam, lr 1e-3)": {"lr": 1e-3, "weight_decay": 0},
}
METRICS = ("balanced_accuracy", "roc_auc", "log_loss")


def measure_area(images):
    """The share of each image that is not black: in C-NMC, the area of the cell."""
    return (images.max(axis=3) > 0).mean(axis=(1, 2)).reshape(-1, 1)


def make_estimators(recipes, backbone, image_size, seed):
    """Every recipe, logistic regression on frozen features, and on the area of the cell alone."""
    logistic = make_pipeline(StandardScaler(), LogisticRegression(max_iter=5000))
    features = CNNFeatures(backbone, image_size=image_size)
    area = make_pipeline(ImagePreprocessor(112), FunctionTransformer(measure_area))
    return {
        "frozen features + logistic regression": make_pipeline(features, logistic),
        "area of the cell + logistic regression": make_pipeline(area, logistic),
        **{
            name: get_estimator(backbone, image_size=image_size, random_state=seed, **RECIPES[name])
            for name in recipes
        },
    }


def measure(arguments):
    """Scores of every recipe, seed and fold."""
    cells = datasets.load_cells(arguments.data)
    parts = []
    for seed in range(arguments.seeds):
        comparison = compare(
            make_estimators(arguments.recipes, arguments.backbone, arguments.image_size, seed),
            cells.data,
            cells.target,
            groups=cells.groups,
            pos_label=cells.pos_label,
            cv=arguments.cv,
            scoring=METRICS,
            baselines=False,
            random_state=seed,
            out=arguments.out and Path(arguments.out) / f"seed-{seed}",
        )
        parts.append(comparison.scores_.assign(seed=seed))
        print(to_markdown(tabulate(pd.concat(parts), arguments.cv)), flush=True)
    return pd.concat(parts)


def tabulate(scores, n_folds):
    """Mean of each metric, its spread over seeds, and the difference to the defaults."""
    table = pd.DataFrame()
    for metric in METRICS:
        values = scores[scores["metric"] == metric]
        values = values.pivot(index=["seed", "fold"], columns="estimator", values="value")
        by_seed = values.groupby("seed").mean()
        table[metric] = values.mean().map("{:.3f}".format)
        if len(by_seed) > 1:
            table[metric] += by_seed.std().map(" ± {:.3f}".format)
        if "defaults" in values:
            gains = values.sub(values["defaults"], axis=0)
            table[f"{metric} less that of the defaults"] = [
                describe(gains[name], 1 / (n_folds - 1)) for name in gains
            ]
    return table.reindex(scores["estimator"].unique()).rename_axis("recipe")


def describe(differences, test_to_train):
    """Mean and 95 % interval of paired differences over resampled folds."""
    if len(differences) < 2 or not differences.any():
        return ""
    low, high = corrected_t_interval(differences, test_to_train)
    return f"{differences.mean():+.3f} [{low:+.3f}, {high:+.3f}]"


def main():
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("data", metavar="DATA", help="folder of cells, such as C-NMC 2019")
    parser.add_argument("--backbone", default="mobilenetv2")
    parser.add_argument("--image-size", type=int)
    parser.add_argument("--recipes", type=lambda text: text.split(";"), default=list(RECIPES))
    parser.add_argument("--cv", type=int, default=5)
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument("--out", help="folder of the folds that are finished, to go on from")
    parser.add_argument("--scores", help="CSV file for the score of every fold")
    arguments = parser.parse_args()
    scores = measure(arguments)
    if arguments.scores:
        scores.to_csv(arguments.scores, index=False)


if __name__ == "__main__":
    main()
