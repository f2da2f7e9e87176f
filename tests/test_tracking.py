"""MLflow's runs of a comparison."""

import math
import os
import sys
from types import SimpleNamespace

import numpy as np
import pandas as pd
import pytest
from sklearn.datasets import make_classification
from sklearn.linear_model import LogisticRegression

import skall
from skall.comparison.description import make_fingerprint
from skall.comparison.splits import make_folds
from skall.comparison.tracking import TRACKERS, make_tracker

pytestmark = [
    # MLflow 3.17 with SQLAlchemy 2.1.
    pytest.mark.filterwarnings("ignore:The ..noload.. loader strategy:DeprecationWarning"),
    # Stores of files, from MLflow 3.6 until it refused them unless they are asked for.
    pytest.mark.filterwarnings("ignore:.*ilesystem tracking backend:FutureWarning"),
]

ODD_NAMES = [
    "timm/test_resnet",
    "a&b",
    "A+B",
    "<script>",
    "zwei Wörter 細胞 😀",
    "../..",
    "x" * 300,
]


@pytest.fixture(scope="module")
def database(tmp_path_factory):
    """An empty store as MLflow makes by default, which takes seconds."""
    with pytest.MonkeyPatch.context() as patch:
        # Before the import, which would send a message otherwise.
        patch.setenv("MLFLOW_DISABLE_TELEMETRY", "true")
        mlflow = pytest.importorskip("mlflow")
        pytest.importorskip("sqlalchemy")
        uri = f"sqlite:///{tmp_path_factory.mktemp('store').as_posix()}/mlflow.db"
        mlflow.MlflowClient(uri).search_experiments()
        yield uri


@pytest.fixture
def client(database, tmp_path, monkeypatch):
    """A client of the store, with an experiment of the test's own as the one in use."""
    from mlflow import MlflowClient

    monkeypatch.setenv("MLFLOW_TRACKING_URI", database)
    _use_experiment(MlflowClient(), tmp_path, monkeypatch)
    return MlflowClient()


@pytest.fixture(scope="module")
def comparison():
    X, y = make_classification(random_state=0)
    models = {"logistic": LogisticRegression(), "timm/test_resnet": LogisticRegression(C=9)}
    return skall.compare(models, X, y, cv=3, random_state=0, verbose=0)


def _use_experiment(client, tmp_path, monkeypatch):
    name = str(tmp_path)
    client.create_experiment(name, artifact_location=(tmp_path / "artifacts").as_uri())
    monkeypatch.setenv("MLFLOW_EXPERIMENT_NAME", name)
    monkeypatch.delenv("MLFLOW_EXPERIMENT_ID", raising=False)


def _list_runs(client, parent=None):
    experiment = client.get_experiment_by_name(os.environ["MLFLOW_EXPERIMENT_NAME"])
    runs = client.search_runs([experiment.experiment_id], max_results=1000)
    return [run for run in runs if run.data.tags.get("mlflow.parentRunId") == parent]


def _make_result(**changes):
    scores = {"accuracy": 0.75, "roc_auc": 0.5}
    seconds = {"fit": 2.5, "shared": 0.25}
    return {"scores": scores, "proba": None, "seconds": seconds, "peak_memory": 4096} | changes


def _make_fold(fold=0, repeat=0):
    return SimpleNamespace(repeat=repeat, fold=fold, title=f"repeat {repeat}, fold {fold}")


def _log_one(name="net", settings=None, **changes):
    with make_tracker("mlflow") as tracker:
        tracker.begin(settings or {})
        tracker.log_fold(name, _make_fold(), _make_result(**changes))
    return tracker


def _log(comparison, settings):
    """What compare does, from what it has returned."""
    with make_tracker("mlflow") as tracker:
        tracker.begin(settings)
        keys = ["estimator", "repeat", "fold"]
        taken = comparison.resources_.set_index(keys)
        for (name, repeat, fold), rows in comparison.scores_.groupby(keys):
            row = taken.loc[(name, repeat, fold)]
            result = _make_result(
                scores=rows.set_index("metric")["value"].to_dict(),
                seconds={"fit": row["fit_seconds"], "shared": row["shared_seconds"]},
                predict_ms=row["predict_ms"],
                peak_memory=row["peak_memory"],
            )
            tracker.log_fold(name, _make_fold(fold, repeat), result)
        tracker.end(comparison)
    return tracker


