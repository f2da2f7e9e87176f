"""Every shipped backbone: what it builds, and that its fields are its library's."""

import pickle
from functools import cache
from importlib.metadata import entry_points

import pytest
import torch
from safetensors.torch import save_file
from torch import nn

from skall.backbones import shipped
from skall.backbones.backbone import Backbone
from skall.backbones.registry import GROUP, get_backbone
from skall.backbones.weights import CLASSIFIERS
from skall.network.trunk import TrunkPart, build_extractor

SHIPPED = sorted(entry.name for entry in entry_points(group=GROUP) if entry.dist.name == "skall")
# Whole networks of a few million parameters; the others are built with slow tests only.
SMALL = {"squeezenet", "mobilenet", "mobilenetv2", "mobilenetv3_large", "resnet18"}
EVERY = [pytest.param(name, marks=() if name in SMALL else pytest.mark.slow) for name in SHIPPED]
# Half a second each; seconds; and those of 40 million parameters or more.
QUICK = {"squeezenet", "mobilenetv2", "convnext_tiny"}
LARGE = {"densenet201", "vgg16", "vgg19", "resnet101", "resnet101v2"}
LARGE |= {f"efficientnet_b{number}" for number in range(4, 8)}
ALL = [
    pytest.param(name, marks=pytest.mark.slow if name in LARGE else pytest.mark.thorough)
    if name not in QUICK
    else name
    for name in SHIPPED
]
# Smallest image, in pixels, that the published InceptionV3 takes.
SMALLEST = {"inceptionv3": 75}


@cache
def build_meta(name):
    """A trunk without memory, shared by the tests that only ask for shapes and names."""
    with torch.device("meta"):
        return get_backbone(name).build(None).eval()


def run_meta(trunk, size):
    with torch.device("meta"), torch.no_grad():
        return trunk(torch.empty(2, 3, size, size))


def build_library_model(build):
    """The whole model that a backbone's trunk comes from, and its published weights' settings."""
    if build.source.startswith("timm"):
        import timm

        with torch.device("meta"):
            model = timm.create_model(build.model)
        config = timm.get_pretrained_cfg(build.model)
        return model, config.input_size[1], config.mean, config.std
    from torchvision.models import get_model, get_model_weights

    options = {"init_weights": False} if build.model == "inception_v3" else {}
    with torch.device("meta"):
        model = get_model(build.model, **options)
    settings = get_model_weights(build.model)[build.tag].transforms()
    return model, settings.crop_size[0], settings.mean, settings.std


def test_registers_every_shipped_backbone():
    written = {name for name, value in vars(shipped).items() if isinstance(value, Backbone)}
    assert written == set(SHIPPED)


@pytest.mark.thorough
@pytest.mark.parametrize("name", SHIPPED)
def test_gives_features_at_every_usual_size(name):
    trunk = build_meta(name)
    sizes = {SMALLEST.get(name, 64), 224, get_backbone(name).input_size}
    shapes = {size: run_meta(trunk, size).shape for size in sorted(sizes)}
    assert all(shape[0] == 2 for shape in shapes.values())
    assert len({shape[1] for shape in shapes.values()}) == 1
    if name == "convnext_tiny":  # which normalises what it has pooled
        assert all(len(shape) == 2 for shape in shapes.values())
    else:
        assert all(shape[2] == shape[3] >= 1 for shape in shapes.values())


@pytest.mark.parametrize("name", SHIPPED)
def test_settings_and_weight_names_are_the_librarys(name):
    backbone = get_backbone(name)
    model, input_size, mean, std = build_library_model(backbone.build)
    assert backbone.input_size == input_size
    if name != "inceptionv3":  # whose published network rescales its input once more
        assert (backbone.mean, backbone.std) == (tuple(mean), tuple(std))
    whole = model.state_dict()
    trunk = build_meta(name).state_dict()
    kept = {key for key in whole if key.partition(".")[0] not in CLASSIFIERS or key in trunk}
    assert set(trunk) == kept
    assert all(trunk[key].shape == whole[key].shape for key in trunk)


@pytest.mark.parametrize("name", SHIPPED)
def test_describes_its_weights(name):
    backbone = get_backbone(name)
    assert backbone.license in {"BSD-3-Clause", "apache-2.0"}
    assert backbone.url.startswith("https://")
    assert backbone.build.model in backbone.build.source.replace(" (", ".")
    assert pickle.loads(pickle.dumps(backbone)) == backbone


@pytest.mark.parametrize("name", EVERY)
def test_trunk_is_its_stages_and_trains(name):
    backbone = get_backbone(name)
    trunk = backbone.build(None).eval()
    images = torch.rand(2, 3, 96, 96)
    stages = backbone.stages(trunk)
    with torch.no_grad():
        expected = trunk(images)
        torch.testing.assert_close(nn.Sequential(*stages)(images), expected)
    assert expected.isfinite().all() and expected.std() > 0
    owned = [id(weight) for stage in stages for weight in stage.parameters()]
    assert sorted(owned) == sorted(id(weight) for weight in trunk.parameters())
    assert all(any(True for _ in stage.parameters()) for stage in stages)
    trunk.train()(images).square().mean().backward()
    assert all(weight.grad is not None for weight in trunk.parameters())


def fill(model):
    """Memory for a model of the meta device, with weights that keep its features in range.

    Nothing has the value that a normalisation starts with, so that none can be lost unseen.
    """
    model.to_empty(device="cpu")
    generator = torch.Generator().manual_seed(0)
    with torch.no_grad():
        for name, tensor in model.state_dict().items():
            if tensor.ndim > 1:
                bound = (3 / tensor[0].numel()) ** 0.5
                tensor.uniform_(-bound, bound, generator=generator)
            elif name.endswith("bias") or name.endswith("mean"):
                tensor.uniform_(-0.1, 0.1, generator=generator)
            elif not name.endswith("num_batches_tracked"):
                tensor.uniform_(0.8, 1.2, generator=generator)
    return model.eval()


