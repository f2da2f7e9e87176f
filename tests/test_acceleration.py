"""What is faster: folded networks, kept fronts, precision, rows on a device, compiled trunks."""

import copy
import pickle

import numpy as np
import pytest
import torch
from PIL import Image
from sklearn.base import clone
from sklearn.model_selection import cross_validate
from skorch.callbacks import Callback
from torch import nn
from torch.nn.utils import parameters_to_vector, vector_to_parameters

from skall import CNNClassifier, CNNFeatures, list_backbones, load
from skall.backbones.registry import get_backbone
from skall.cache.memory import IN_PROCESS
from skall.classifier import execution, holding
from skall.datasets import make_blood_cells
from skall.environment.randomness import seeded
from skall.features.extraction import ArrayRows, FeatureRows, FileRows
from skall.network import blocks
from skall.network.folding import accelerate, fold_normalisation
from skall.network.precision import Numerics, choose_numerics, name_capability, read_table
from skall.network.trunk import build_extractor, compose_stages, normalise

pytestmark = pytest.mark.numerics

CELLS = make_blood_cells(36, n_patients=6, image_size=64, random_state=0)
NAME = "timm/test_resnet"
TINY = {"weights": None, "image_size": 64, "max_epochs": 2, "random_state": 0}
CPU = torch.device("cpu")


@pytest.fixture(autouse=True)
def empty_store():
    IN_PROCESS.clear()


@pytest.fixture
def paths(tmp_path):
    files = [tmp_path / f"{row}.png" for row in range(len(CELLS.data))]
    for file, pixels in zip(files, CELLS.data, strict=True):
        Image.fromarray(pixels).save(file)
    return np.array([str(file) for file in files], dtype=object)[:, None]


def fit(X=CELLS.data, **params):
    return CNNClassifier(**{"backbone": NAME, **TINY, **params}).fit(X, CELLS.target[: len(X)])


def check_as_exact(found, plain, exact):
    """Assert that what is computed another way in bfloat16 is no less exact than the plain way.

    Both ways round as often, but to other neighbours, so that nothing better can be asked: their
    errors are alike in size, by root mean square over many numbers, and not equal. Twice the plain
    way's is allowed, for a mistake of the network itself is many times as large.
    """
    error, expected = ((each - exact).square().mean().sqrt().item() for each in (found, plain))
    assert 0 < expected < 0.1 * exact.abs().max().item()
    assert error <= 2 * expected


# -- folding --------------------------------------------------------------------------------------


def shake(module):
    """Give normalisations statistics and weights as after training."""
    generator = torch.Generator().manual_seed(0)
    for part in module.modules():
        if isinstance(part, nn.BatchNorm2d):
            for tensor in (part.running_var, part.weight):
                tensor.data.uniform_(0.5, 1.5, generator=generator)
            for tensor in (part.running_mean, part.bias):
                tensor.data.uniform_(-0.1, 0.1, generator=generator)


def count_normalisations(module):
    return sum(isinstance(part, nn.BatchNorm2d) for part in module.modules())


# Normalisations that follow no convolution: those of DenseNet's and ResNetV2's order.
NOT_ALL = ("densenet", "resnet50v2", "resnet101v2")


# Of each kind of normalisation one; the others are slow.
FEW = {"densenet121", "efficientnet_b0", "inceptionv3", "mobilenetv2", "resnet18", "resnet50v2"}


@pytest.mark.parametrize(
    "name",
    [
        pytest.param(name, marks=[] if name in FEW else pytest.mark.slow)
        for name in list_backbones()
    ],
)
def test_folded_trunks_compute_the_same(name):
    size = 75 if name in ("inceptionv3", "xception") else 64
    with seeded(0):
        extractor = build_extractor(name, None, "avg")
    shake(extractor)
    images = torch.from_numpy(CELLS.data[:3]).permute(0, 3, 1, 2).float() / 255
    images = nn.functional.interpolate(images, (size, size))
    with torch.no_grad():
        expected = extractor(images)
        half = copy.copy(extractor)
        half.numerics = Numerics("bfloat16")
        plain, folded = half(images), accelerate(half, torch.rand(1, 3, size, size))(images)
        fast = accelerate(extractor, torch.rand(1, 3, size, size))
        found = fast(images)
    scale = expected.abs().max().item()
    torch.testing.assert_close(found, expected, rtol=1e-3, atol=1e-4 * scale)
    check_as_exact(folded, plain, expected)
    before, after = count_normalisations(extractor), count_normalisations(fast)
    if before and not name.startswith(NOT_ALL):
        assert after == 0
    elif before:
        assert 0 < after < before


