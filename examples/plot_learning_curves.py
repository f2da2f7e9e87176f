"""
Learning curves: what happened during training
==============================================

A score says how well a network does in the end, not whether it was trained well. This example
trains one network in four ways, looks at the history of each, and tests them on other patients.
"""

# %%
# Four ways to train
# ------------------
# * as a tutorial does: a constant learning rate, all epochs;
# * with a warm-up, and a rate that falls along a cosine;
# * with early stopping: training stops when the loss of held-out patients no longer falls, and the
#   weights of the epoch with the lowest loss are restored;
# * with all of that and regularisation against overconfidence: augmentation, label smoothing (an
#   argument of torch's loss), clipped gradients (one of skorch's callbacks), and averaged weights.
#
# The first two hold patients out as well, with one of skorch's splitters, only to plot their loss.

import matplotlib.pyplot as plt
import pandas as pd
from sklearn.base import clone
from sklearn.metrics import balanced_accuracy_score, log_loss
from sklearn.model_selection import StratifiedGroupKFold
from skorch.callbacks import GradientNormClipping
from skorch.dataset import ValidSplit

from skall import get_estimator
from skall.datasets import make_blood_cells

cells = make_blood_cells(180, n_patients=18, image_size=32, class_sep=0.5, random_state=0)
net = get_estimator(
    "timm/test_resnet", weights=None, image_size=32, max_epochs=20, lr=5e-3, random_state=0
)
cosine = {"lr_schedule": "cosine", "warmup_epochs": 3}
watched = {"train_split": ValidSplit(StratifiedGroupKFold(4))}
stopping = {"early_stopping": True, "validation_fraction": 0.25, "n_iter_no_change": 8}
regularised = {
    "augment": "talupuri2025",
    "criterion__label_smoothing": 0.1,
    "callbacks": [GradientNormClipping(1.0)],
    "ema_decay": 0.95,
}
recipes = {
    "constant rate": watched,
    "warm-up and cosine": watched | cosine,
    "early stopping": stopping,
    "all of it": cosine | stopping | regularised,
}

# %%
# Training
# --------
# A third of the patients is kept for the test. ``groups`` go to ``fit``, because the split inside
# needs them: a patient on both sides of it would make the held-out loss too good.

folds = StratifiedGroupKFold(3, shuffle=True, random_state=0)
train, test = next(folds.split(cells.data, cells.target, cells.groups))
fitted, rows = {}, {}
for name, params in recipes.items():
    classifier = clone(net).set_params(**params)
    classifier.fit(cells.data[train], cells.target[train], groups=cells.groups[train])
    proba = classifier.predict_proba(cells.data[test])
    rows[name] = {
        "epochs": classifier.n_iter_,
        "balanced accuracy": balanced_accuracy_score(
            cells.target[test], classifier.predict(cells.data[test])
        ),
        "log loss": log_loss(cells.target[test], proba),
    }
    fitted[name] = classifier
print(pd.DataFrame(rows).T.round(2))

# %%
# The curves
# ----------
# ``history_frame_`` holds the losses, accuracies, learning rate and seconds of each epoch. Where
# the two losses diverge, the network memorises its training cells: more epochs make it more
# confident, not better. The dot is the epoch whose weights are kept.

figure, axes = plt.subplots(1, 4, figsize=(11, 3.2), sharey=True, layout="constrained")
for ax, (name, classifier) in zip(axes, fitted.items(), strict=True):
    history = classifier.history_frame_
    ax.plot(history["epoch"], history["train_loss"], linestyle="--", label="training")
    ax.plot(history["epoch"], history["valid_loss"], label="held-out patients")
    kept = getattr(classifier, "best_epoch_", classifier.n_iter_)
    ax.plot(kept, history["valid_loss"][kept - 1], "o", color="black", label="kept")
    ax.set(title=name, xlabel="epoch", xlim=(0, 21), ylim=(0, 1.5))
    ax.spines[["top", "right"]].set_visible(False)
axes[0].set_ylabel("loss")
figure.legend(*axes[0].get_legend_handles_labels(), loc="outside lower center", ncols=3)
plt.show()

# %%
# One fold and one seed do not show which recipe is best: another seed makes differences of the same
# size. For that, compare them over folds and seeds, as ``benchmarks/recipe.py`` does on real cells.