def measure_pooled_map(model):
    """Height of the map that a model of torchvision pools to."""
    size = getattr(getattr(model, "avgpool", None), "output_size", 1)
    return size if isinstance(size, int) else size[0]


def take_features(model, images):
    """What the library's own forward gives to the first weights of its classifier, pooled."""
    if hasattr(model, "forward_head"):
        return model.forward_head(model.forward_features(images), pre_logits=True)
    taken = []
    if hasattr(model, "fc"):
        reader = model.fc
    elif measure_pooled_map(model) > 1:
        # Its fully connected layers take all places of a map.
        reader = model.avgpool
    else:
        parts = model.classifier.modules()
        reader = next(part for part in parts if isinstance(part, (nn.Linear, nn.Conv2d)))
    reader.register_forward_pre_hook(lambda reader, inputs: taken.append(inputs[0].clone()))
    model(images)
    return taken[0].mean((2, 3)) if taken[0].ndim == 4 else taken[0]


@pytest.mark.parametrize("name", ALL)
def test_features_are_those_of_the_library_before_its_classifier(name, tmp_path):
    model, *_ = build_library_model(get_backbone(name).build)
    fill(model)
    # Weights as they are published: of the whole model.
    save_file(model.state_dict(), tmp_path / "whole.safetensors")
    size = SMALLEST.get(name, 64)
    images = torch.rand(2, 3, size, size, generator=torch.Generator().manual_seed(0))
    extractor = build_extractor(name, tmp_path / "whole.safetensors", "avg")
    with torch.no_grad():
        expected = take_features(model, (images - extractor.mean) / extractor.std)
        features = extractor(images)
    assert features.shape == expected.shape and expected.std() > 0
    bound = 1e-5 * expected.abs().max().item()
    torch.testing.assert_close(features, expected, rtol=0, atol=bound)


def test_inception_normalised_by_half_is_the_published_network():
    """torchvision's weights take ImageNet's normalisation and rescale to [-1, 1] inside."""
    from torchvision.models import inception_v3

    backbone = get_backbone("inceptionv3")
    model = inception_v3(transform_input=True, init_weights=False).eval()
    trunk = backbone.build(None).eval()
    trunk.load_state_dict(model.state_dict(), strict=False)
    images = torch.rand(2, 3, 75, 75)
    mean, std = (torch.tensor(values)[:, None, None] for values in (backbone.mean, backbone.std))
    imagenet = Backbone(backbone.build)
    outer = [torch.tensor(values)[:, None, None] for values in (imagenet.mean, imagenet.std)]
    with torch.no_grad():
        features = trunk((images - mean) / std).mean((2, 3))
        torch.testing.assert_close(model.fc(features), model((images - outer[0]) / outer[1]))


@pytest.mark.parametrize(
    ("model", "ndim"),
    [
        ("test_resnet", 4),
        ("test_efficientnet", 4),
        ("test_convnext", 2),  # normalises what it has pooled
        ("lcnet_050", 2),  # has a layer between pooling and classifier
        ("test_vit", 2),
        ("test_vit2", 2),  # would change the names of its weights without its pooling
        ("test_mambaout", 2),  # channels last
        ("resnet18", 4),
        ("swin_tiny_patch4_window7_224", 2),  # channels last
        ("inception_next_atto", 2),  # cannot do without its pooling
    ],
)
def test_any_timm_model_gives_a_map_or_a_vector(model, ndim):
    import timm

    name = f"timm/{model}"
    backbone = get_backbone(name)
    trunk = build_meta(name)
    output = run_meta(trunk, backbone.input_size)
    assert output.ndim == ndim
    with torch.device("meta"):
        pooled = timm.create_model(model, num_classes=0).eval()
    assert output.shape[1] == run_meta(pooled, backbone.input_size).shape[1]
    assert set(trunk.state_dict()) == set(pooled.state_dict())


@pytest.mark.parametrize(
    "model",
    [
        *("test_resnet", "test_efficientnet", "test_convnext"),
        *(
            pytest.param(name, marks=pytest.mark.thorough)
            for name in ("test_convnext2", "mobilenetv3_small_050", "inception_next_atto")
        ),
    ],
)
def test_timm_models_pool_as_they_do_themselves(model):
    import timm

    with torch.device("meta"):
        library = timm.create_model(model, num_classes=0)
    fill(library)
    trunk = get_backbone(f"timm/{model}").build(None).eval()
    trunk.load_state_dict(library.state_dict())
    images = torch.rand(2, 3, 96, 96, generator=torch.Generator().manual_seed(0))
    with torch.no_grad():
        expected, features = library(images), TrunkPart(trunk, "avg")(images)
    bound = 1e-5 * expected.abs().max().item()
    torch.testing.assert_close(features, expected, rtol=0, atol=bound)


def test_timm_names_are_checked():
    with pytest.raises(ValueError, match=r"no model 'resnt18'.*resnet18"):
        get_backbone("timm/resnt18")
    with pytest.raises(ValueError, match=r"no weights 'nope' for 'resnet18'.*resnet18\.a1_in1k"):
        get_backbone("timm/resnet18.nope")
    assert get_backbone("timm/resnet18.a1_in1k").license == "apache-2.0"


def test_timm_model_without_published_weights_says_so():
    with pytest.raises(ValueError, match="no weights for 'coatnet_0_224'; pass weights=None"):
        get_backbone("timm/coatnet_0_224").build("imagenet")