def test_no_tracker():
    assert make_tracker(None) is None
    assert TRACKERS == ("mlflow",)
    with pytest.raises(ValueError, match="None or 'mlflow', got 'wandb'"):
        make_tracker("wandb")


def _check_missing(package, monkeypatch):
    monkeypatch.setitem(sys.modules, package, None)
    with pytest.raises(ImportError, match=rf"package {package}.*pip install 'skall\[tracking\]'"):
        make_tracker("mlflow")


def test_mlflow_is_missing(monkeypatch):
    _check_missing("mlflow", monkeypatch)


@pytest.mark.parametrize("package", ["sqlalchemy", "alembic"])
def test_a_database_needs_packages(package, client, monkeypatch):
    _check_missing(package, monkeypatch)


def test_a_server_needs_no_database_packages(client, monkeypatch):
    monkeypatch.setitem(sys.modules, "sqlalchemy", None)
    monkeypatch.setenv("MLFLOW_TRACKING_URI", "http://localhost:1")
    assert make_tracker("mlflow")


def test_a_run_for_the_call_and_one_for_each_fold(client, comparison):
    X, y = make_classification(random_state=0)
    models = {"logistic": LogisticRegression(), "timm/test_resnet": LogisticRegression(C=9)}
    call = make_fingerprint(models, X, y, None, make_folds(y, cv=3), seed=0, scoring=["accuracy"])
    tracker = _log(comparison, call)

    [parent] = _list_runs(client)
    assert (parent.info.run_id, parent.info.run_name) == (tracker.run_id, "skall compare")
    assert parent.info.status == "FINISHED"
    assert parent.data.params["seed"] == "0"
    assert parent.data.params["scoring"] == "['accuracy']"
    assert parent.data.params["X"] == call["X"]
    assert not [key for key in parent.data.params if "logistic" in key]
    means = comparison.scores_.groupby(["estimator", "metric"])["value"].mean()
    assert parent.data.metrics == {f"{name}/{key}": mean for (name, key), mean in means.items()}

    children = _list_runs(client, tracker.run_id)
    expected = comparison.scores_.groupby(["estimator", "repeat", "fold"])
    assert len(children) == len(expected) == 9
    found = {child.info.run_name: child for child in children}
    for (name, repeat, fold), rows in expected:
        child = found.pop(f"{name}, repeat {repeat}, fold {fold}")
        assert child.info.status == "FINISHED"
        kept = {key: child.data.params[key] for key in ("estimator", "repeat", "fold")}
        assert kept == {"estimator": name, "repeat": str(repeat), "fold": str(fold)}
        scores = rows.set_index("metric")["value"].to_dict()
        assert {key: child.data.metrics[key] for key in scores} == scores
        strengths = {"logistic": "1.0", "timm/test_resnet": "9"}
        assert child.data.params.get("params/C") == strengths.get(name)


def test_time_memory_and_choices(client):
    tracker = _log_one(best_params={"lr": 0.01, "head": None}, trials=4)
    [child] = _list_runs(client, tracker.run_id)
    assert child.data.params == {
        **{"estimator": "net", "repeat": "0", "fold": "0"},
        **{"best_params/lr": "0.01", "best_params/head": "None"},
    }
    assert child.data.metrics == {
        **{"accuracy": 0.75, "roc_auc": 0.5, "fit_seconds": 2.5, "shared_seconds": 0.25},
        **{"peak_memory": 4096, "trials": 4},
    }
    assert 2750 <= child.info.end_time - child.info.start_time < 60_000


def test_epochs_are_steps(client):
    n_epochs = 600
    losses = np.linspace(1, 0, n_epochs).tolist()
    history = {
        "epoch": list(range(1, n_epochs + 1)),
        **{"train_loss": losses, "lr": losses[::-1]},
        **{"valid_loss": [math.nan] * n_epochs, "event": [None] * n_epochs},
    }
    tracker = _log_one(history=history)
    [child] = _list_runs(client, tracker.run_id)
    for column in ("train_loss", "lr"):
        logged = client.get_metric_history(child.info.run_id, column)
        by_step = {metric.step: metric.value for metric in logged}
        assert by_step == dict(zip(history["epoch"], history[column], strict=True))
    assert not {"valid_loss", "event", "epoch"} & {*child.data.metrics}


