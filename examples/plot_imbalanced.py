"""
When leukaemic cells are rare
=============================

In most smears blasts are the minority. A network that is trained without regard to that learns that
"healthy" is a safe guess: its accuracy is high, and it misses patients. This example trains the
same network in three ways on cells of which 15 % are leukaemic, and shows which of them finds the
blasts, and at what cost in specificity.
"""

# %%
# The cells, as files
# -------------------
# Microscopes write files, so these synthetic cells are written to files first. Their paths are the
# ``X`` of everything that follows. They form a column, ``(n, 1)``, because imbalanced-learn
# requires two dimensions.

from pathlib import Path
from tempfile import TemporaryDirectory

import matplotlib.pyplot as plt
import numpy as np
from PIL import Image

from skall.datasets import make_blood_cells

cells = make_blood_cells(240, n_patients=40, image_size=32, imbalance=0.15, random_state=0)
folder = TemporaryDirectory()
paths = [Path(folder.name) / name for name in cells.filenames]
for path, image in zip(paths, cells.data, strict=True):
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.fromarray(image).save(path)
X = np.array([[str(path)] for path in paths])

n_leukaemic = np.sum(cells.target == cells.pos_label)
print(f"{n_leukaemic} of {len(X)} cells are leukaemic")

# %%
# Three ways to train
# -------------------
# Without any change; with a larger weight of the rare class in the loss; and with copies of its
# cells until both classes are equally frequent. The sampler is a step of imbalanced-learn's
# pipeline, which copies rows of the training part only. Copying before the split would put a cell
# on both sides of it.
#
# A small trunk with random weights is left as it is, and only the head is trained, because that
# takes seconds. For results on real cells take ``weights="imagenet"``.

from imblearn.over_sampling import RandomOverSampler
from imblearn.pipeline import make_pipeline
from sklearn.base import clone

from skall import compare, get_estimator

net = get_estimator(
    "timm/test_efficientnet",
    weights=None,
    trainable="head",
    image_size=32,
    max_epochs=30,
    lr=0.1,
    random_state=0,
)
estimators = {
    "no change": net,
    "class weights": clone(net).set_params(class_weight="balanced"),
    "oversampling": make_pipeline(RandomOverSampler(random_state=0), net),
}

# %%
# What they find
# --------------
# Every patient is in one fold only. ``recall`` is the sensitivity: the share of leukaemic cells
# that are found.

metrics = ["accuracy", "balanced_accuracy", "recall", "specificity", "roc_auc"]
comparison = compare(
    estimators,
    X,
    cells.target,
    groups=cells.groups,
    cv=3,
    repeats=2,
    pos_label=cells.pos_label,
    scoring=metrics,
    random_state=0,
    verbose=0,
)
folder.cleanup()
table = comparison.table()[metrics]
print(table.round(2))

# %%
# The accuracy hides the failure: the dummy, which calls every cell healthy, is right for about 85 %
# of them, and so is the unchanged network, because it hardly does anything else. Weights and copies
# make it find most blasts. They cost specificity, but the balanced accuracy rises.
#
# The area under the ROC curve is nearly the same for all three networks: each ranks the cells about
# equally well. Weights and copies move the threshold above which a cell is called leukaemic. Where
# that is all you need, scikit-learn's ``TunedThresholdClassifierCV`` does it too.

order = [*estimators, "dummy"]
names = {"accuracy": "accuracy", "recall": "sensitivity", "specificity": "specificity"}
names |= {"balanced_accuracy": "balanced accuracy", "roc_auc": "area under ROC"}

figure, ax = plt.subplots(figsize=(8, 4), layout="constrained")
table.loc[order, list(names)].rename(columns=names).T.plot.bar(ax=ax, rot=0, width=0.75)
ax.axhline(0.5, color="black", linewidth=0.8, linestyle=":")
ax.set_ylim(0, 1)
ax.set_ylabel("mean of 2 x 3 folds")
ax.legend(title=None, loc="lower center", bbox_to_anchor=(0.5, 1), ncols=4, frameon=False)
ax.spines[["top", "right"]].set_visible(False)
plt.show()
