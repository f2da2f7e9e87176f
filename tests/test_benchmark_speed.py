"""The measurements of speed: ratios, bounds, processes, and both scripts. No clock is asserted."""

import re
from dataclasses import replace
from importlib import import_module
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import torch

BENCHMARKS = Path(__file__).parents[1] / "benchmarks"
TINY = ["--networks", "timm/test_resnet", "--image-size", "32", "--batch-size", "4"]
TINY += ["--images", "8", "--folds", "2", "--epochs", "1", "--steps", "1", "--repeats", "1"]
TINY += ["--rounds", "2", "--threads", "1", "--weights", "none"]


@pytest.fixture(autouse=True)
def folder_of_the_scripts(monkeypatch):
    """What Python does for a script that it runs."""
    monkeypatch.syspath_prepend(BENCHMARKS)


@pytest.fixture
def ratios():
    return import_module("ratios")


def make_measurements(seconds, *, section="training", bfloat16=True, full=True):
    """Measurements of contestants, a list of seconds for each."""
    rows = [
        {"contestant": name, "round": number, "seconds": value}
        for name, values in seconds.items()
        for number, value in enumerate(values, 1)
    ]
    facts = {"section": section, "network": "net", "measure": "step"}
    facts |= {"threads": 1, "precision": "float32", "allocator": "tuned", "note": ""}
    return pd.DataFrame(rows).assign(**facts, bfloat16=bfloat16, full=full)


def make_bound(ratios, **changes):
    bound = ratios.Bound("training", "step", ("skall",), ("peer",), least=2.0)
    return replace(bound, **changes)


# -- ratios ---------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("n", "ends", "coverage"),
    # 1 - 2 * P(at most k of n fair coins): the tables of the sign test.
    [(1, (1, 1), 0.0), (5, (1, 5), 0.9375), (6, (1, 6), 0.96875), (9, (2, 8), 0.9609375)],
)
def test_interval_of_the_median_is_that_of_the_sign_test(ratios, n, ends, coverage):
    values = np.random.default_rng(0).permutation(np.arange(1.0, n + 1))
    assert ratios.interval_of_median(values) == (*ends, pytest.approx(coverage))


def test_ratios_are_taken_within_rounds(ratios):
    # The machine slows down from round to round, which a ratio of medians would see.
    ours = pd.Series([1.0, 2.0, 4.0, 8.0, 16.0], index=range(1, 6))
    other = (3 * ours).drop(2)
    ratio = ratios.compare_pairs(other, ours)
    assert (ratio.median, ratio.low, ratio.high, ratio.n_pairs) == (3, 3, 3, 4)
    assert ratios.compare_pairs(ours, other.set_axis(range(10, 14))) is None


@pytest.mark.parametrize(
    ("changes", "seconds", "verdict"),
    [
        ({}, {"skall": [1, 1, 1], "peer": [2, 2, 2]}, "met"),
        ({}, {"skall": [1, 1, 1], "peer": [1.9, 1.9, 5]}, "BROKEN"),
        ({"least": None, "most": 1.05}, {"skall": [1.05, 1, 2], "peer": [1, 1, 1]}, "met"),
        ({"least": None, "most": 1.05}, {"skall": [1.06, 1, 2], "peer": [1, 1, 1]}, "BROKEN"),
        ({}, {"skall": [1, 1, 1]}, "not measured"),
        ({}, {"peer": [1, 1, 1]}, "not measured"),
        # The best of several is not known where one was not asked.
        ({"others": ("peer", "b")}, {"skall": [1], "peer": [3]}, "not judged: 1 of 2 left out"),
        ({"others": ("peer", "b")}, {"skall": [1], "peer": [1.5]}, "BROKEN"),
        # The fastest of several counts, on either side.
        ({"others": ("peer", "b")}, {"skall": [1], "peer": [3], "b": [1.5]}, "BROKEN"),
        ({"ours": ("skall", "b")}, {"skall": [1], "peer": [1.5], "b": [0.5]}, "met"),
    ],
)
def test_verdicts(ratios, changes, seconds, verdict):
    bound = make_bound(ratios, **changes)
    verdicts = ratios.judge(make_measurements(seconds), [bound])
    assert verdicts["verdict"].tolist() == [verdict]


@pytest.mark.parametrize(
    ("changes", "facts", "verdict"),
    [
        ({"needs_bfloat16": True}, {"bfloat16": False}, "not bound: no bfloat16 here"),
        ({"needs_bfloat16": True}, {"bfloat16": True}, "BROKEN"),
        ({"full_only": True}, {"full": False}, "not bound: not a full run"),
        ({"full_only": True}, {"full": True}, "BROKEN"),
    ],
)
def test_bounds_bind_where_they_were_set(ratios, changes, facts, verdict):
    measurements = make_measurements({"skall": [1, 1], "peer": [1, 1]}, **facts)
    verdicts = ratios.judge(measurements, [make_bound(ratios, **changes)])
    assert verdicts["verdict"].tolist() == [verdict]
    # A ratio that does not bind is shown all the same.
    assert verdicts["ratio"].tolist() == ["1 [1, 1]"]


