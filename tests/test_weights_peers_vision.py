"""Tables of networks for images against the libraries that they are named after.

Logits are compared relative to the largest one, as float32 itself loses digits with depth.
Torchvision is no part of the extra `peers`: its wheels need PyTorch's build for the same device,
and where that is another one, importing it fails, and Transformers with it.
"""

import functools

import jax
import jax.numpy as jnp
import numpy as np
import pytest

import jnn
from jnn import weights

pytestmark = pytest.mark.peers


def drawn(network):
    """The network in evaluation, whose parameters and statistics are all random."""
    import torch

    torch.manual_seed(0)
    with torch.no_grad():
        for name, parameter in network.named_parameters():
            if parameter.ndim > 1:
                fan_in = parameter[0].numel()
                parameter.normal_(std=(2 / fan_in) ** 0.5 if fan_in > 1 else 0.3)
            else:
                parameter.uniform_(*((0.5, 1.0) if name.endswith("weight") else (-0.3, 0.3)))
        for name, buffer in network.named_buffers():
            if name.endswith(("running_mean", "running_var")):
                buffer.uniform_(*((0.5, 1.5) if name.endswith("var") else (-0.3, 0.3)))
    return network.eval()


def images(side, channels=3, rows=2):
    return np.random.default_rng(0).normal(size=(rows, side, side, channels)).astype(np.float32)


def logits_of_torch(network, x):
    import torch

    with torch.no_grad():
        y = network(torch.tensor(x).permute(0, 3, 1, 2))
    return (y if isinstance(y, torch.Tensor) else y.logits).numpy()


def logits_of(network, params, state, x):
    apply = jax.jit(lambda p, s, x: jnn.as_model(network).apply(p, s, x)[0])
    with jax.default_matmul_precision("highest"):
        return np.asarray(apply(params, state, jnp.asarray(x)))


def assert_near(ours, theirs):
    assert np.ptp(theirs, axis=0).max() > 0.1 * np.abs(theirs).max()  # the rows differ
    np.testing.assert_allclose(ours, theirs, rtol=0, atol=1e-5 * np.abs(theirs).max())


HUGGING_FACE = {  # (class of the config, settings, side of an image)
    "ViT": (
        {"hidden_size": 8, "num_hidden_layers": 2, "num_attention_heads": 2, "patch_size": 4,
         "intermediate_size": 12, "image_size": 8, "num_labels": 3},
        8,
    ),
    "ResNet": (
        {"embedding_size": 4, "hidden_sizes": [4, 8, 16, 32], "depths": [2, 2, 2, 2],
         "layer_type": "basic", "num_labels": 3},
        39,
    ),
    "ResNet of three": (
        {"embedding_size": 4, "hidden_sizes": [16, 32, 64, 128], "depths": [3, 4, 6, 3],
         "num_labels": 5},
        48,
    ),
    "ConvNext": (
        {"hidden_sizes": [4, 6, 8], "depths": [2, 1, 2], "num_stages": 3, "num_labels": 3,
         "num_channels": 1},
        35,
    ),
}  # fmt: skip


@pytest.mark.parametrize("name", HUGGING_FACE)
def test_a_network_of_hugging_face_has_the_logits_of_jnn(transformers, name, tmp_path):
    import torch

    settings, side = HUGGING_FACE[name]
    kind = name.split()[0]
    config = getattr(transformers, f"{kind}Config")(**settings)
    make = getattr(transformers, f"{kind}ForImageClassification")
    theirs = drawn(make(config))
    theirs.save_pretrained(tmp_path / "model")
    torch.save(theirs.state_dict(), tmp_path / "model.pt")
    x = images(side, config.num_channels)
    expected = logits_of_torch(theirs, x)
    network, (params, state) = weights.from_folder(tmp_path / "model")
    assert_near(logits_of(network, params, state, x), expected)
    family = config.model_type
    again = weights.load(tmp_path / "model.pt", network, family=family)
    for a, b in zip(jax.tree.leaves(again), jax.tree.leaves((params, state)), strict=True):
        assert np.asarray(a).tobytes() == np.asarray(b).tobytes()

    (tmp_path / "back").mkdir()
    config.save_pretrained(tmp_path / "back")
    path = tmp_path / "back" / "model.safetensors"
    weights.save((params, state), path, family=family, config=config.to_dict())
    back, told = make.from_pretrained(tmp_path / "back", output_loading_info=True)
    assert not {*told["unexpected_keys"], *told["mismatched_keys"]}
    assert all(key.endswith("num_batches_tracked") for key in told["missing_keys"])
    assert np.array_equal(logits_of_torch(back.eval(), x), expected)


def vit_of(torchvision):
    from torchvision.models.vision_transformer import VisionTransformer

    theirs = VisionTransformer(
        image_size=8, patch_size=4, num_layers=2, num_heads=2, hidden_dim=8, mlp_dim=12,
        num_classes=3,
    )  # fmt: skip
    sizes = {"patch": 4, "layers": 2, "num_heads": 2, "features": 8, "hidden": 12}
    return theirs, functools.partial(jnn.models.ViT, (8, 8, 3), 3, **sizes)


def convnext_of(torchvision):
    from torchvision.models.convnext import CNBlockConfig, ConvNeXt

    blocks = [CNBlockConfig(4, 6, 2), CNBlockConfig(6, 8, 1), CNBlockConfig(8, None, 2)]
    ours = functools.partial(jnn.models.ConvNeXt, 3, 3, depths=(2, 1, 2), widths=(4, 6, 8))
    return ConvNeXt(blocks, num_classes=3), ours


