"""Tables of networks for images fit their networks, bit for bit there and back."""

import functools
import json
import pathlib

import jax
import numpy as np
import pytest

from jnn import models, weights
from tests.test_weights_families import filled, folder_of

FIXTURES = pathlib.Path(__file__).parent / "fixtures" / "weights"
VIT = {
    "model_type": "vit",
    "image_size": 8,
    "num_channels": 3,
    "patch_size": 4,
    "num_hidden_layers": 2,
    "num_attention_heads": 2,
    "hidden_size": 8,
    "intermediate_size": 12,
    "id2label": {"0": "a", "1": "b", "2": "c"},
}
RESNET = {
    "model_type": "resnet",
    "num_channels": 3,
    "embedding_size": 4,
    "hidden_sizes": [4, 8, 16, 32],
    "depths": [2, 2, 2, 2],
    "layer_type": "basic",
}
CONVNEXT = {
    "model_type": "convnext",
    "num_channels": 3,
    "patch_size": 4,
    "hidden_sizes": [4, 6],
    "depths": [2, 1],
    "num_labels": 5,
}
CONFIGS = {
    "vit": (VIT, "vit.encoder.layer.1.attention.attention.query.weight", 8 + 2 * 16),
    "resnet": (RESNET, "resnet.encoder.stages.3.layers.1.layer.1.convolution.weight", 102),
    "convnext": (CONVNEXT, "convnext.encoder.stages.1.downsampling_layer.1.weight", 39),
}


def equal(one, other):
    pairs = zip(jax.tree.leaves(one), jax.tree.leaves(other), strict=True)
    return all(np.asarray(a).tobytes() == np.asarray(b).tobytes() for a, b in pairs)


@pytest.mark.parametrize("name", CONFIGS)
def test_a_folder_of_hugging_face_or_a_file_of_torchvision_is_a_network(name, tmp_path):
    config, longest, count = CONFIGS[name]
    network = weights.from_config(config)
    variables = filled(network)
    folder = folder_of(config, variables, tmp_path / "model")
    tensors = weights.read(folder)
    assert longest in tensors and len(tensors) == count
    _, loaded = weights.from_folder(folder)
    assert equal(loaded, variables)
    path = weights.save(variables, tmp_path / "w.pth", family=name)
    assert len(weights.read(path)) == count - 8 * (name == "vit")  # fused queries, keys and values
    assert equal(weights.load(path, network, family=name), variables)


@pytest.mark.parametrize(
    "name", ["vit", *(pytest.param(n, marks=pytest.mark.slow) for n in ("resnet", "convnext"))]
)
def test_a_network_without_outputs_leaves_the_last_layer_of_a_file_out(name, tmp_path):
    variables = filled(weights.from_config(CONFIGS[name][0]))
    folder = folder_of(CONFIGS[name][0], variables, tmp_path / "model")
    trunk, (params, state) = weights.from_folder(folder, outputs=None)
    rest = {key: value for key, value in variables[0].items() if key != "output"}
    assert equal((params, state), (rest, variables[1]))
    path = weights.save(variables, tmp_path / "w.pth", family=name)
    assert equal(weights.load(path, trunk, family=name)[0], rest)


def test_the_last_layer_is_left_out_for_a_model_without_head(tmp_path):
    config = {**VIT, "architectures": ["ViTModel"]}
    network = weights.from_config(config)
    variables = filled(network)
    assert "output" not in variables[0]
    folder = folder_of(config, variables, tmp_path)
    names = weights.read(folder).keys()
    assert "embeddings.cls_token" in names and not any("classifier" in name for name in names)
    assert equal(weights.from_folder(folder)[1], variables)


REFUSED = [
    ({**VIT, "hidden_act": "relu"}, "hidden_act .*'vit' must be 'gelu'"),
    ({**VIT, "qkv_bias": False}, "qkv_bias .* must be True"),
    ({**VIT, "architectures": ["ViTForMaskedImageModeling"]}, "architectures .* must be None or"),
    ({**RESNET, "depths": [1, 1]}, r"layer_type and depths .* must be one of .*got \('basic'"),
    ({**RESNET, "hidden_sizes": [4, 8, 16, 30]}, "hidden_sizes .* must be"),
    ({**RESNET, "downsample_in_bottleneck": True}, "downsample_in_bottleneck .* must be False"),
    ({**RESNET, "depths": [[2], 2]}, "depths must be a positive integer"),
    ({**RESNET, "layer_type": []}, "layer_type and depths"),
    ({**VIT, "id2label": None, "num_labels": "two"}, "num_labels must be a positive integer"),
    ({**VIT, "layer_norm_eps": "small"}, "layer_norm_eps must be a number"),
    ({**CONVNEXT, "depths": 3}, "depths .* must be a list of sizes, got 3"),
    ({**CONVNEXT, "layer_scale_init_value": None}, "layer_scale_init_value must be a number"),
    ({**CONVNEXT, "hidden_act": "relu"}, "hidden_act .*'convnext' must be 'gelu'"),
]