def test_each_network_has_facts_of_its_own(ratios):
    small = make_measurements({"skall": [1], "peer": [1]}, full=False).assign(network="small")
    measurements = pd.concat([small, make_measurements({"skall": [1], "peer": [1]})])
    verdicts = ratios.judge(measurements, [make_bound(ratios, full_only=True)])
    assert verdicts["verdict"].tolist() == ["not bound: not a full run", "BROKEN"]


def test_bounds_are_for_their_networks(ratios):
    measurements = make_measurements({"skall": [1], "peer": [1]})
    assert ratios.judge(measurements, [make_bound(ratios, networks=("other",))]).empty
    assert len(ratios.judge(measurements, [make_bound(ratios, networks=("net",))])) == 1


def test_a_bound_has_one_side(ratios):
    with pytest.raises(ValueError, match="either least or most"):
        make_bound(ratios, most=3.0)


MEASURES = {
    "frozen linear": ["cross-validation"],
    "frozen mlp": ["cross-validation"],
    "training": ["step", "fit"],
    "prediction": ["batch"],
    "gpu training": ["image"],
    "gpu prediction": ["image"],
    "gpu comparison": ["comparison"],
}


def test_shipped_bounds_name_contestants_that_there_are(ratios):
    sections = import_module("contestants").SECTIONS
    sections = sections | import_module("contestants.gpu_ways").SECTIONS
    for bound in ratios.read_bounds():
        names = {contestant.name for contestant in sections[bound.section]}
        assert names.issuperset((*bound.ours, *bound.others))
        assert bound.measure in MEASURES[bound.section]
        assert set(bound.networks) <= set(import_module("speed").NETWORKS)
        assert bound.ours
        assert bound.others


def test_every_contestant_can_be_told_apart():
    sections = import_module("contestants").SECTIONS
    for contestants in sections.values():
        assert len({contestant.name for contestant in contestants}) == len(contestants)


# -- results --------------------------------------------------------------------------------------


def test_tables_have_medians_and_ratios(ratios):
    seconds = {"skall": [1, 2, 3], "peer": [2, 4, 12]}
    ((key, table),) = ratios.tabulate(make_measurements(seconds), "skall").items()
    assert key == ("training", "net", "step")
    assert table.index.tolist() == ["skall", "peer"]
    assert table.loc["peer", "median seconds"] == "4"
    assert table.loc["peer", "times that of skall"] == "2 [2, 4]"


def test_measuring_again_replaces_the_same_section_alone(tmp_path):
    store = import_module("reporting").store
    path = tmp_path / "new" / "results.csv"
    for section, value in [("training", 1.0), ("prediction", 2.0), ("training", 3.0)]:
        store(make_measurements({"skall": [value]}, section=section), path)
    stored = pd.read_csv(path)
    assert dict(zip(stored["section"], stored["seconds"], strict=True)) == {
        "prediction": 2.0,
        "training": 3.0,
    }


# -- contestants ----------------------------------------------------------------------------------


@pytest.mark.parametrize("network", ["timm/test_resnet", "densenet121", "mobilenetv2"])
def test_folding_changes_nothing_but_the_time(network):
    networks = import_module("contestants.networks")
    task = {"network": network, "weights": None, "head": "linear", "size": 64}
    model = networks.Classifier(task).eval()
    n_before = sum(isinstance(module, torch.nn.BatchNorm2d) for module in model.modules())
    images = torch.randn(2, 3, 64, 64)
    with torch.no_grad():
        expected = model(images)
        # It checks itself, too, and refuses what differs.
        folded = import_module("contestants.folding").fold_batch_norm(model, images)(images)
    n_after = sum(isinstance(module, torch.nn.BatchNorm2d) for module in model.modules())
    torch.testing.assert_close(folded, expected, rtol=1e-3, atol=1e-4)
    # Of DenseNet, whose norms come before the convolutions, about half.
    assert n_after < 0.6 * n_before


def test_a_part_is_scaled_to_the_whole():
    scaled = import_module("contestants.timing").scale_up(2.0, 1.0, {"folds": 10, "epochs": 5})
    assert scaled["seconds"] == {"cross-validation": 10 * (5 * 2 + 1)}
    assert scaled["scale"] == pytest.approx(110 / 3)
    assert "scaled" in scaled["note"]


# -- scripts --------------------------------------------------------------------------------------


@pytest.fixture
def without_peers(monkeypatch):
    """As where only what skall needs is installed."""
    peers = {"fastai", "keras", "tensorflow", "onnxruntime", "openvino"}
    measuring = import_module("measuring")
    monkeypatch.setattr(measuring, "is_installed", lambda module: module not in peers)


def write_bounds(path, most):
    path.write_text(
        '[[bound]]\nsection = "training"\nmeasure = "step"\nours = ["skall, tuned"]\n'
        f'others = ["by hand, float32, tuned"]\nmost = {most}\n'
    )
    return str(path)