def test_what_was_not_measured(client):
    tracker = _log_one(scores={"accuracy": 1.0, "roc_auc": math.nan}, peak_memory=None)
    [child] = _list_runs(client, tracker.run_id)
    assert child.data.metrics["accuracy"] == 1
    assert math.isnan(child.data.metrics["roc_auc"])
    assert "peak_memory" not in child.data.metrics


def test_means_leave_out_nan(client):
    scores = pd.DataFrame(
        [("net", 0, 0, "f1", 0.5), ("net", 0, 1, "f1", math.nan), ("net", 0, 0, "ece", math.nan)],
        columns=["estimator", "repeat", "fold", "metric", "value"],
    )
    with make_tracker("mlflow") as tracker:
        tracker.begin({})
        tracker.end(SimpleNamespace(scores_=scores))
    metrics = client.get_run(tracker.run_id).data.metrics
    assert metrics["net/f1"] == 0.5
    assert math.isnan(metrics["net/ece"])


@pytest.mark.parametrize("store", ["database", "files"])
def test_odd_names(store, client, tmp_path, monkeypatch):
    if store == "files":
        client = _make_file_store(tmp_path, monkeypatch)
    # Else it would cut long values itself.
    monkeypatch.setenv("MLFLOW_TRUNCATE_LONG_VALUES", "false")
    own = {f"estimator {name!r}, C?": str(i) for i, name in enumerate(ODD_NAMES)}
    settings = {"estimators": ODD_NAMES, "tune a/../b": "x" * 7000, "": "none", **own}
    with make_tracker("mlflow") as tracker:
        tracker.begin(settings | {"files": {"a.png": [1, 2], "b.png": [1, 2]}})
        for name in ODD_NAMES:
            tracker.log_fold(name, _make_fold(), _make_result())
        values = [(name, 0, 0, "f1", i) for i, name in enumerate(ODD_NAMES)]
        columns = ["estimator", "repeat", "fold", "metric", "value"]
        tracker.end(SimpleNamespace(scores_=pd.DataFrame(values, columns=columns)))

    parent = client.get_run(tracker.run_id)
    assert parent.data.params["estimators"] == str(ODD_NAMES)
    assert parent.data.params["tune a/_/b"] == "x" * 5997 + "..."
    assert parent.data.params["_"] == "none"
    assert parent.data.params["files"].startswith("2, hash ")
    expected = [
        *("timm/test_resnet", "a_b", "A_B 2", "_script_", "zwei Wörter 細胞 _", "_/_"),
        "x" * 190,
    ]
    assert parent.data.metrics == {f"{name}/f1": i for i, name in enumerate(expected)}
    children = _list_runs(client, tracker.run_id)
    found = {run.data.params["estimator"]: run.data.params["params/C_"] for run in children}
    assert found == {name: str(i) for i, name in enumerate(ODD_NAMES)}
    titles = {f"{name[:200]}, repeat 0, fold 0" for name in ODD_NAMES}
    assert {run.info.run_name for run in children} == titles


def _make_file_store(tmp_path, monkeypatch):
    from mlflow import MlflowClient

    monkeypatch.setenv("MLFLOW_ALLOW_FILE_STORE", "true")
    monkeypatch.setenv("MLFLOW_TRACKING_URI", (tmp_path / "runs").as_uri())
    _use_experiment(MlflowClient(), tmp_path, monkeypatch)
    return MlflowClient()


def test_more_parameters_than_a_request_holds(client):
    settings = {f"setting {number}": number for number in range(250)}
    run = client.get_run(_log_one(settings=settings).run_id)
    assert run.data.params == {key: str(value) for key, value in settings.items()}


@pytest.mark.usefixtures("without_page")
def test_files_of_the_folder_alone(client, comparison, tmp_path):
    folder = tmp_path / "out"
    (folder / "cells").mkdir(parents=True)
    for name in ("scores.csv", "report.html", ".x.partial", "lock.json", "cells/1.png"):
        (folder / name).write_text(name)
    with make_tracker("mlflow") as tracker:
        tracker.begin({})
        tracker.end(comparison, folder)
    listed = client.list_artifacts(tracker.run_id)
    assert [file.path for file in listed] == ["report.html", "scores.csv"]