class Residual(nn.Module):
    """Needs the output of its convolution twice: folding would change the second."""

    def __init__(self):
        super().__init__()
        self.conv, self.norm = nn.Conv2d(3, 4, 3), nn.BatchNorm2d(4)

    def forward(self, x):
        x = self.conv(x)
        return x + self.norm(x)


class AddedInPlace(Residual):
    def forward(self, x):
        x = self.conv(x)
        x += 1
        return self.norm(x)


class Twice(Residual):
    def forward(self, x):
        return self.norm(self.conv(x)) + self.norm(self.conv(2 * x))


class Inspected(Residual):
    def forward(self, x):
        return self.norm(self.conv(x)) * self.norm.eps


@pytest.mark.parametrize("kind", [Residual, AddedInPlace, Twice, Inspected])
def test_what_cannot_be_folded_stays(kind):
    with seeded(0):
        module = kind().eval()
    shake(module)
    assert fold_normalisation(module, torch.rand(1, 3, 8, 8)) is module


def negate_in_place(trunk):
    with torch.no_grad():
        trunk.state_dict()["conv1.0.weight"].mul_(-1)


def replace_all(trunk):
    parameters = list(trunk.parameters())
    vector_to_parameters(1.2 * parameters_to_vector(parameters), parameters)


def load_doubled(trunk):
    trunk.load_state_dict({name: 2 * tensor for name, tensor in trunk.state_dict().items()})


@pytest.mark.parametrize("trainable", ["all", "head"])
@pytest.mark.parametrize("change", [negate_in_place, replace_all, load_doubled])
def test_predictions_follow_the_weights(trainable, change):
    net = fit(trainable=trainable)
    before = net.predict_proba(CELLS.data[:4])
    change(net.module_.extractor.trunk)
    after = net.predict_proba(CELLS.data[:4])
    assert np.abs(after - before).max() > 1e-4
    np.testing.assert_array_equal(copy.deepcopy(net).predict_proba(CELLS.data[:4]), after)
    np.testing.assert_array_equal(
        pickle.loads(pickle.dumps(net)).predict_proba(CELLS.data), net.predict_proba(CELLS.data)
    )


def test_predictions_of_a_folded_network_are_those_of_the_network():
    net = fit(precision="float32")
    images = torch.from_numpy(CELLS.data).permute(0, 3, 1, 2)
    with torch.no_grad():
        expected = net.module_.eval()(images).softmax(1).double().numpy()
    np.testing.assert_allclose(net.predict_proba(CELLS.data), expected, atol=1e-5)


@pytest.mark.parametrize("trainable", ["all", "head"])
def test_predictions_in_inference_mode_are_the_same(trainable):
    expected = fit(trainable=trainable).predict_proba(CELLS.data)
    fitted = fit(trainable=trainable)
    IN_PROCESS.clear()
    with torch.inference_mode():
        np.testing.assert_array_equal(fitted.predict_proba(CELLS.data), expected)
    # And it can still be trained.
    fitted.partial_fit(CELLS.data, CELLS.target)


def test_half_a_prediction_leaves_gradients_on():
    batches = fit().forward_iter(CELLS.data)
    next(batches)
    assert torch.is_grad_enabled()
    fit()
    batches.close()


@pytest.mark.parametrize("keep_on_device", [False, True])
def test_the_last_of_several_predictions_brings_the_network_home(monkeypatch, keep_on_device):
    fitted = fit(keep_on_device=keep_on_device)
    moves = []
    monkeypatch.setattr(execution, "resolve_device", lambda device: torch.device("meta"))
    monkeypatch.setattr(
        "skall.network.device.move", lambda module, device: moves.append(device.type)
    )
    monkeypatch.setattr(execution, "set_numerics", lambda *args: None)
    with fitted._execution.on_device(fitted):
        with fitted._execution.on_device(fitted):
            pass
        assert moves == ["meta", "meta"]
    assert moves == ["meta", "meta"] + ["cpu"] * (not keep_on_device)


