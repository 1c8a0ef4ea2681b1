"""Zero-cost scores against PyTorch, written from their definitions, with equal weights."""

import functools

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from flax import nnx

import jnn
from jnn.modules import BatchNorm, Conv, Dense
from jnn.search import zero_cost

torch = pytest.importorskip("torch")
pytestmark = pytest.mark.peers
F = torch.nn.functional


class Small(nnx.Module):
    """Convolution, batch norm and ReLU, a strided convolution and ReLU, and two linear layers."""

    def __init__(self, *, rngs):
        self.conv1 = Conv(3, 4, (3, 3), use_bias=False, rngs=rngs)
        self.norm = BatchNorm(4, rngs=rngs)
        self.conv2 = Conv(4, 5, (3, 3), 2, padding=1, rngs=rngs)
        self.hidden = Dense(5, 6, rngs=rngs)
        self.output = Dense(6, 3, rngs=rngs)

    def __call__(self, x):
        x = jax.nn.relu(self.norm(self.conv1(x)))
        x = jax.nn.relu(self.conv2(x)).mean((1, 2))
        return self.output(jax.nn.relu(self.hidden(x)))


def torch_mlp(params):
    layers = []
    for layer in (*params["hidden"].values(), params["output"]):
        linear = torch.nn.Linear(*layer["kernel"].shape)
        linear.weight.data = tensor(layer["kernel"]).T.contiguous()
        linear.bias.data = tensor(layer["bias"])
        layers += [linear, torch.nn.ReLU()]
    return torch.nn.Sequential(*layers[:-1])


def torch_small(params):
    conv1, conv2 = torch.nn.Conv2d(3, 4, 3, 1, 1, bias=False), torch.nn.Conv2d(4, 5, 3, 2, 1)
    for layer, values in ((conv1, params["conv1"]), (conv2, params["conv2"])):
        layer.weight.data = tensor(values["kernel"]).permute(3, 2, 0, 1).contiguous()
    conv2.bias.data = tensor(params["conv2"]["bias"])
    linear = torch_mlp({"hidden": {"0": params["hidden"]}, "output": params["output"]})
    pool = [torch.nn.AdaptiveAvgPool2d(1), torch.nn.Flatten()]
    relus = torch.nn.ReLU(), torch.nn.ReLU()
    norm = torch.nn.BatchNorm2d(4)
    return torch.nn.Sequential(conv1, norm, relus[0], conv2, relus[1], *pool, *linear)


def tensor(array):
    return torch.tensor(np.array(array))


def weighted(net):
    return [m for m in net.modules() if isinstance(m, torch.nn.Conv2d | torch.nn.Linear)]


def torch_scores(net, x, y):
    """All scores of a network in PyTorch."""
    layers = weighted(net)
    weights = [layer.weight for layer in layers]
    outputs, codes = [], []
    hooks = [m.register_forward_hook(lambda m, i, o: outputs.append(o)) for m in layers]
    hooks += [
        m.register_forward_hook(lambda m, i, o: codes.append((o > 0).flatten(1).double()))
        for m in net.modules()
        if isinstance(m, torch.nn.ReLU)
    ]
    inputs = x.clone().requires_grad_()
    logits = net(inputs)
    (jacobians,) = torch.autograd.grad(logits.sum(), inputs, retain_graph=True)
    grads = torch.autograd.grad(F.cross_entropy(logits, y), [*weights, *outputs], create_graph=True)
    grads, at_outputs = grads[: len(weights)], grads[len(weights) :]
    product = sum((g.detach() * g).sum() for g in grads)
    changes = torch.autograd.grad(product, weights)
    weights, grads = ([t.detach() for t in tensors] for tensors in (weights, grads))
    fisher = 0.0
    for layer, value, grad in zip(layers, outputs, at_outputs, strict=True):
        value, grad = value.detach(), grad.detach()
        rows = (value * grad).flatten(2).sum(2) if value.ndim > 2 else value * grad
        fisher += 0.5 * (rows**2).mean(0).sum() * layer.weight[0].numel()
    for hook in hooks:
        hook.remove()
    kernel = sum(c @ c.T + (1 - c) @ (1 - c).T for c in codes)
    eigenvalues = np.linalg.eigvalsh(np.corrcoef(jacobians.flatten(1).numpy())) + 1e-5
    return {
        "grad_norm": float(sum(g.norm() for g in grads)),
        "snip": float(sum((w * g).abs().sum() for w, g in zip(weights, grads, strict=True))),
        "grasp": float(-sum((w * h).sum() for w, h in zip(weights, changes, strict=True))),
        "fisher": float(fisher),
        "synflow": torch_synflow(net, x),
        "jacob_cov": -np.sum(np.log(eigenvalues) + 1 / eigenvalues),
        "naswot": np.linalg.slogdet(kernel.numpy())[1],
    }


