"""
Tuning the backbone like any other parameter
============================================

``backbone`` is a parameter as ``C`` is one of a support vector machine, so scikit-learn's
``GridSearchCV`` can choose it, together with the learning rate or anything else. This example does
so without fooling itself: patients stay together in every split, and the choice is judged on
patients that had no part in making it.
"""

# %%
# A grid
# ------
# Two trunks with random weights, which are left as they are; only the heads are trained. Their
# features are computed once per image and kept, so that a whole grid takes seconds.

import matplotlib.pyplot as plt
import pandas as pd
from sklearn.model_selection import GridSearchCV, StratifiedGroupKFold

from skall import compare, get_estimator
from skall.datasets import make_blood_cells

cells = make_blood_cells(180, n_patients=18, image_size=32, class_sep=0.6, random_state=0)
settings = {"weights": None, "trainable": "head", "image_size": 32, "max_epochs": 15}
net = get_estimator("squeezenet", random_state=0, **settings)
grid = {
    "backbone": ["squeezenet", "timm/test_efficientnet"],
    "lr": [1e-3, 1e-2, 1e-1],
}
search = GridSearchCV(
    net,
    grid,
    scoring="balanced_accuracy",
    cv=StratifiedGroupKFold(3, shuffle=True, random_state=0),
    error_score="raise",
)

# %%
# The search
# ----------
# ``groups`` keep the patients together while the candidates are compared.

search.fit(cells.data, cells.target, groups=cells.groups)
results = pd.DataFrame(search.cv_results_)
scores = results.pivot(index="param_backbone", columns="param_lr", values="mean_test_score")
print(scores.round(2))
print(f"chosen: {search.best_params_}, {search.best_score_:.2f}")

# %%
# How good is what it chose?
# --------------------------
# Its score does not say. The best of six is partly the luckiest of six, which makes the score too
# high; and each candidate was trained on two thirds of the cells, which makes it too low. So the
# search itself has to be cross-validated: in each outer fold it chooses anew on the training
# patients, and patients that it has not seen judge the choice. ``compare`` does so for each
# backbone with ``tune``; ``skall compare --tune lr=1e-3,1e-2,1e-1`` is the same. (For a search like
# the one above it is ``cross_validate(search, ..., params={"groups": cells.groups})``.)

comparison = compare(
    grid["backbone"],
    cells.data,
    cells.target,
    groups=cells.groups,
    pos_label=cells.pos_label,
    cv=3,
    tune={"lr": grid["lr"]},
    scoring=["balanced_accuracy", "roc_auc"],
    random_state=1,
    verbose=0,
    **settings,
)
print(comparison.best_params_.to_string(index=False))
honest = comparison.table()["balanced_accuracy"]
print(honest.round(2).to_string())

# %%
# A vote
# ------
# The held-out probabilities are kept, so that an ensemble of the two costs nothing: ``vote``
# averages them, ``stack`` learns how to weigh them. Whether it helps is for the folds to say, and a
# better ranking (ROC AUC) need not mean better labels.

print(comparison.vote().stack().table()[["balanced_accuracy", "roc_auc"]].round(2))

# %%
# Backbone and learning rate have to be chosen together: what one network learns best with may be
# where another learns nothing. The dashed lines are the numbers to report: how well each network
# does on new patients when a search chooses its learning rate. The best point of a curve is not,
# because it was picked for being the best.

figure, ax = plt.subplots(figsize=(8, 4), layout="constrained")
for backbone, row in scores.iterrows():
    (line,) = ax.plot(row.index, row, marker="o", label=backbone)
    ax.axhline(honest[backbone], color=line.get_color(), linestyle="--")
ax.axhline(0.5, color="black", linewidth=0.8, linestyle=":")
ax.set(xscale="log", xlabel="learning rate", ylabel="balanced accuracy", ylim=(0.3, 1))
ax.legend(loc="lower center", bbox_to_anchor=(0.5, 1), ncols=4, frameon=False)
ax.spines[["top", "right"]].set_visible(False)
plt.show()