def test_the_folded_copy_is_not_kept_for_long():
    net = fit()
    size = len(pickle.dumps(net))
    for images in (CELLS.data[:2], CELLS.data):
        net.predict_proba(images)
        # The copy has a megabyte.
        assert len(pickle.dumps(net)) < size + 1000


# -- what is frozen -------------------------------------------------------------------------------


STAGED = [
    "resnet18",
    *[pytest.param(name, marks=pytest.mark.thorough) for name in ("alexnet", "mobilenetv2")],
]


@pytest.mark.parametrize("precision", ["float32", "bfloat16"])
@pytest.mark.parametrize("name", STAGED)
def test_kept_fronts_change_nothing(name, precision):
    params = {"backbone": name, "trainable": 2, "precision": precision, "max_epochs": 1}
    kept, uncached = fit(**params), fit(**params, memory=None)
    assert kept.module_.stages
    assert 0 < len(kept.module_.front.trunk) < len(kept.module_.stages)
    np.testing.assert_array_equal(
        kept.predict_proba(CELLS.data), uncached.predict_proba(CELLS.data)
    )


@pytest.mark.parametrize("name", STAGED)
def test_networks_whose_stages_compose_learn_as_others(name, monkeypatch):
    params = {"backbone": name, "trainable": 2, "precision": "float32"}
    kept = fit(**params).predict_proba(CELLS.data)
    monkeypatch.setattr("skall.network.network.compose_stages", lambda *args: ())
    whole = fit(**params)
    assert whole.module_.front is None
    np.testing.assert_allclose(whole.predict_proba(CELLS.data), kept, atol=1e-3)


@pytest.mark.parametrize("name", STAGED)
def test_front_and_back_are_the_trunk_in_bfloat16(name):
    module = fit(backbone=name, trainable=2, precision="bfloat16", max_epochs=1).module_.eval()
    images = torch.from_numpy(CELLS.data).permute(0, 3, 1, 2)
    with torch.no_grad():
        plain = module.extractor(images)
        front = accelerate(module.front, torch.rand(1, 3, 64, 64))(images)
        found = accelerate(module.back, front[:1])(front)
        module.extractor.numerics = Numerics("float32")
        exact = module.extractor(images)
    check_as_exact(found, plain, exact)


def test_fronts_are_kept_for_all_folds():
    net = CNNClassifier("alexnet", trainable=2, **TINY)
    scores = cross_validate(net, CELLS.data, CELLS.target, cv=3, scoring="neg_log_loss")
    assert len(IN_PROCESS) == len(CELLS.data)
    uncached = cross_validate(
        clone(net).set_params(memory=None), CELLS.data, CELLS.target, cv=3, scoring="neg_log_loss"
    )
    np.testing.assert_array_equal(scores["test_score"], uncached["test_score"])


def test_fronts_of_other_stages_are_other_features():
    first = fit(backbone="alexnet", trainable=1).predict_proba(CELLS.data)
    fit(backbone="alexnet", trainable=2)
    np.testing.assert_array_equal(
        fit(backbone="alexnet", trainable=1).predict_proba(CELLS.data), first
    )


def test_augmented_images_are_others_in_each_epoch():
    fit(backbone="alexnet", trainable=2, augment="vinod2025")
    assert len(IN_PROCESS) == 0


def test_views_of_kept_fronts():
    params = {"backbone": "alexnet", "trainable": 2, "augment": "vinod2025", "augment_views": 2}
    net = fit(**params, max_epochs=5)
    assert len(IN_PROCESS) == 2 * len(CELLS.data)
    again = fit(**params, max_epochs=5, memory=None)
    np.testing.assert_array_equal(net.predict_proba(CELLS.data), again.predict_proba(CELLS.data))


def test_stages_that_are_not_the_trunk_are_not_composed():
    extractor = build_extractor("resnet18", None, "avg")
    backbone = get_backbone("resnet18")
    assert compose_stages(extractor, backbone, 64)
    fewer = copy.copy(backbone)
    object.__setattr__(fewer, "stages", lambda trunk: list(backbone.stages(trunk))[:-1])
    assert compose_stages(extractor, fewer, 64) == []
    object.__setattr__(fewer, "stages", lambda trunk: list(backbone.stages(trunk))[::-1])
    assert compose_stages(extractor, fewer, 64) == []


