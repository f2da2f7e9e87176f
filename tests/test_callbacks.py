"""scikit-learn's callbacks: fit and its epochs are tasks, and watching changes nothing."""

import pickle

import numpy as np
import pytest
import torch
from sklearn.base import clone
from sklearn.callback import ScoringMonitor
from sklearn.exceptions import NotFittedError
from sklearn.metrics import accuracy_score
from sklearn.model_selection import GridSearchCV, cross_validate
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler
from skorch.callbacks import Callback, EarlyStopping

from skall import CNNClassifier
from skall.datasets import make_blood_cells

CELLS = make_blood_cells(24, n_patients=4, image_size=32, random_state=0)
IMAGES, LABELS = CELLS.data, CELLS.target
ROWS = IMAGES.reshape(24, -1) / 255
KINDS = {
    "plain": {},
    "best epoch": {"early_stopping": True, "lr": 0.1},
    "stops early": {"early_stopping": True, "n_iter_no_change": 1, "tol": 10, "ema_decay": 0.9},
    "average": {"ema_decay": 0.9, "augment": "talupuri2025", "lr_schedule": "cosine"},
    "views": {"trainable": "head", "augment": "vinod2025", "augment_views": 2},
    "trunk later": {"unfreeze_after": 1, "callbacks": "disable"},
}


def make_classifier(**params):
    settings = {"weights": None, "image_size": 32, "max_epochs": 3, "lr": 0.01, "random_state": 0}
    return CNNClassifier("timm/test_resnet", **(settings | params))


class Watcher:
    """Keeps what it is told, and predicts whenever it can."""

    def __init__(self, images=IMAGES):
        self.images = images
        self.events = []
        self.arguments = []
        self.predictions = []

    def setup(self, estimator, context):
        self.events.append("setup")

    def on_fit_task_begin(
        self, estimator, context, *, X=None, y=None, metadata=None, fitted_estimator=None
    ):
        # To disturb what it can.
        torch.rand(3)
        np.random.rand()
        self._keep("begin", context, X, y, metadata, fitted_estimator)

    def on_fit_task_end(
        self, estimator, context, *, X=None, y=None, metadata=None, fitted_estimator=None
    ):
        torch.rand(3)
        self._keep("end", context, X, y, metadata, fitted_estimator)
        return self.is_enough()

    def teardown(self, estimator, context):
        self.events.append("teardown")

    def is_enough(self):
        return False

    def _keep(self, moment, context, X, y, metadata, fitted):
        self.events.append(f"{moment} {context.task_name}")
        self.arguments.append((context, X, y, metadata))
        if isinstance(fitted, CNNClassifier):
            self.predictions.append((fitted.predict_proba(self.images), fitted))

    def count(self, event):
        return self.events.count(event)


class Stopper(Watcher):
    """Asks to stop after some epochs."""

    def __init__(self, n_epochs):
        super().__init__()
        self.n_epochs = n_epochs

    def is_enough(self):
        return self.count("end epoch") == self.n_epochs


class PropagatedWatcher(Watcher):
    """One that a pipeline or search hands on."""

    max_propagation_depth = None


class Breaker(Watcher):
    """Raises at the end of the second epoch."""

    def __init__(self, error):
        super().__init__()
        self.error = error

    def is_enough(self):
        if self.count("end epoch") == 2:
            raise self.error


def list_events(n_epochs):
    epochs = ["begin epoch", "end epoch"] * n_epochs
    return ["setup", "begin fit", *epochs, "end fit", "teardown"]


def test_each_epoch_is_a_task():
    watcher = Watcher()
    weights = np.arange(1, 25) / 7
    net = make_classifier().set_callbacks(watcher)
    assert net.fit(IMAGES, LABELS, sample_weight=weights) is net
    assert watcher.events == list_events(3)
    contexts = [context for context, *_ in watcher.arguments]
    assert {context.estimator_name for context in contexts} == {"CNNClassifier"}
    root = contexts[0]
    assert (root.max_subtasks, root.parent) == (3, None)
    for number, context in enumerate(contexts[1:-1:2]):
        assert (context.task_id, context.parent, context.max_subtasks) == (number, root, 0)
    for _, X, y, metadata in watcher.arguments:
        assert X is IMAGES
        assert y is LABELS
        assert list(metadata) == ["sample_weight"]
        assert metadata["sample_weight"] is weights


