"""Figures of comparisons: what is drawn equals numbers computed apart from them."""

from dataclasses import replace

import numpy as np
import pandas as pd
import pytest
from matplotlib.collections import LineCollection
from matplotlib.colors import to_hex, to_rgb
from matplotlib.figure import Figure
from PIL import Image
from sklearn.metrics import confusion_matrix, f1_score, roc_auc_score

from skall.comparison import Comparison
from skall.comparison.ensembles import score_predictions
from skall.displays.calibration import CalibrationDisplay
from skall.displays.cost import CostDisplay
from skall.displays.curves import GRID, PrecisionRecallDisplay, RocDisplay
from skall.displays.errors import ConfusionDisplay, ErrorGalleryDisplay, find_confident_errors
from skall.displays.learning import LearningCurvesDisplay
from skall.displays.metric_panels import MetricsDisplay
from skall.displays.rank_diagram import CriticalDifferenceDisplay
from skall.displays.style import COLOURS, quote, shorten_names, style_estimators
from skall.statistics import bootstrap_intervals, corrected_t_interval, friedman_test

METRICS = ["accuracy", "balanced_accuracy", "f1", "brier"]
CURVES = [RocDisplay, PrecisionRecallDisplay, CalibrationDisplay]
N, K = 90, 3


def make_comparison(n_classes=2, names=("good", "fair", "poor"), repeats=1, seed=0):
    """Synthetic predictions that grow worse from name to name, with their scores."""
    rng = np.random.default_rng(seed)
    classes = np.array(["ALL", "healthy", "other"])[:n_classes]
    truth = np.arange(N) // K % n_classes
    parts = []
    for place, name in enumerate(names):
        for repeat in range(repeats):
            logits = rng.normal(size=(N, n_classes)) + (2 - 0.5 * place) * np.eye(n_classes)[truth]
            proba = np.exp(logits) / np.exp(logits).sum(axis=1, keepdims=True)
            part = pd.DataFrame({"estimator": name, "repeat": repeat, "fold": np.arange(N) % K})
            part["sample"] = range(N)
            part["group"] = [f"P{k // 9}" for k in range(N)]
            part["y_true"] = classes[truth]
            part[[f"proba_{label}" for label in classes]] = proba
            parts.append(part.sort_values(["fold", "sample"]))
    predictions = pd.concat(parts, ignore_index=True)
    pos_label = "ALL" if n_classes == 2 else None
    scores = [
        score_predictions(predictions[predictions["estimator"] == name], METRICS, pos_label)
        for name in names
    ]
    scores = pd.concat(scores, ignore_index=True)
    folds = [(r, k, N - N // K, N // K) for r in range(repeats) for k in range(K)]
    folds = pd.DataFrame(folds, columns=["repeat", "fold", "n_train", "n_test"])
    return Comparison(scores, predictions, pos_label, folds_=folds)


def without_probabilities(comparison, name):
    """The comparison where an estimator has scores, but no probabilities."""
    predictions = comparison.predictions_.copy()
    columns = [c for c in predictions if c.startswith("proba_")]
    predictions.loc[predictions["estimator"] == name, columns] = np.nan
    return replace(comparison, predictions_=predictions)


def make_histories(lengths, seed=0):
    rng = np.random.default_rng(seed)
    columns = ["train_loss", "valid_loss", "train_acc", "valid_acc"]
    return [
        pd.DataFrame(rng.uniform(size=(n, 4)), columns=columns).assign(epoch=range(1, n + 1))
        for n in lengths
    ]


def part_of(comparison, name, fold=None):
    rows = comparison.predictions_.query("estimator == @name")
    return rows if fold is None else rows.query("fold == @fold")


def values_of(comparison, name, metric):
    rows = comparison.scores_.query("estimator == @name and metric == @metric")
    return rows["value"].to_numpy()


def lines_of(ax):
    """Lines by label, up to what the label says of areas."""
    return {line.get_label().split(" (")[0].strip(): line for line in ax.get_lines()}


def whiskers_of(ax):
    """Ends of the horizontal error bars, by estimator's place."""
    lines = [c for c in ax.collections if isinstance(c, LineCollection)]
    return [segment[:, 0] for collection in lines for segment in collection.get_segments()]


@pytest.fixture(params=[2, 3])
def comparison(request):
    return make_comparison(request.param)


def points_of(ax):
    """Drawn value by estimator."""
    return {n: line.get_xdata()[0] for n, line in lines_of(ax).items() if len(line.get_xdata()) < 2}


def test_one_metric_is_means_with_intervals(comparison):
    display = MetricsDisplay.from_comparison(comparison, "accuracy")
    shown = [label.get_text() for label in display.ax_.get_yticklabels()]
    means = {name: values_of(comparison, name, "accuracy").mean() for name in shown}
    assert list(means.values()) == sorted(means.values(), reverse=True)
    assert points_of(display.ax_) == pytest.approx(means)
    intervals = comparison.intervals("accuracy").set_index("estimator")[["low", "high"]]
    for name, ends in zip(shown, whiskers_of(display.ax_), strict=True):
        assert ends == pytest.approx(intervals.loc[name].tolist())
    display = MetricsDisplay.from_comparison(comparison, "accuracy", interval="corrected_t")
    for name, ends in zip(shown, whiskers_of(display.ax_), strict=True):
        # Of three folds, one tests half as many samples as the others train on.
        expected = corrected_t_interval(values_of(comparison, name, "accuracy"), 1 / 2)
        assert ends == pytest.approx(np.clip(expected, 0, 1))
    order = ["poor", "good", "fair"]
    display = MetricsDisplay.from_comparison(comparison, ["accuracy", "f1"], names=order)
    assert [label.get_text() for label in display.ax_[0].get_yticklabels()] == order
    lines = {n: line.get_ydata()[0] for n, line in lines_of(display.ax_[1]).items()}
    assert lines == {"poor": 0, "good": 1, "fair": 2}


def test_several_metrics_have_a_panel_each_with_bootstrap_intervals(comparison):
    options = {"interval": "bootstrap", "random_state": 0}
    display = MetricsDisplay.from_comparison(comparison, ["f1", "brier"], **options)
    expected = bootstrap_intervals(
        comparison.predictions_, ["f1", "brier"], pos_label=comparison.pos_label_, random_state=0
    )
    keys = ["estimator", "metric"]
    both = display.table.merge(expected, on=keys, suffixes=("", "_expected"))
    assert len(both) == 6
    for column in ("value", "low", "high"):
        assert both[column].to_numpy() == pytest.approx(both[f"{column}_expected"].to_numpy())
    assert [ax.get_title() for ax in display.ax_] == ["F1", "Brier score"]
    for metric, ax in zip(["f1", "brier"], display.ax_, strict=True):
        rows = expected[expected["metric"] == metric].set_index("estimator")
        assert points_of(ax) == pytest.approx(rows["value"].to_dict())
        # Whatever the values are, the best that the metric can have is in sight.
        low, high = ax.get_xlim()
        assert low < (0 if metric == "brier" else 1) < high


def test_metrics_show_higher_is_better_by_default_and_what_has_no_value():
    comparison = make_comparison()
    scores = comparison.scores_
    lacking = (scores["estimator"] == "poor") & (scores["metric"] == "f1")
    scores.loc[lacking, "value"] = np.nan
    display = MetricsDisplay.from_comparison(comparison)
    assert [ax.get_title() for ax in display.ax_] == ["accuracy", "balanced accuracy", "F1"]
    texts = [[text.get_text() for text in ax.texts] for ax in display.ax_]
    assert texts == [[], [], ["no value"]]
    assert [len(whiskers_of(ax)) for ax in display.ax_] == [3, 3, 2]


def test_metrics_of_a_single_fold_have_intervals_over_patients():
    comparison = make_comparison()
    first = [t[t["fold"] == 0] for t in (comparison.scores_, comparison.predictions_)]
    folds = comparison.folds_[:1]
    single = replace(comparison, scores_=first[0], predictions_=first[1], folds_=folds)
    display = MetricsDisplay.from_comparison(single, "accuracy")
    assert (display.table["low"] < display.table["value"]).all()
    assert len(points_of(display.ax_)) == len(whiskers_of(display.ax_)) == 3
    display = MetricsDisplay.from_comparison(single, "accuracy", interval="corrected_t")
    assert display.table[["low", "high"]].isna().all(axis=None)
    assert len(points_of(display.ax_)) == 3 and whiskers_of(display.ax_) == []


@pytest.mark.parametrize(("metric", "best"), [("accuracy", max), ("brier", min)])
def test_a_line_goes_through_the_best_baseline(metric, best):
    comparison = make_comparison(names=["good", "fair", "mean colour", "dummy"])
    (line,) = [
        line
        for line in MetricsDisplay.from_comparison(comparison, metric).ax_.get_lines()
        if line.get_linestyle() == "--"
    ]
    baselines = [values_of(comparison, n, metric).mean() for n in ("mean colour", "dummy")]
    assert list(line.get_xdata()) == pytest.approx([best(baselines)] * 2)


@pytest.mark.parametrize("repeats", [1, 2])
def test_confusion_matrices_pooled_and_per_fold(comparison, repeats):
    n_classes = 2 if comparison.pos_label_ else 3
    comparison = make_comparison(n_classes, repeats=repeats)
    classes = np.unique(comparison.predictions_["y_true"])
    columns = [f"proba_{label}" for label in classes]
    rows = part_of(comparison, "fair")
    predicted = classes[rows[columns].to_numpy().argmax(axis=1)]
    display = ConfusionDisplay.from_comparison(comparison, "fair")
    expected = confusion_matrix(rows["y_true"], predicted)
    assert display.matrices["fair"].tolist() == expected.tolist()
    share = expected[0, 0] / expected[0].sum()
    assert display.ax_.texts[0].get_text() == f"{expected[0, 0]}\n{share:.1%}"
    folds = ConfusionDisplay.from_comparison(comparison, "fair", per_fold=True)
    assert len(folds.ax_) == K * repeats
    assert sum(folds.matrices.values()).tolist() == expected.tolist()
    title = "fair: fold 0" if repeats == 1 else "fair: repeat 0, fold 0"
    assert folds.ax_[0].get_title().replace("\n", " ") == title
    first = (rows["fold"] == 0) & (rows["repeat"] == 0)
    of_fold = confusion_matrix(rows["y_true"][first], predicted[first])
    shares = np.asarray(folds.ax_[0].images[0].get_array())
    assert shares == pytest.approx(of_fold / of_fold.sum(axis=1, keepdims=True))


def test_roc_averages_sensitivities_that_are_counted_one_by_one(comparison):
    display = RocDisplay.from_comparison(comparison, pos_label="ALL")
    curves, areas = [], []
    for fold in range(K):
        rows = part_of(comparison, "fair", fold)
        positive = (rows["y_true"] == "ALL").to_numpy()
        proba = rows["proba_ALL"].to_numpy()
        thresholds = np.sort(proba)[::-1]
        x = [0, *((proba[~positive] >= t).mean() for t in thresholds)]
        y = [0, *((proba[positive] >= t).mean() for t in thresholds)]
        curves.append(np.interp(GRID, x, y))
        areas.append(roc_auc_score(positive, proba))
    line = lines_of(display.ax_)["fair"]
    mean, std = np.mean(curves, axis=0), np.std(curves, axis=0, ddof=1)
    assert line.get_xdata() == pytest.approx(GRID)
    assert line.get_ydata()[1:] == pytest.approx(mean[1:])
    assert line.get_ydata()[0] == 0
    assert f"AUC {np.mean(areas):.3f} ± {np.std(areas, ddof=1):.3f}" in line.get_label()
    low = display.ax_.collections[1].get_paths()[0].vertices
    assert low[:, 1].max() == pytest.approx(np.clip(mean + std, 0, 1)[1:].max())


def test_precision_recall_takes_the_best_threshold_that_reaches_a_recall(comparison):
    display = PrecisionRecallDisplay.from_comparison(comparison, pos_label="ALL")
    rows = part_of(comparison, "poor", 1)
    positive = (rows["y_true"] == "ALL").to_numpy()
    proba = rows["proba_ALL"].to_numpy()
    for x, y in zip(GRID[1:], display.curves["poor"][1][1:], strict=True):
        # The highest threshold at which the recall is x or more.
        enough = [t for t in proba if (proba[positive] >= t).mean() >= x - 1e-12]
        assert y == pytest.approx(positive[proba >= max(enough)].mean())
    mean = np.mean(display.curves["poor"], axis=0)
    assert lines_of(display.ax_)["poor"].get_ydata() == pytest.approx(mean)
    chance = lines_of(display.ax_)["chance"].get_ydata()
    assert chance == pytest.approx([(comparison.predictions_["y_true"] == "ALL").mean()] * 2)


def test_calibration_counts_by_hand(comparison):
    display = CalibrationDisplay.from_comparison(comparison, pos_label="ALL", n_bins=3)
    rows = part_of(comparison, "fair")
    rows = rows.assign(bin=pd.qcut(rows["proba_ALL"].rank(), 3))
    rows["positive"] = rows["y_true"] == "ALL"
    by_bin = rows.groupby("bin", observed=True)
    line = lines_of(display.ax_)["fair"]
    assert line.get_xdata() == pytest.approx(by_bin["proba_ALL"].mean())
    assert line.get_ydata() == pytest.approx(by_bin["positive"].mean())
    assert display.curves["fair"]["count"].tolist() == by_bin.size().tolist() == [30, 30, 30]
    by_fold = rows.groupby(["bin", "fold"], observed=True)["positive"].mean()
    assert display.curves["fair"]["std"] == pytest.approx(by_fold.groupby("bin").std())
    steps = display.counts_ax_.patches[1].get_data().values
    cells = pd.cut(rows["proba_ALL"], np.arange(21) / 20, right=False)
    assert steps.tolist() == cells.value_counts(sort=False).tolist()
    assert "a point: 30 samples" in display.counts_ax_.get_xlabel()


def test_calibration_has_bins_that_hold_enough():
    """Of 90 samples four bins; what is equal is in one."""
    comparison = make_comparison(names=["good", "fair"])
    counts = CalibrationDisplay.from_comparison(comparison).curves["good"]["count"]
    assert counts.tolist() == [22, 23, 22, 23]
    rows = comparison.predictions_
    rows["proba_ALL"] = np.where(rows["sample"] < 50, 0.3, np.where(rows["sample"] < 80, 0.4, 0.9))
    # The ten of 0.9 are too few for a bin of their own.
    counts = CalibrationDisplay.from_comparison(comparison).curves["good"]["count"]
    assert counts.tolist() == [50, 40]
    rows["proba_ALL"] = 0.5
    assert CalibrationDisplay.from_comparison(comparison).curves["good"]["count"].tolist() == [90]


@pytest.mark.parametrize("metric", ["accuracy", "brier"])
def test_critical_difference_diagram_draws_ranks_groups_and_difference(metric):
    comparison = make_comparison(names=["a", "b", "c", "d", "e"], repeats=6)
    display = CriticalDifferenceDisplay.from_comparison(comparison, metric)
    folds = comparison.scores_.query("metric == @metric")
    folds = folds.pivot(index=["repeat", "fold"], columns="estimator", values="value")
    expected = friedman_test(folds, higher_is_better=metric == "accuracy")
    drawn = {}
    for line in display.ax_.get_lines():
        drawn.setdefault(line.get_gid(), []).append(line.get_xdata())
    assert [x[0] for x in drawn["name"]] == pytest.approx(expected.mean_ranks.tolist())
    (critical,) = drawn["critical"]
    assert critical[1] - critical[0] == pytest.approx(expected.critical_difference)
    assert expected.groups
    for x, group in zip(drawn["group"], expected.groups, strict=True):
        ends = expected.mean_ranks[[group[0], group[-1]]]
        assert x == pytest.approx([ends.iloc[0] - 0.04, ends.iloc[1] + 0.04])
    texts = [text.get_text() for text in display.ax_.texts]
    assert f"a ({expected.mean_ranks['a']:.2f})" in texts


def test_most_confident_errors(comparison):
    found = find_confident_errors(comparison, n=5)
    rows = comparison.predictions_
    columns = [c for c in rows if c.startswith("proba_")]
    likeliest = rows[columns].idxmax(axis=1).str.removeprefix("proba_")
    wrong = rows[columns].max(axis=1)[likeliest != rows["y_true"]]
    expected = wrong.sort_values(ascending=False).head(5)
    assert found["probability"].tolist() == expected.tolist()
    for column in ("sample", "group", "y_true", "estimator"):
        assert found[column].tolist() == rows.loc[expected.index, column].tolist()
    assert found["predicted"].tolist() == likeliest[expected.index].tolist()
    everything = find_confident_errors(comparison, n=10_000, names="good")
    assert len(everything) == (likeliest != rows["y_true"])[rows["estimator"] == "good"].sum()


@pytest.mark.parametrize("kind", ["files", "array"])
def test_gallery_shows_the_images_and_their_names_as_text(tmp_path, kind):
    comparison = make_comparison()
    X = np.random.default_rng(0).integers(0, 255, size=(N, 6, 6, 3), dtype=np.uint8)
    names = [f"_$x$ <b>{row}.png" for row in range(N)]
    images = X
    if kind == "files":
        images = [tmp_path / name for name in names]
        for path, array in zip(images, X, strict=True):
            Image.fromarray(array).save(path)
    display = ErrorGalleryDisplay.from_comparison(comparison, images, n=6)
    display.figure_.canvas.draw()
    assert len(display.ax_) == 6
    for panel, error in zip(display.ax_, display.errors.itertuples(), strict=True):
        assert panel.images[0].get_array().tolist() == X[error.sample].tolist()
        first, patient, *_ = panel.get_title(loc="left").split("\n")
        name = names[error.sample] if kind == "files" else f"sample {error.sample}"
        assert first == quote(name)
        assert patient == f"patient {error.group}"


def test_gallery_without_errors_and_of_fewer_images():
    comparison = make_comparison()
    with pytest.raises(ValueError, match="X has 5 rows, but sample 89 was tested"):
        ErrorGalleryDisplay.from_comparison(comparison, np.zeros((5, 4, 4, 3), np.uint8))
    rows = comparison.predictions_
    rows["proba_ALL"] = (rows["y_true"] == "ALL").astype(float)
    rows["proba_healthy"] = 1 - rows["proba_ALL"]
    display = ErrorGalleryDisplay.from_comparison(comparison, np.zeros((N, 4, 4, 3), np.uint8))
    assert display.ax_[0].texts[0].get_text() == "no sample was misclassified"


@pytest.mark.parametrize(("dearest", "scale"), [(5, "linear"), (500, "log")])
def test_cost_against_a_metric(comparison, dearest, scale):
    costs = {"good": dearest, "poor": 2}
    display = CostDisplay.from_comparison(comparison, costs, label="ms", metric="f1")
    drawn = {n: (*line.get_xdata(), *line.get_ydata()) for n, line in lines_of(display.ax_).items()}
    assert drawn == {n: (c, values_of(comparison, n, "f1").mean()) for n, c in costs.items()}
    assert display.ax_.get_xscale() == scale
    assert display.ax_.get_xlabel() == "ms"
    if comparison.pos_label_:
        rows = part_of(comparison, "good", 0)
        predicted = np.where(rows["proba_ALL"] > 0.5, "ALL", "healthy")
        expected = f1_score(rows["y_true"], predicted, pos_label="ALL")
        assert values_of(comparison, "good", "f1")[0] == pytest.approx(expected)


def test_learning_curves_average_the_folds_that_reached_an_epoch():
    histories = {"net": make_histories([3, 5, 5]), "other": make_histories([4], seed=1)}
    display = LearningCurvesDisplay.from_histories(histories)
    assert display.ax_.shape == (2,)
    net = [line for line in display.ax_[1].get_lines() if line.get_color() == COLOURS[0]]
    lines = {line.get_label(): line for line in net}
    values = np.full((3, 5), np.nan)
    for row, history in zip(values, histories["net"], strict=True):
        row[: len(history)] = history["valid_acc"]
    assert lines["validation"].get_xdata().tolist() == [1, 2, 3, 4, 5]
    assert lines["validation"].get_ydata() == pytest.approx(np.nanmean(values, axis=0))
    band = display.ax_[1].collections[1].get_paths()[0].vertices[:, 1]
    mean, std = np.nanmean(values, axis=0), np.nanstd(values, axis=0, ddof=1)
    assert band.max() == pytest.approx(np.clip(mean + std, 0, 1).max())
    assert lines["training"].get_linestyle() != lines["validation"].get_linestyle()
    assert all(tick == round(tick) for tick in display.ax_[1].get_xticks())


def test_learning_curves_of_a_comparison():
    histories = make_histories([3, 4])
    table = pd.concat([h.assign(fold=k, repeat=0) for k, h in enumerate(histories)])
    table = table.assign(estimator="net")
    history = pd.concat([table, table.assign(estimator="other")])
    comparison = replace(make_comparison(names=["net", "other"]), history_=history)
    drawn = LearningCurvesDisplay.from_comparison(comparison, "net").ax_
    expected = LearningCurvesDisplay.from_histories({"net": histories}).ax_
    assert len(drawn) == 2
    for ax, of_lists in zip(drawn, expected, strict=True):
        for name, line in lines_of(ax).items():
            assert line.get_ydata() == pytest.approx(lines_of(of_lists)[name].get_ydata())
    with pytest.raises(ValueError, match="there is no estimator 'svm'; there are 'net', 'other'"):
        LearningCurvesDisplay.from_comparison(comparison, "svm")
    with pytest.raises(ValueError, match="no estimator has a history"):
        LearningCurvesDisplay.from_comparison(replace(comparison, history_=table.head(0)))


def test_learning_curves_without_validation():
    histories = [history[["epoch", "train_loss"]] for history in make_histories([4, 4])]
    display = LearningCurvesDisplay.from_histories({"net": histories})
    assert [len(ax.get_lines()) for ax in display.ax_] == [1, 0]


@pytest.mark.parametrize(
    ("histories", "message"),
    [
        ({}, "histories is empty"),
        ({"net": []}, "needs a list with one history or more"),
        ({"net": make_histories([3])[0]}, "needs a list with one history or more"),
        ({"net": [pd.DataFrame({"epoch": [1], "lr": [0.1]})]}, "it needs 'epoch' and one of"),
        ({"net": [make_histories([3])[0].head(0)]}, "has 0 rows"),
    ],
)
def test_histories_that_cannot_be_drawn(histories, message):
    with pytest.raises(ValueError, match=message):
        LearningCurvesDisplay.from_histories(histories)


@pytest.mark.parametrize("display", CURVES)
def test_estimators_without_probabilities_are_named_in_the_legend(display):
    comparison = without_probabilities(make_comparison(), "fair")
    drawn = display.from_comparison(comparison)
    texts = [text.get_text() for text in drawn.ax_.get_legend().get_texts()]
    assert "fair: no probabilities" in texts
    assert "fair" not in lines_of(drawn.ax_)
    with pytest.raises(ValueError, match="'fair': no probabilities were stored"):
        display.from_comparison(comparison, ["good", "fair"])


@pytest.mark.parametrize("draw", [ConfusionDisplay.from_comparison, find_confident_errors])
def test_other_figures_leave_out_estimators_without_probabilities(draw):
    comparison = without_probabilities(make_comparison(), "fair")
    drawn = draw(comparison)
    names = drawn.matrices if hasattr(drawn, "matrices") else drawn["estimator"]
    assert set(names) <= {"good", "poor"}
    with pytest.raises(ValueError, match="no probabilities were stored"):
        draw(comparison, names="fair")
    for name in ("good", "poor"):
        comparison = without_probabilities(comparison, name)
    with pytest.raises(ValueError, match="no probabilities were stored"):
        draw(comparison)


@pytest.mark.parametrize("display", CURVES)
def test_curves_need_a_class(display):
    with pytest.raises(ValueError, match="pass pos_label, the class to be drawn"):
        display.from_comparison(make_comparison(3))
    with pytest.raises(ValueError, match="'AML' is not one of the classes"):
        display.from_comparison(make_comparison(), pos_label="AML")


@pytest.mark.parametrize("display", CURVES[:2])
def test_folds_of_one_class_have_no_curve(display):
    comparison = make_comparison()
    rows = comparison.predictions_
    kept = rows[(rows["fold"] != 0) | (rows["y_true"] == "ALL")]
    drawn = display.from_comparison(replace(comparison, predictions_=kept))
    assert drawn.curves["good"].shape == (K - 1, len(GRID))
    fold = (rows["y_true"] == "ALL").astype(int)
    with pytest.raises(ValueError, match="no fold holds samples of 'ALL' and of another class"):
        alone = replace(comparison, predictions_=rows.assign(fold=fold))
        display.from_comparison(alone)


@pytest.mark.parametrize(
    ("draw", "message"),
    [
        (lambda c: MetricsDisplay.from_comparison(c, "mcc"), "'mcc' was not computed"),
        (lambda c: MetricsDisplay.from_comparison(c, []), "metrics is empty"),
        (lambda c: MetricsDisplay.from_comparison(c, interval="t"), "unknown interval 't'"),
        (lambda c: RocDisplay.from_comparison(c, "none"), "there is no estimator 'none'"),
        (lambda c: RocDisplay.from_comparison(c, []), "names is empty"),
        (lambda c: CalibrationDisplay.from_comparison(c, n_bins=1), "n_bins must be 2 or more"),
        (lambda c: find_confident_errors(c, n=0), "n must be 1 or more"),
        (lambda c: CostDisplay.from_comparison(c, {"x": 1}, label="ms"), "no estimator 'x'"),
        (lambda c: CostDisplay.from_comparison(c, {}, label="ms"), "names is empty"),
        (lambda c: CostDisplay.from_comparison(c, {"good": -1}, label="ms"), "got -1 for 'good'"),
        (
            lambda c: CriticalDifferenceDisplay.from_comparison(c, names=["good", "poor"]),
            "three estimators",
        ),
    ],
)
def test_mistakes_are_explained(draw, message):
    with pytest.raises(ValueError, match=message):
        draw(make_comparison())


def test_drawn_styles_differ_in_grey():
    comparison = make_comparison(names=[f"net{i}" for i in range(9)])
    for display in CURVES:
        lines = lines_of(display.from_comparison(comparison).ax_)
        styles = {(lines[n].get_linestyle(), lines[n].get_marker()) for n in lines if "net" in n}
        assert len(styles) == 9
    bars = comparison.plot_accuracy().patches
    assert len({bar.get_hatch() for bar in bars}) == 9


def test_an_estimator_looks_the_same_in_every_figure():
    """Whatever else a figure shows, and however it is sorted."""
    comparison = make_comparison(names=["poor", "fair", "good", "mean colour", "dummy"])
    comparison = replace(
        comparison,
        history_=pd.concat(make_histories([3])).assign(estimator="good", repeat=0, fold=0),
    )
    style = style_estimators(comparison)["good"]
    one = {"names": ["good", "dummy"]}
    figures = [
        *(display.from_comparison(comparison, **one).ax_ for display in CURVES),
        MetricsDisplay.from_comparison(comparison, "brier").ax_,
        MetricsDisplay.from_comparison(comparison, "accuracy", **one).ax_,
        CostDisplay.from_comparison(comparison, {"good": 1}, label="ms").ax_,
    ]
    for ax in figures:
        line = lines_of(ax)["good"]
        assert (line.get_color(), line.get_marker()) == (style.colour, style.marker)
    curves = LearningCurvesDisplay.from_comparison(comparison).ax_
    assert {line.get_color() for ax in curves for line in ax.get_lines()} == {style.colour}
    bars = comparison.plot_accuracy()
    names = [label.get_text() for label in bars.get_yticklabels()]
    bar = bars.patches[names.index("good")]
    assert bar.get_hatch() == style.hatch and to_hex(bar.get_facecolor()) == style.colour.lower()


def test_baselines_are_grey_and_hollow():
    comparison = make_comparison(names=["net", "mean colour", "dummy"])
    styles = style_estimators(comparison)
    for name, style in styles.items():
        red, green, blue = to_rgb(style.colour)
        assert (red == green == blue) == (name != "net") == (style.face == "white")


# Machado, Oliveira & Fernandes 2009, doi 10.1109/TVCG.2009.113, at full severity.
BLINDNESS = {
    "protanopia": [[0.152, 1.053, -0.205], [0.115, 0.786, 0.099], [-0.004, -0.048, 1.052]],
    "deuteranopia": [[0.367, 0.861, -0.228], [0.280, 0.673, 0.047], [-0.012, 0.043, 0.969]],
}


@pytest.mark.parametrize("kind", BLINDNESS)
def test_the_first_colours_differ_to_the_colour_blind(kind):
    seen = np.clip([np.array(BLINDNESS[kind]) @ to_rgb(colour) for colour in COLOURS[:5]], 0, 1)
    apart = np.linalg.norm(seen[:, None] - seen[None], axis=2)
    assert apart[~np.eye(5, dtype=bool)].min() > 0.15


def test_long_names_are_shortened_where_they_stay_apart():
    names = ["n" * 40 + "a", "b"]
    assert [len(name) for name in shorten_names(names).values()] == [26, 1]
    same_ends = [f"{'n' * 20}{middle}{'n' * 20}" for middle in "ab"]
    assert list(shorten_names(same_ends).values()) == same_ends


def draw_everything(comparison):
    """Every display as a function of the axes."""
    X = np.zeros((N, 4, 4, 3), dtype=np.uint8)
    costs = dict.fromkeys(comparison.scores_["estimator"], 1)
    return {
        "metrics": lambda ax: MetricsDisplay.from_comparison(comparison, ax=ax),
        "confusion": lambda ax: ConfusionDisplay.from_comparison(comparison, ax=ax),
        "roc": lambda ax: RocDisplay.from_comparison(comparison, ax=ax),
        "pr": lambda ax: PrecisionRecallDisplay.from_comparison(comparison, ax=ax),
        "calibration": lambda ax: CalibrationDisplay.from_comparison(comparison, ax=ax),
        "ranks": lambda ax: CriticalDifferenceDisplay.from_comparison(comparison, ax=ax),
        "gallery": lambda ax: ErrorGalleryDisplay.from_comparison(comparison, X, ax=ax),
        "cost": lambda ax: CostDisplay.from_comparison(comparison, costs, label="$", ax=ax),
        "learning": lambda ax: LearningCurvesDisplay.from_histories(
            {"$net$": make_histories([3])}, ax=ax
        ),
    }


@pytest.mark.parametrize("figure", draw_everything(make_comparison()))
def test_figures_are_drawn_where_asked_and_leave_pyplot_alone(figure):
    import matplotlib.pyplot as plt

    # Names that would be a wrong formula, and be left out of a legend.
    comparison = make_comparison(names=["_a $\\frac$", "b", "c"])
    draw = draw_everything(comparison)[figure]
    numbers = plt.get_fignums()
    own = draw(None)
    own.figure_.canvas.draw()
    assert plt.get_fignums() == numbers
    given = Figure().subplots(2, 2)[0, 1]
    display = draw(given)
    given.figure.canvas.draw()
    assert display.figure_ is given.figure
    assert display.plot().figure_ is not given.figure
    legend = np.ravel(own.ax_)[0].get_legend()
    if legend is not None and figure != "learning":
        assert any("_a" in text.get_text() for text in legend.get_texts())


def test_axes_that_cannot_be_divided():
    ax = Figure().add_axes((0, 0, 1, 1))
    with pytest.raises(ValueError, match="cannot be divided"):
        ConfusionDisplay.from_comparison(make_comparison(), ax=ax)
    assert ConfusionDisplay.from_comparison(make_comparison(), "good", ax=ax).ax_ is ax