def torch_synflow(net, x):
    layers = [m for m in net.modules() if not isinstance(m, torch.nn.BatchNorm2d)][1:]
    net = torch.nn.Sequential(*layers).double()
    for parameter in net.parameters():
        parameter.data.abs_()
    weights = [layer.weight for layer in weighted(net)]
    flow = torch.autograd.grad(net(torch.ones_like(x[:1]).double()).sum(), weights)
    return float(sum((w * g).detach().abs().sum() for w, g in zip(weights, flow, strict=True)))


NETWORKS = {
    "MLP": (functools.partial(jnn.models.MLP, 7, (16, 12), 3), (7,), torch_mlp),
    "CNN": (Small, (8, 8, 3), torch_small),
}


@pytest.fixture(params=NETWORKS, scope="module")
def both(request):
    """Our functions and the scores of both sides."""
    network, shape, make = NETWORKS[request.param]
    random = np.random.default_rng(0)
    x = random.normal(size=(9, *shape)).astype(np.float32)
    y = random.integers(0, 3, 9)
    key = jax.random.key(3)
    ours = zero_cost.scores(network, x, y, key=key)
    model = jnn.as_model(network)
    params, state = model.init(jax.random.split(key, 1)[0], x)
    images = torch.tensor(np.moveaxis(x, -1, 1) if len(shape) == 3 else x)
    theirs = torch_scores(make(params), images, torch.tensor(y))
    return ours, theirs, (model, params, state, jnp.asarray(x), jnp.asarray(y))


# Ours divides by sqrt(1 + eps) in synflow, where PyTorch's network is without batch normalization.
TOLERANCES = {"synflow": 1e-5, "jacob_cov": 1e-3}


@pytest.mark.parametrize(
    "name", ["grad_norm", "snip", "grasp", "fisher", "synflow", "jacob_cov", "naswot"]
)
def test_a_score_is_that_of_pytorch(both, name):
    ours, theirs, _ = both
    np.testing.assert_allclose(ours[name][0], theirs[name], rtol=TOLERANCES.get(name, 1e-4))


def test_the_functions_alone_return_the_same_scores(both):
    ours, _, (model, params, state, x, y) = both

    def apply(params, x, train=True):
        return model.apply(params, state, x, key=None, train=train, hyper={})[0]

    for name in ("grad_norm", "snip", "grasp", "fisher"):
        score = jax.jit(functools.partial(getattr(zero_cost, name), apply))(params, x, y)
        np.testing.assert_allclose(score, ours[name][0], rtol=1e-4, err_msg=name)
    for name in ("jacob_cov", "naswot"):
        score = getattr(zero_cost, name)(apply, params, x)
        np.testing.assert_allclose(score, ours[name][0], rtol=1e-3, err_msg=name)
    score = zero_cost.synflow(functools.partial(apply, train=False), params, x)
    np.testing.assert_allclose(score, ours["synflow"][0], rtol=1e-6)