@pytest.mark.parametrize(
    ("error", "status"),
    [(ValueError, "FAILED"), (SystemExit, "FAILED"), (KeyboardInterrupt, "KILLED")],
)
def test_how_a_run_ends(error, status, client):
    with pytest.raises(error), make_tracker("mlflow") as tracker:
        tracker.begin({})
        tracker.log_fold("net", _make_fold(), _make_result())
        raise error
    assert client.get_run(tracker.run_id).info.status == status
    [child] = _list_runs(client, tracker.run_id)
    assert child.info.status == "FINISHED"


def test_a_fold_that_cannot_be_logged_ends_too(client):
    with pytest.raises(ValueError, match="shorter"), make_tracker("mlflow") as tracker:
        tracker.begin({})
        tracker.log_fold("net", _make_fold(), _make_result(history={"epoch": [1, 2], "lr": [1]}))
    [child] = _list_runs(client, tracker.run_id)
    assert child.info.status == client.get_run(tracker.run_id).info.status == "FAILED"


def test_a_lost_store_does_not_hide_the_error(client, monkeypatch):
    def fail(*args):
        raise OSError("out of reach")

    with pytest.raises(ValueError, match="no convergence"), make_tracker("mlflow") as tracker:
        tracker.begin({})
        monkeypatch.setattr("mlflow.MlflowClient.set_terminated", fail)
        raise ValueError("no convergence")
    with pytest.raises(OSError, match="out of reach"), make_tracker("mlflow") as tracker:
        tracker.begin({})


def test_an_active_run_stays_active(client):
    import mlflow

    with mlflow.start_run() as outer:
        mlflow.log_param("mine", 1)
        with make_tracker("mlflow") as tracker:
            tracker.begin({"seed": 0})
            tracker.log_fold("net", _make_fold(), _make_result())
            assert mlflow.active_run().info.run_id == outer.info.run_id
        assert mlflow.active_run().info.run_id == outer.info.run_id
        assert client.get_run(outer.info.run_id).info.status == "RUNNING"
    assert client.get_run(outer.info.run_id).data.params == {"mine": "1"}
    [parent] = _list_runs(client, outer.info.run_id)
    assert parent.info.run_id == tracker.run_id
    assert parent.info.experiment_id == outer.info.experiment_id
    assert len(_list_runs(client, tracker.run_id)) == 1


def test_no_run_is_left_active(client):
    import mlflow

    _log_one()
    assert mlflow.active_run() is None


def test_nothing_is_left_in_the_working_folder(client, comparison, tmp_path, monkeypatch):
    (tmp_path / "here").mkdir()
    monkeypatch.chdir(tmp_path / "here")
    with make_tracker("mlflow") as tracker:
        tracker.begin({})
        tracker.log_fold("net", _make_fold(), _make_result())
        tracker.end(comparison)
    assert not [*(tmp_path / "here").iterdir()]


@pytest.mark.usefixtures("without_page")
def test_compare_logs_what_it_does_and_what_it_had_done(client, tmp_path):
    X, y = make_classification(random_state=0)
    options = {"cv": 2, "random_state": 0, "verbose": 0, "out": tmp_path / "out"}
    models = {"logistic": LogisticRegression(), "other": LogisticRegression(C=9)}
    before = skall.compare(models, X, y, **options)
    (tmp_path / "out" / "folds" / "other" / "0-1.json").unlink()
    skall.compare(models, X, y, tracking="mlflow", n_jobs=2, **options)
    [parent] = _list_runs(client)
    children = _list_runs(client, parent.info.run_id)
    # Those of folds that were finished before as well: a run is whole.
    assert len(children) == 2 * 3 and {run.info.status for run in children} == {"FINISHED"}
    accuracy = before.scores_.query("estimator == 'logistic' and metric == 'accuracy'")["value"]
    assert parent.data.metrics["logistic/accuracy"] == pytest.approx(accuracy.mean())
    artifacts = {file.path for file in client.list_artifacts(parent.info.run_id)}
    assert {"scores.csv", "table.csv", "protocol.json"} <= artifacts