@pytest.mark.parametrize("kind", KINDS)
def test_watching_changes_nothing(kind):
    plain = make_classifier(**KINDS[kind]).fit(IMAGES, LABELS)
    watcher = Watcher()
    net = make_classifier(**KINDS[kind]).set_callbacks(watcher)
    state = torch.get_rng_state()
    net.fit(IMAGES, LABELS)
    expected = plain.predict_proba(IMAGES)
    np.testing.assert_array_equal(net.predict_proba(IMAGES), expected)
    np.testing.assert_array_equal(watcher.predictions[-1][0], expected)
    assert watcher.events == list_events(net.n_iter_)
    assert net.get_params().keys() == plain.get_params().keys()
    assert vars(net).keys() - vars(plain).keys() == {"_skl_callbacks"}
    net.set_callbacks()
    assert vars(net).keys() == vars(plain).keys()
    # The hooks of the whole fit, two of them, draw from the generator that the user sees.
    with torch.random.fork_rng(devices=[]):
        torch.set_rng_state(state)
        torch.rand(3), torch.rand(3)
        state = torch.get_rng_state()
    assert torch.equal(torch.get_rng_state(), state)


@pytest.mark.thorough
@pytest.mark.parametrize("kind", KINDS)
def test_a_hook_gets_the_network_that_stopping_leaves(kind):
    watcher = Watcher()
    net = make_classifier(**KINDS[kind]).set_callbacks(watcher).fit(IMAGES, LABELS)
    # Before and after each epoch, and after the whole fit.
    assert len(watcher.predictions) == 2 * net.n_iter_ + 1
    numbers = [fitted.n_iter_ for _, fitted in watcher.predictions]
    assert numbers == sorted([*range(net.n_iter_ + 1), *range(1, net.n_iter_ + 1)])
    for n_epochs in range(1, net.n_iter_ + 1):
        stopped = make_classifier(**KINDS[kind]).set_callbacks(Stopper(n_epochs))
        expected = stopped.fit(IMAGES, LABELS).predict_proba(IMAGES)
        assert stopped.n_iter_ == n_epochs
        for predicted, fitted in watcher.predictions[2 * n_epochs - 1 : 2 * n_epochs + 1]:
            np.testing.assert_array_equal(predicted, expected)
            # Training has not reached what the hooks got before.
            np.testing.assert_array_equal(fitted.predict_proba(IMAGES), expected)
            assert len(fitted.history_frame_) == n_epochs
            assert getattr(fitted, "best_epoch_", None) == getattr(stopped, "best_epoch_", None)


def test_a_hook_that_returns_true_stops_the_training():
    stopper = Stopper(2)
    net = make_classifier(max_epochs=50).set_callbacks(stopper).fit(IMAGES, LABELS)
    assert net.n_iter_ == len(net.history_frame_) == 2
    assert stopper.events == list_events(2)


class Interrupter(Callback):
    """Stops as skorch's callbacks do, in the midst of the second epoch."""

    def on_batch_end(self, net, **kwargs):
        if len(net.history) == 2:
            raise KeyboardInterrupt


@pytest.mark.parametrize(
    "callback", [EarlyStopping("train_loss", patience=2, threshold=10), Interrupter()]
)
def test_an_epoch_in_which_skorch_stops_ends_too(callback):
    watcher = Watcher()
    net = make_classifier(max_epochs=50, callbacks=[callback]).set_callbacks(watcher)
    net.fit(IMAGES, LABELS)
    assert watcher.events == list_events(2 if isinstance(callback, Interrupter) else net.n_iter_)
    assert net.n_iter_ < 5
    for predicted, _ in watcher.predictions[-2:]:
        np.testing.assert_array_equal(predicted, net.predict_proba(IMAGES))