def resnet_of(torchvision, depth):
    theirs = getattr(torchvision.models, f"resnet{depth}")(num_classes=3)
    return theirs, functools.partial(jnn.models.ResNet, 3, 3, depth)


TORCHVISION = {
    "vit": (vit_of, 8),
    "convnext": (convnext_of, 35),
    "resnet 18": (functools.partial(resnet_of, depth=18), 39),
    "resnet 50": (functools.partial(resnet_of, depth=50), 39),
}


@pytest.mark.parametrize("name", TORCHVISION)
def test_a_network_of_torchvision_has_the_logits_of_jnn(torchvision, name, tmp_path):
    import torch

    make, side = TORCHVISION[name]
    theirs, network = make(torchvision)
    drawn(theirs)
    torch.save(theirs.state_dict(), tmp_path / "w.pth")
    family = name.split()[0]
    params, state = weights.load(tmp_path / "w.pth", network, family=family)
    x = images(side)
    expected = logits_of_torch(theirs, x)
    assert_near(logits_of(network, params, state, x), expected)

    weights.save((params, state), tmp_path / "back.pth", family=family)
    back, _ = make(torchvision)
    back.load_state_dict(torch.load(tmp_path / "back.pth", weights_only=True), strict=True)
    for name, tensor in theirs.state_dict().items():
        assert torch.equal(back.state_dict()[name], tensor), name
    assert np.array_equal(logits_of_torch(back.eval(), x), expected)


def test_a_step_of_training_changes_parameters_and_statistics_as_in_pytorch(transformers, tmp_path):
    """PyTorch's running variance is of sums divided by n - 1, that of jnn, as Flax's, by n."""
    import torch

    config = transformers.ResNetConfig(**HUGGING_FACE["ResNet"][0])
    theirs = drawn(transformers.ResNetForImageClassification(config))
    theirs.save_pretrained(tmp_path)
    network, (params, state) = weights.from_folder(tmp_path)
    x = images(64, rows=4)

    counts = {}
    for name, module in theirs.named_modules():
        if isinstance(module, torch.nn.BatchNorm2d):
            module.register_forward_hook(
                lambda _, inputs, y, name=name: counts.update({name: y.numel() / y.shape[1]})
            )
    before = {name: array.numpy().copy() for name, array in theirs.state_dict().items()}
    optimizer = torch.optim.SGD(theirs.parameters(), lr=0.01)
    (theirs.train()(torch.tensor(x).permute(0, 3, 1, 2)).logits ** 2).mean().backward()
    optimizer.step()

    @jax.jit
    def step(params, state):
        def loss(params):
            logits, after = jnn.as_model(network).apply(params, state, jnp.asarray(x), train=True)
            return (logits**2).mean(), after

        slopes, after = jax.grad(loss, has_aux=True)(params)
        return jax.tree.map(lambda p, g: p - 0.01 * g, params, slopes), after

    with jax.default_matmul_precision("highest"):
        after = step(params, state)
    weights.save(after, tmp_path / "after.npz", family="resnet", config=config.to_dict())
    ours = weights.read(tmp_path / "after.npz")
    assert len(ours) == len(before) - len(counts) and min(counts.values()) == 16
    for name, tensor in theirs.state_dict().items():
        if name.endswith("num_batches_tracked"):
            continue
        found = ours[name]
        if name.endswith("running_var"):
            n = counts[name.removesuffix(".running_var")]
            found = 0.9 * before[name] + (found - 0.9 * before[name]) * n / (n - 1)
        expected = tensor.numpy()
        assert not np.array_equal(expected, before[name])
        np.testing.assert_allclose(
            found, expected, rtol=0, atol=1e-5 * np.abs(expected).max(), err_msg=name
        )


def test_the_network_of_pytorchs_tutorial_has_the_logits_of_jnn_lenet(tmp_path):
    torch = pytest.importorskip("torch")
    nn, functional = torch.nn, torch.nn.functional

    class Net(nn.Module):
        def __init__(self):
            super().__init__()
            self.conv1, self.conv2 = nn.Conv2d(3, 6, 5), nn.Conv2d(6, 16, 5)
            self.fc1, self.fc2, self.fc3 = (
                nn.Linear(400, 120),
                nn.Linear(120, 84),
                nn.Linear(84, 10),
            )

        def forward(self, x):
            for conv in (self.conv1, self.conv2):
                x = functional.max_pool2d(functional.relu(conv(x)), 2)
            x = functional.relu(self.fc1(torch.flatten(x, 1)))
            return self.fc3(functional.relu(self.fc2(x)))

    theirs = drawn(Net())
    torch.save(theirs.state_dict(), tmp_path / "w.pt")
    network = functools.partial(
        jnn.models.LeNet, (32, 32, 3), 10, maps=(6, 16), window=5, padding="VALID",
        hidden=(120, 84),
    )  # fmt: skip
    params, state = weights.load(tmp_path / "w.pt", network, family="lenet")
    x = images(32)
    assert_near(logits_of(network, params, state, x), logits_of_torch(theirs, x))
    weights.save((params, state), tmp_path / "back.pt", family="lenet")
    back = torch.load(tmp_path / "back.pt", weights_only=True)
    theirs.load_state_dict(back, strict=True)
    assert all(torch.equal(back[name], tensor) for name, tensor in theirs.state_dict().items())