# -- rows -----------------------------------------------------------------------------------------


def test_rows_beyond_the_memory_lie_in_a_file():
    values = np.random.default_rng(0).random((5, 2, 3), np.float32)
    for rows in (FileRows(5, (2, 3)), ArrayRows(5, (2, 3))):
        for number in (3, 1, 0, 4, 2):
            rows[number] = values[number]
        np.testing.assert_array_equal(rows[np.array([4, 4, 0])], values[[4, 4, 0]])
        np.testing.assert_array_equal(rows.numpy(), values)
    for n_rows, kind in {10: ArrayRows, 1_000_000: FileRows}.items():
        rows = FeatureRows(n_rows)
        rows[1] = np.ones(1000, np.float32)
        assert isinstance(rows.rows, kind)


@pytest.mark.parametrize("params", [{"trainable": "head", "head": "mlp"}, {"trainable": 1}])
def test_training_from_a_file_changes_nothing(params, monkeypatch):
    params = {"backbone": "alexnet", "memory": None, **params}
    expected = fit(**params).predict_proba(CELLS.data)
    monkeypatch.setattr("skall.features.extraction.MOST_BYTES", 1000)
    np.testing.assert_array_equal(fit(**params).predict_proba(CELLS.data), expected)


def test_a_full_disk_is_said_where(monkeypatch):
    rows = FileRows(5, (2,))
    rows.file.close()
    with (
        open("/dev/full", "wb", buffering=0) as rows.file,
        pytest.raises(OSError, match="space") as caught,
    ):
        rows[0] = np.zeros(2, np.float32)
    assert "40 bytes" in caught.value.__notes__[0] and "TMPDIR" in caught.value.__notes__[0]


@pytest.mark.parametrize(
    "params",
    [
        {"trainable": "all"},
        {"trainable": "all", "augment": "vinod2025"},
        {"trainable": "head"},
        {"backbone": "alexnet", "trainable": 1},
        {"iterator_train__num_workers": 1},
    ],
)
def test_rows_that_stay_on_a_device_change_nothing(params, monkeypatch):
    expected = fit(**params).predict_proba(CELLS.data)
    made = []
    monkeypatch.setattr(holding, "measure_room", lambda device: 1e9)
    monkeypatch.setattr(holding, "CHUNK", 7)
    monkeypatch.setattr(holding.Held, "__del__", lambda self: made.append(self), raising=False)
    np.testing.assert_array_equal(fit(**params).predict_proba(CELLS.data), expected)
    # Processes that load batches have none.
    assert bool(made) == ("iterator_train__num_workers" not in params)
    made.clear()
    monkeypatch.setattr(holding, "measure_room", lambda device: 1000)
    fit(**params)
    assert not made


def test_grey_planes_stay_on_a_device_too(monkeypatch):
    # They are shown three times, in memory that cannot be written to.
    grey = CELLS.data[..., 1].reshape(len(CELLS.data), -1) / 255
    expected = fit(grey).predict_proba(grey)
    monkeypatch.setattr(holding, "measure_room", lambda device: 1e9)
    np.testing.assert_array_equal(fit(grey).predict_proba(grey), expected)


def test_rows_on_a_device_keep_their_order_in_memory():
    pixels = torch.rand(10, 4, 4, 3).permute(0, 3, 1, 2)
    rows = holding.Held(lambda numbers: pixels[torch.from_numpy(numbers)], 10, CPU)
    assert rows.rows.is_contiguous(memory_format=torch.channels_last)
    assert torch.equal(rows(np.array([3, 3, 9])), pixels[[3, 3, 9]])


# -- batches --------------------------------------------------------------------------------------


def test_errors_of_reading_ahead_reach_the_user(paths, tmp_path):
    (tmp_path / "30.png").write_bytes(b"no image")
    with pytest.raises(ValueError, match=r"30\.png.*cannot be read as an image"):
        fit(paths, batch_size=4)