@pytest.mark.parametrize("error", [ValueError, KeyboardInterrupt])
def test_callbacks_are_torn_down_after_an_error(error):
    breaker, watcher = Breaker(error), Watcher()
    net = make_classifier().set_callbacks(breaker, watcher)
    with pytest.raises(error):
        net.fit(IMAGES, LABELS)
    for callback in (breaker, watcher):
        assert callback.count("setup") == callback.count("teardown") == 1
        assert callback.count("end fit") == 0
    with pytest.raises(NotFittedError):
        net.predict(IMAGES)
    failed = make_classifier(lr=1e30)
    with pytest.raises(ValueError, match="not finite"):
        failed.fit(IMAGES, LABELS)
    assert vars(net).keys() - vars(failed).keys() == {"_skl_callbacks"}
    # Nothing of the failure stays.
    expected = make_classifier().fit(IMAGES, LABELS).predict_proba(IMAGES)
    np.testing.assert_array_equal(
        net.set_callbacks(watcher).fit(IMAGES, LABELS).predict_proba(IMAGES), expected
    )


def test_training_that_fails_tears_down():
    watcher = Watcher()
    with pytest.raises(ValueError, match="not finite"):
        make_classifier(lr=1e30).set_callbacks(watcher).fit(IMAGES, LABELS)
    assert watcher.events[0] == "setup"
    assert watcher.events[-1] == "teardown"
    assert watcher.count("end fit") == 0
    assert watcher.count("begin epoch") == watcher.count("end epoch") + 1


def test_the_callbacks_of_two_libraries_are_not_confused():
    with pytest.raises(ValueError, match="set_callbacks"):
        make_classifier(callbacks=[Watcher()]).fit(IMAGES, LABELS)
    with pytest.raises(TypeError, match="FitCallback"):
        make_classifier().set_callbacks(EarlyStopping())


def test_nothing_is_set_up_for_what_cannot_be_fitted():
    watcher = Watcher()
    with pytest.raises(ValueError, match="max_epochs"):
        make_classifier(max_epochs=0).set_callbacks(watcher).fit(IMAGES, LABELS)
    assert watcher.events == []


def test_going_on_is_a_fit_and_partial_fit_is_none():
    watcher = Watcher()
    net = make_classifier(max_epochs=1, warm_start=True).set_callbacks(watcher)
    net.fit(IMAGES, LABELS).fit(IMAGES, LABELS)
    assert watcher.events == list_events(1) * 2
    assert [fitted.n_iter_ for _, fitted in watcher.predictions] == [0, 1, 1, 1, 2, 2]
    net.partial_fit(IMAGES, LABELS)
    assert watcher.events == list_events(1) * 2


def test_clones_and_pickles_keep_the_callbacks():
    watcher = Watcher()
    net = make_classifier(max_epochs=1).set_callbacks(watcher)
    clone(net).fit(IMAGES, LABELS)
    assert watcher.events == list_events(1)
    other = pickle.loads(pickle.dumps(net.fit(IMAGES, LABELS)))
    np.testing.assert_array_equal(other.predict_proba(IMAGES), net.predict_proba(IMAGES))
    (copied,) = other._skl_callbacks
    assert copied.events == list_events(1) * 2


@pytest.mark.thorough
@pytest.mark.parametrize("n_jobs", [1, 2])
def test_cross_validation_with_a_scoring_monitor(n_jobs):
    monitor = ScoringMonitor(scoring="accuracy")
    net = make_classifier()
    expected = cross_validate(net, IMAGES, LABELS, cv=2, return_train_score=True)
    scores = cross_validate(
        net.set_callbacks(monitor), IMAGES, LABELS, cv=2, return_train_score=True, n_jobs=n_jobs
    )
    for name in ("train_score", "test_score"):
        np.testing.assert_array_equal(scores[name], expected[name])
    runs = monitor.get_logs(select="all")
    assert len(runs) == 2
    tasks = [("fit", 0), ("epoch", 0), ("epoch", 1), ("epoch", 2)]
    for run in runs:
        assert [(row["task_name"], row["task_id"]) for row in run.data] == tasks
    # Processes finish in any order.
    whole = sorted(run.data[0]["accuracy"] for run in runs)
    assert whole == sorted(run.data[-1]["accuracy"] for run in runs)
    assert whole == sorted(scores["train_score"])


