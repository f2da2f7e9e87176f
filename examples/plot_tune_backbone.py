"""
Tuning the backbone like any other parameter
============================================

``backbone`` is a parameter, as ``C`` is one of a support vector machine, so scikit-learn's
``GridSearchCV`` can choose it, together with the learning rate or any other parameter. In this
example patients stay together in every split, and the choice is tested on patients that were not
used to make it.
"""

# %%
# A grid
# ------
# Two trunks with random weights, which are frozen; only the heads are trained. Their features are
# computed once for each image and cached, so that a whole grid takes seconds.

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
# ``groups`` keeps patients together while the candidates are compared.

search.fit(cells.data, cells.target, groups=cells.groups)
results = pd.DataFrame(search.cv_results_)
scores = results.pivot(index="param_backbone", columns="param_lr", values="mean_test_score")
print(scores.round(2))
print(f"chosen: {search.best_params_}, {search.best_score_:.2f}")

# %%
# How good is what it chose?
# --------------------------
# The search's own score does not say. The best of six is partly the luckiest of six, which makes
# the score too high; and each candidate was trained on two thirds of the cells, which makes it too
# low. So the search itself has to be cross-validated: in each outer fold it chooses on the training
# patients, and the choice is tested on patients that it has not seen. ``compare`` does so for each
# backbone with ``tune``, as does ``skall compare --tune lr=1e-3,1e-2,1e-1``. For a search like the
# one above use ``cross_validate(search, ..., params={"groups": cells.groups})``.

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
# The held-out probabilities are stored, so that an ensemble of the two needs no further training:
# ``vote`` averages them, ``stack`` learns how to weigh them. Whether that helps, the folds show; a
# better ranking (ROC AUC) need not mean better labels.

print(comparison.vote().stack().table()[["balanced_accuracy", "roc_auc"]].round(2))

# %%
# Backbone and learning rate have to be chosen together: with the best rate of one network another
# may learn nothing. The dashed lines are the numbers to report: how well each network does on new
# patients when a search chooses its learning rate. The best point of a curve is not, because it was
# chosen for being the best.

figure, ax = plt.subplots(figsize=(8, 4), layout="constrained")
for backbone, row in scores.iterrows():
    (line,) = ax.plot(row.index, row, marker="o", label=backbone)
    ax.axhline(honest[backbone], color=line.get_color(), linestyle="--")
ax.axhline(0.5, color="black", linewidth=0.8, linestyle=":")
ax.set(xscale="log", xlabel="learning rate", ylabel="balanced accuracy", ylim=(0.3, 1))
ax.legend(loc="lower center", bbox_to_anchor=(0.5, 1), ncols=4, frameon=False)
ax.spines[["top", "right"]].set_visible(False)
plt.show()