def test_batches_are_halved_where_the_memory_is_too_small(monkeypatch):
    net = fit()
    expected = net.predict_proba(CELLS.data)
    features = CNNFeatures("timm/test_resnet", None, image_size=64, memory=None, random_state=0)
    expected_features = features.fit_transform(CELLS.data)
    sizes = []
    run = blocks.run_padded

    def fill(function, x, multiple):
        sizes.append(len(x))
        if sizes[-1] > 20:
            raise torch.OutOfMemoryError("CUDA out of memory")
        return run(function, x, multiple)

    monkeypatch.setattr(blocks, "run_padded", fill)
    np.testing.assert_array_equal(net.predict_proba(CELLS.data), expected)
    assert sizes == [32, 16, 16, 4]
    np.testing.assert_array_equal(features.transform(CELLS.data), expected_features)
    assert sizes == 2 * [32, 16, 16, 4]
    monkeypatch.setattr(blocks, "BLOCK", 32)
    with pytest.raises(torch.OutOfMemoryError):
        net.predict_proba(CELLS.data)


class NoteOptimizer(Callback):
    """Keeps the optimizer, which a fitted network has no more."""

    def on_train_end(self, net, **kwargs):
        self.fused = net.optimizer_.defaults.get("fused")


@pytest.mark.parametrize(
    ("optimizer", "params", "fused"),
    [
        (torch.optim.AdamW, {}, True),
        (torch.optim.SGD, {}, True),
        (torch.optim.Rprop, {}, None),
        (torch.optim.AdamW, {"optimizer__foreach": True}, None),
        (torch.optim.AdamW, {"optimizer__fused": False}, False),
    ],
)
def test_optimizers_are_fused_where_they_can_be(optimizer, params, fused):
    noted = NoteOptimizer()
    fit(optimizer=optimizer, callbacks=[noted], max_epochs=1, **params)
    assert noted.fused is fused


# -- precision ------------------------------------------------------------------------------------


def test_bfloat16_is_what_the_trunk_is_computed_in():
    seen = set()

    def note(module, inputs, output):
        seen.add(output.dtype)

    net = CNNClassifier(NAME, **TINY, precision="bfloat16", memory=None)
    net.fit(CELLS.data, CELLS.target)
    assert net.precision_ == "bfloat16"
    assert all(tensor.dtype == torch.float32 for tensor in net.module_.parameters())
    single = clone(net).set_params(precision="float32").fit(CELLS.data, CELLS.target)
    assert single.precision_ == "float32"
    half, whole = net.predict_proba(CELLS.data), single.predict_proba(CELLS.data)
    assert 0 < np.abs(half - whole).max() < 0.2
    net.module_.extractor.trunk.conv1[0].register_forward_hook(note)
    net.module_.head.register_forward_hook(note)
    net.predict_proba(CELLS.data[:2])
    assert seen == {torch.bfloat16, torch.float32}
    again = clone(net).fit(CELLS.data, CELLS.target).predict_proba(CELLS.data)
    np.testing.assert_array_equal(again, half)


def test_features_of_other_precisions_are_other_features():
    features = [
        CNNFeatures(NAME, weights=None, image_size=64, precision=precision, random_state=0)
        for precision in ("float32", "bfloat16", "float32")
    ]
    first, second, third = (each.fit_transform(CELLS.data) for each in features)
    assert first.dtype == second.dtype == np.float32
    assert 0 < np.abs(first - second).max() < 0.1
    np.testing.assert_array_equal(first, third)


@pytest.fixture
def table(monkeypatch):
    rows = [
        ("resnet", "cpu bfloat16", "bfloat16", "channels_last"),
        ("vgg", "cpu bfloat16", "float32", "contiguous"),
        ("*", "cuda bfloat16", "bfloat16", "channels_last"),
        ("test", "cpu", "float32", "contiguous"),
    ]
    names = ("family", "capability", "precision", "memory_format")
    rows = [dict(zip(names, row, strict=True)) for row in rows]
    monkeypatch.setattr("skall.network.precision.read_table", lambda: rows)
    return rows