def test_a_scoring_monitor_weighs():
    weights = np.arange(1, 25)
    monitor = ScoringMonitor(scoring="accuracy")
    net = make_classifier().set_callbacks(monitor).fit(IMAGES, LABELS, sample_weight=weights)
    score = accuracy_score(LABELS, net.predict(IMAGES), sample_weight=weights)
    data = monitor.get_logs().data_as_pandas
    assert data.query("task_name == 'fit'")["accuracy"].item() == score


def test_a_pipeline_hands_its_callbacks_on():
    watcher = PropagatedWatcher(ROWS)
    pipeline = make_pipeline(StandardScaler(), make_classifier())
    expected = clone(pipeline).fit(ROWS, LABELS).predict_proba(ROWS)
    pipeline.set_callbacks(watcher).fit(ROWS, LABELS)
    assert watcher.count("setup") == watcher.count("teardown") == 1
    assert watcher.count("begin epoch") == watcher.count("end epoch") == 3
    context, X, *_ = watcher.arguments[watcher.events.index("end epoch") - 1]
    assert context.parent.source_estimator_name == "Pipeline"
    assert context.parent.parent.estimator_name == "Pipeline"
    np.testing.assert_array_equal(X, pipeline[0].transform(ROWS))
    np.testing.assert_array_equal(pipeline.predict_proba(ROWS), expected)
    assert not {"_skl_callbacks", "_parent_callback_ctx"} & vars(pipeline[-1]).keys()


@pytest.mark.parametrize("n_jobs", [1, 2])
def test_a_search_hands_its_callbacks_on(n_jobs):
    watcher = PropagatedWatcher()
    monitor = ScoringMonitor(scoring="accuracy")
    net = make_classifier().set_callbacks(monitor)
    search = GridSearchCV(net, {"max_epochs": [1, 2]}, cv=2, n_jobs=n_jobs)
    search.set_callbacks(watcher).fit(IMAGES, LABELS)
    # What happens in other processes only the monitor hears of.
    n_epochs = search.best_params_["max_epochs"] + (2 * (1 + 2) if n_jobs == 1 else 0)
    assert watcher.count("begin epoch") == watcher.count("end epoch") == n_epochs
    assert watcher.count("setup") == watcher.count("teardown") == 1
    rows = monitor.get_logs().data
    n_epochs = search.best_params_["max_epochs"] + 2 * (1 + 2)
    assert [row["task_name"] for row in rows].count("epoch") == n_epochs
    assert search.best_estimator_._skl_callbacks == [monitor]


def test_progress_bars(capsys, monkeypatch):
    pytest.importorskip("rich")
    monkeypatch.setenv("COLUMNS", "120")
    from sklearn.callback import ProgressBar

    expected = make_classifier().fit(IMAGES, LABELS).predict_proba(IMAGES)
    net = make_classifier().set_callbacks(ProgressBar())
    np.testing.assert_array_equal(net.fit(IMAGES, LABELS).predict_proba(IMAGES), expected)
    line = capsys.readouterr().out.strip()
    assert line.startswith("CNNClassifier - fit")
    assert "100%" in line
    cross_validate(net, IMAGES, LABELS, cv=2)
    assert capsys.readouterr().out.count("CNNClassifier - fit") == 2
    cross_validate(net, IMAGES, LABELS, cv=2, n_jobs=2)
    pickle.loads(pickle.dumps(net)).fit(IMAGES, LABELS)
    assert "100%" in capsys.readouterr().out