@pytest.mark.thorough
def test_speed_succeeds_and_fails_by_its_bounds(tmp_path, capsys, without_peers):
    main = import_module("speed").main
    stored = tmp_path / "speed.csv"
    wide = write_bounds(tmp_path / "wide.toml", most=1e9)
    taking_part = "skall, tuned;by hand, float32, tuned;fastai;Keras"
    options = ["--sections", "training", "--contestants", taking_part, "--out", str(stored)]
    assert main([*TINY, *options, "--bounds", wide]) == 0
    shown = capsys.readouterr().out
    assert "not installed: fastai" in shown
    assert "not installed: keras, tensorflow" in shown
    assert "| met |" in shown

    measured = pd.read_csv(stored)
    assert set(measured["threads"]) == {1}
    assert measured.loc[measured["contestant"] == "fastai", "seconds"].isna().all()
    steps = measured[measured["measure"] == "step"]
    assert steps["contestant"].value_counts().to_dict() == {
        "skall, tuned": 2,
        "by hand, float32, tuned": 2,
    }
    assert (steps["seconds"] > 0).all()
    assert set(steps["precision"]) == {"float32"}

    absurd = write_bounds(tmp_path / "absurd.toml", most=1e-9)
    assert main(["--read", str(stored), "--bounds", absurd]) == 1
    assert "Beyond its bound: training, timm/test_resnet: skall, tuned against by hand" in (
        capsys.readouterr().out
    )


def test_a_contestant_that_fails_is_named_and_fails_the_run(tmp_path, capsys, monkeypatch):
    speed = import_module("speed")
    broken = import_module("contestants").Contestant("broken", "timing:nothing", needs=())
    monkeypatch.setitem(speed.SECTIONS, "training", [broken])
    options = ["--sections", "training", "--out", str(tmp_path / "speed.csv")]
    assert speed.main([*TINY, *options]) == 1
    shown = capsys.readouterr()
    assert "Failed: training, timm/test_resnet, broken" in shown.out
    assert "AttributeError" in shown.err
    # Nor is it forgotten.
    assert speed.main(["--read", str(tmp_path / "speed.csv")]) == 1


@pytest.mark.parametrize("script", ["speed", "gpu"])
@pytest.mark.parametrize(
    ("options", "message"),
    [
        (["--contestants", "skall, tunde"], r"no contestants \['skall, tunde'\]; there are"),
        (["--sections", "nope"], "no section 'nope'; there are"),
        (["--networks", "mobilnetv2"], "mobilnetv2.*mobilenetv2"),
        (["--rounds", "0"], "'0' is no integer of at least 1"),
        (["--read", "nothing.csv"], "'nothing.csv' cannot be read: .*No such file"),
        (["--read", "other.csv"], "'other.csv' holds no results: it lacks "),
        (["--read", "empty.csv"], "'empty.csv' cannot be read"),
        (["--bounds", "nothing.toml"], "'nothing.toml' holds no bounds .*; see speed_bounds.toml"),
        (["--bounds", "other.csv"], "'other.csv' holds no bounds"),
    ],
)
def test_mistakes_are_told_before_anything_is_measured(
    script, options, message, tmp_path, monkeypatch, capsys
):
    (tmp_path / "other.csv").write_text("a,b\n1,2\n")
    (tmp_path / "empty.csv").touch()
    monkeypatch.chdir(tmp_path)
    with pytest.raises(SystemExit) as ended:
        import_module(script).main(options)
    assert ended.value.code == 2
    assert re.search(message, capsys.readouterr().err, re.DOTALL)


@pytest.mark.thorough
def test_who_interrupts_is_told_where_the_finished_parts_are(tmp_path, capsys, monkeypatch):
    def interrupt(*args):
        raise KeyboardInterrupt

    monkeypatch.setattr("measuring.Race.run", interrupt)
    out = str(tmp_path / "speed.csv")
    assert import_module("speed").main([*TINY, "--sections", "training", "--out", out]) == 130
    assert f"Interrupted; what was finished, each section and network, is in {out}" in (
        capsys.readouterr().out
    )


def test_a_process_that_ends_is_an_answer():
    host = import_module("measuring").Host("ended", "default", 1)
    host.process.kill()
    host.process.wait()
    for _ in range(2):
        error = host.ask(do="run", name="anything")["error"]
        assert "the process of ended ended with -9 (killed" in error
    host.close()


@pytest.mark.slow
def test_all_of_torch_takes_part(tmp_path, capsys, without_peers):
    status = import_module("speed").main([*TINY, "--out", str(tmp_path / "speed.csv")])
    assert status in (0, 1)
    assert "Failed" not in capsys.readouterr().out


@pytest.mark.slow
def test_gpu_measures_on_the_cpu(tmp_path, capsys):
    options = ["--device", "cpu", "--quick", "--no-compile", "--rounds", "1", "--workers", "0"]
    # Its bounds are for a GPU.
    assert import_module("gpu").main([*options, "--out", str(tmp_path / "gpu.csv")]) == 0
    assert "## gpu comparison" in capsys.readouterr().out


def test_gpu_says_where_there_is_none(monkeypatch, capsys):
    monkeypatch.setattr("torch.cuda.is_available", lambda: False)
    assert import_module("gpu").main([]) == 2
    assert "no GPU" in capsys.readouterr().out