@pytest.mark.parametrize(
    ("precision", "backbone", "capability", "expected"),
    [
        ("auto", "resnet50", "cpu bfloat16", ("bfloat16", "channels_last")),
        ("auto", "vgg19", "cpu bfloat16", ("float32", "contiguous")),
        ("auto", "timm/vgg11", "cpu bfloat16", ("float32", "contiguous")),
        ("auto", "densenet121", "cpu bfloat16", ("float32", "channels_last")),
        ("auto", "resnet50", "cpu", ("float32", "channels_last")),
        ("auto", "anything", "cuda bfloat16", ("bfloat16", "channels_last")),
        ("float32", "resnet50", "cpu bfloat16", ("float32", "channels_last")),
        ("float32", "vgg16", "cpu bfloat16", ("float32", "contiguous")),
        ("bfloat16", "vgg16", "cpu bfloat16", ("bfloat16", "channels_last")),
        ("bfloat16", "3net", "mps", ("bfloat16", "channels_last")),
    ],
)
def test_the_table_decides(table, monkeypatch, precision, backbone, capability, expected):
    monkeypatch.setattr("skall.network.precision.name_capability", lambda device: capability)
    assert choose_numerics(precision, backbone, CPU) == Numerics(*expected)


def test_the_decision_is_recorded(table, monkeypatch, tmp_path):
    monkeypatch.setattr("skall.network.precision.name_capability", lambda device: "cpu")
    net = fit()
    assert (net.precision_, net.memory_format_) == ("float32", "contiguous")
    net.save(tmp_path)
    loaded = load(tmp_path)
    assert (loaded.precision_, loaded.memory_format_) == ("float32", "contiguous")
    np.testing.assert_array_equal(loaded.predict_proba(CELLS.data), net.predict_proba(CELLS.data))


def test_the_shipped_table_can_be_read():
    rows = read_table()
    assert rows
    for row in rows:
        assert row["precision"] in ("float32", "bfloat16")
        Numerics(row["precision"], row["memory_format"]).arrange(torch.zeros(1, 3, 2, 2))
    pairs = [(row["family"], row["capability"]) for row in rows]
    assert len(set(pairs)) == len(pairs)


def test_capabilities():
    assert name_capability(CPU) in ("cpu", "cpu bfloat16")
    assert name_capability(torch.device("mps")) == "mps"


# -- normalising ----------------------------------------------------------------------------------


@pytest.mark.parametrize("memory_format", [torch.channels_last, torch.contiguous_format])
@pytest.mark.parametrize("white", [255, 1])
def test_images_are_normalised_alike_in_every_order_of_memory(memory_format, white):
    images = torch.randint(256, (3, 3, 5, 7), dtype=torch.uint8)
    images = (images if white == 255 else images / 255).contiguous(memory_format=memory_format)
    before = images.clone()
    mean, std = (torch.tensor(v).view(1, 3, 1, 1) for v in ((0.5, 0.4, 0.3), (0.2, 0.3, 0.1)))
    found = normalise(images, white * mean, white * std)
    assert torch.equal(found, (images - white * mean) / (white * std))
    assert found.is_contiguous(memory_format=memory_format)
    assert torch.equal(images, before)


# -- compiling ------------------------------------------------------------------------------------


@pytest.mark.thorough
@pytest.mark.parametrize("params", [{}, {"backbone": "alexnet", "trainable": 2}])
def test_compiled_networks_learn_and_predict_the_same(params):
    params |= {"compile__backend": "aot_eager"}
    expected = fit(**params).predict_proba(CELLS.data)
    net = fit(**params, compile=True)
    np.testing.assert_allclose(net.predict_proba(CELLS.data), expected, atol=1e-4)
    assert list(net.module_.state_dict()) == list(fit(**params).module_.state_dict())
    loaded = pickle.loads(pickle.dumps(net))
    np.testing.assert_array_equal(loaded.predict_proba(CELLS.data), net.predict_proba(CELLS.data))


@pytest.mark.thorough
def test_many_networks_are_compiled_in_one_process():
    compiled = []

    def backend(graph, inputs):
        compiled.append(graph)
        return graph.forward

    for name in ("test_resnet", "test_convnext", "test_byobnet", "test_mambaout"):
        before = len(compiled)
        name = f"timm/{name}"
        params = {"max_epochs": 1, "compile": True, "compile__backend": backend}
        net = fit(backbone=name, **params)
        net.predict_proba(CELLS.data[:5])
        assert len(compiled) > before, name
        # The next of the same kind, as of another fold, needs no more.
        before = len(compiled)
        fit(backbone=name, **params).predict_proba(CELLS.data[:5])
        assert len(compiled) == before, name


def test_unknown_arguments_of_compile_are_refused():
    with pytest.raises(TypeError, match="compile__mode"):
        CNNClassifier(compile__mod="default")
