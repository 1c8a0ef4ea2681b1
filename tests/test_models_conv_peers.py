"""Convolutional networks against PyTorch's, in the form of the reference code, equal weights."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from flax import nnx

from jnn.models import DCGANDiscriminator, DCGANGenerator, ResNet, SpeedNet, whitening_kernel

torch = pytest.importorskip("torch")
pytestmark = pytest.mark.peers
F = torch.nn.functional


def drawn(net, seed=0):
    """The network with every parameter and statistic moved away from 0 and 1."""
    random = np.random.default_rng(seed)
    for kind in (nnx.Param, nnx.BatchStat):
        moved = jax.tree.map(
            lambda a: a + jnp.asarray(0.1 * np.abs(random.normal(size=a.shape)), a.dtype),
            nnx.state(net, kind),
        )
        nnx.update(net, moved)
    return net


def tensor(variable):
    return torch.tensor(np.array(variable[...] if isinstance(variable, nnx.Variable) else variable))


def conv(x, layer, stride=1, padding=0):
    return F.conv2d(x, tensor(layer.kernel).permute(3, 2, 0, 1), stride=stride, padding=padding)


def norm(x, layer, training, eps=1e-5):
    scale = None if layer.scale is None else tensor(layer.scale)
    return F.batch_norm(
        x, tensor(layer.mean), tensor(layer.var), scale, tensor(layer.bias), training, eps=eps
    )


def block(x, net, stride, training):
    y = torch.relu(
        norm(
            conv(
                x,
                net.conv1,
                1 if hasattr(net, "conv3") else stride,
                0 if hasattr(net, "conv3") else 1,
            ),
            net.norm1,
            training,
        )
    )
    y = norm(conv(y, net.conv2, stride if hasattr(net, "conv3") else 1, 1), net.norm2, training)
    if hasattr(net, "conv3"):
        y = norm(conv(torch.relu(y), net.conv3), net.norm3, training)
    if net.shortcut is None:
        return torch.relu(y + x)
    if hasattr(net.shortcut, "conv"):
        return torch.relu(y + norm(conv(x, net.shortcut.conv, stride), net.shortcut.norm, training))
    more = y.shape[1] - x.shape[1]
    return torch.relu(y + F.pad(x[:, :, ::2, ::2], (0, 0, 0, 0, more // 2, more // 2)))


def torch_resnet(net, x, counts, training):
    if net.is_large:
        x = torch.relu(norm(conv(x, net.stem, 2, 3), net.stem_norm, training))
        x = F.max_pool2d(x, 3, 2, 1)
    else:
        x = torch.relu(norm(conv(x, net.stem, 1, 1), net.stem_norm, training))
    firsts = set(np.cumsum(counts)[:-1])
    for i, layer in enumerate(layer for stage in net.stages for layer in stage):
        x = block(x, layer, 2 if i in firsts else 1, training)
    return x.mean((2, 3)) @ tensor(net.output.kernel) + tensor(net.output.bias)


def images(shape, seed=1):
    x = np.random.default_rng(seed).normal(size=shape).astype(np.float32)
    return jnp.asarray(x), torch.tensor(x).permute(0, 3, 1, 2)


@pytest.mark.parametrize("training", [False, True])
@pytest.mark.parametrize(
    ("depth", "counts", "side"),
    [(14, (2, 2, 2), 12), (18, (2, 2, 2, 2), 37), (50, (3, 4, 6, 3), 40)],
)
def test_resnet_is_pytorchs(depth, counts, side, training):
    net = drawn(ResNet(3, 5, depth, width=8, rngs=nnx.Rngs(0)))
    ours, theirs = images((4, side, side, 3))
    wanted = torch_resnet(net, theirs, counts, training).numpy()
    net.set_attributes(use_running_average=not training)
    np.testing.assert_allclose(
        nnx.jit(lambda net, x: net(x))(net, ours), wanted, rtol=2e-3, atol=2e-3
    )


@pytest.mark.parametrize("training", [False, True])
def test_speednet_is_pytorchs(training):
    ours, theirs = images((4, 32, 32, 3))
    net = drawn(
        SpeedNet(3, 5, whitening=whitening_kernel(ours), widths=(8, 12, 12), rngs=nnx.Rngs(0))
    )
    x = F.gelu(
        F.conv2d(theirs, tensor(net.whitening).permute(3, 2, 0, 1), tensor(net.whitening_bias))
    )
    for group in net.groups:
        x = F.gelu(norm(F.max_pool2d(conv(x, group.conv1, 1, 1), 2), group.norm1, training, 1e-12))
        x = F.gelu(norm(conv(x, group.conv2, 1, 1), group.norm2, training, 1e-12))
    wanted = F.max_pool2d(x, 3).flatten(1) @ tensor(net.output.kernel) / 9
    net.set_attributes(use_running_average=not training)
    np.testing.assert_allclose(net(ours), wanted.numpy(), rtol=1e-3, atol=1e-4)


def test_whitening_is_that_of_the_records_code():
    ours, theirs = images((16, 9, 9, 3))
    patches = theirs.unfold(2, 2, 1).unfold(3, 2, 1).transpose(1, 3).reshape(-1, 12)
    values, vectors = torch.linalg.eigh(patches.T @ patches / len(patches))
    scaled = (
        (vectors / torch.sqrt(values + 5e-4))
        .flip(1)
        .T.reshape(12, 3, 2, 2)
        .permute(2, 3, 1, 0)
        .numpy()
    )
    kernel = np.asarray(whitening_kernel(ours))
    signs = np.sign((kernel[..., :12] * scaled).sum((0, 1, 2)))
    np.testing.assert_allclose(kernel[..., :12] * signs, scaled, atol=1e-3)


@pytest.mark.parametrize("side", [28, 32])
def test_dcgan_is_pytorchs(side):
    generator = drawn(DCGANGenerator((side, side, 3), noise=7, width=4, rngs=nnx.Rngs(0)))
    z = np.random.default_rng(0).normal(size=(5, 7)).astype(np.float32)
    x = torch.tensor(z) @ tensor(generator.project.kernel)
    x = x.reshape(5, generator.base, generator.base, -1).permute(0, 3, 1, 2)
    for layer, after in zip([generator.first_norm, *generator.norms], generator.convs, strict=True):
        flipped = tensor(after.kernel).permute(2, 3, 0, 1).flip(2, 3)
        x = F.conv_transpose2d(torch.relu(norm(x, layer, True)), flipped, stride=2, padding=1)
    fakes = generator(jnp.asarray(z))
    np.testing.assert_allclose(
        fakes, torch.tanh(x).permute(0, 2, 3, 1).numpy(), rtol=1e-3, atol=1e-4
    )

    judge = drawn(DCGANDiscriminator((side, side, 3), width=4, rngs=nnx.Rngs(0)))
    x = torch.tensor(np.array(fakes)).permute(0, 3, 1, 2)
    for i, layer in enumerate(judge.convs):
        x = conv(x, layer, 2, 1)
        x = F.leaky_relu(norm(x, judge.norms[i - 1], True) if i else x, 0.2)
    wanted = x.permute(0, 2, 3, 1).flatten(1) @ tensor(judge.output.kernel)
    np.testing.assert_allclose(judge(fakes), wanted[:, 0].numpy(), rtol=1e-3, atol=1e-3)