@pytest.mark.parametrize(("config", "words"), REFUSED)
def test_a_config_of_another_network_is_refused_in_one_sentence(config, words):
    with pytest.raises(ValueError, match=words):
        weights.from_config(config)


def test_a_config_of_very_many_layers_is_refused_before_they_are_built(tmp_path):
    folder = folder_of(CONVNEXT, filled(weights.from_config(CONVNEXT)), tmp_path)
    (folder / "config.json").write_text(json.dumps({**CONVNEXT, "depths": [10**9, 1]}))
    with pytest.raises(ValueError, match="got 1000000001 layers and 39 tensors"):
        weights.from_folder(folder)


TORCHVISION = {
    "resnet18": functools.partial(models.ResNet, 3, 1000, 18),
    "resnet50": functools.partial(models.ResNet, 3, 1000, 50),
    "convnext_tiny": functools.partial(models.ConvNeXt, 3, 1000),
    "vit_b_16": functools.partial(
        models.ViT, (224, 224, 3), 1000, patch=16, layers=12, num_heads=12, features=768
    ),
}


@pytest.mark.parametrize(
    "name",
    [pytest.param(n, marks=[pytest.mark.peers] * (n != "resnet18")) for n in TORCHVISION],
)
def test_every_tensor_of_torchvisions_networks_has_its_place(name):
    """Names and shapes of version 0.28; the numbers are compared in test_weights_peers_vision."""
    shapes = json.loads((FIXTURES / "torchvision.json").read_text())[name]
    zeros = {
        tensor: np.broadcast_to(np.float32(0), shape) if shape else np.int64(0)
        for tensor, shape in shapes.items()
    }
    family = name.partition("_")[0].rstrip("0123456789")
    params, state = weights.load(zeros, TORCHVISION[name], family=family)
    count = sum(np.prod(shape, dtype=int) for shape in shapes.values() if shape)
    assert sum(array.size for array in jax.tree.leaves((params, state)) if array.ndim) == count


LENETS = {
    "of the tutorial": (
        functools.partial(
            models.LeNet, (32, 32, 3), 10, maps=(6, 16), window=5, padding="VALID",
            hidden=(120, 84),
        ),
        None,
        {"conv1.weight": (6, 3, 5, 5), "fc1.weight": (120, 400), "fc3.weight": (10, 84)},
    ),
    "of two dense layers": (
        functools.partial(models.LeNet, (12, 8, 1), 3, maps=(4, 6), hidden=5),
        {"height": 3, "width": 2},
        {"conv2.weight": (6, 4, 3, 3), "fc1.weight": (5, 36), "fc2.weight": (3, 5)},
    ),
}  # fmt: skip


@pytest.mark.parametrize("name", LENETS)
def test_a_lenet_comes_back_exactly(name, tmp_path):
    network, config, shapes = LENETS[name]
    variables = filled(network)
    path = weights.save(variables, tmp_path / "w.pt", family="lenet", config=config)
    tensors = weights.read(path)
    assert shapes.items() <= {n: a.shape for n, a in tensors.items()}.items()
    assert len(tensors) == len(jax.tree.leaves(variables[0]))
    assert equal(weights.load(path, network, family="lenet", config=config), variables)
    fewer = functools.partial(network.func, network.args[0], None, **network.keywords)
    params, _ = weights.load(path, fewer, family="lenet", config=config)
    assert equal(params["hidden"], variables[0]["hidden"]) and "output" not in params
    with pytest.raises(ValueError, match=r"of another shape are \['.*params/hidden"):
        weights.load(path, network, family="lenet", config={"height": 7, "width": 7})
    with pytest.raises(ValueError, match="height must be a positive integer, got 0"):
        weights.load(path, network, family="lenet", config={"height": 0})


def test_a_mini_xception_comes_back_exactly(tmp_path):
    network = functools.partial(models.MiniXception, 1, 7)
    variables = filled(network)
    path = weights.save(variables, tmp_path / "w.npz", family="mini_xception")
    tensors = weights.read(path)
    assert tensors["separable_conv2d_8/depthwise_kernel"].shape == (3, 3, 128, 1)
    assert equal(weights.load(path, network, family="mini_xception"), variables)
    params, _ = weights.load(
        path, functools.partial(models.MiniXception, 1, None), family="mini_xception"
    )
    assert "output" not in params


def test_two_arrays_never_take_one_name(tmp_path):
    rules = [("w", "a"), ("w", "b"), ("v", "b")]
    path = weights.save({"a": np.ones(1), "b": np.zeros(1)}, tmp_path / "w.npz", family=rules)
    assert weights.read(path)["v"] == 0
    with pytest.raises(ValueError, match=r"no rule for \['b'\]"):
        weights.save({"a": np.ones(1), "b": np.zeros(1)}, tmp_path / "w", family=rules[:2])
