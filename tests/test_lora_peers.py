"""Low-rank updates against peft: the same base, factors and rows give the same outputs."""

import sys

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from flax import nnx

import jnn

pytestmark = pytest.mark.peers
torch = pytest.importorskip("torch")

TABLE = [
    ("conv.weight", "conv/kernel", "OIHW->HWIO"),
    ("conv.bias", "conv/bias"),
    ("{layer}.weight", "{layer}/kernel", "transpose"),
    ("{layer}.bias", "{layer}/bias"),
]
RANKS = {"first": 2, "conv": 3, "last": 4}


class Theirs(torch.nn.Module):
    def __init__(self):
        super().__init__()
        self.conv = torch.nn.Conv2d(2, 3, 3, padding=1)
        self.first = torch.nn.Linear(3, 6)
        self.last = torch.nn.Linear(6, 4)

    def forward(self, x):  # [batch, 2, height, width]
        x = self.conv(x).mean((2, 3))
        return self.last(torch.tanh(self.first(x)))


class Ours(nnx.Module):
    def __init__(self, *, rngs):
        self.conv = jnn.modules.Conv(2, 3, (3, 3), rngs=rngs)
        self.first = jnn.modules.Dense(3, 6, rngs=rngs)
        self.last = jnn.modules.Dense(6, 4, rngs=rngs)

    def __call__(self, x):
        return self.last(jnp.tanh(self.first(self.conv(x).mean(axis=(1, 2)))))


@pytest.fixture
def peft(monkeypatch):
    """Import peft without torchvision, which it does not need and which may not fit PyTorch."""
    monkeypatch.setitem(sys.modules, "torchvision", None)
    return pytest.importorskip("peft")


def adapted_by(peft):
    """Return a network of peft whose factors are all random."""
    torch.manual_seed(0)
    config = peft.LoraConfig(
        r=2,
        lora_alpha=6,
        target_modules=["conv", "first", "last"],
        rank_pattern={"conv": 3, "last": 4},
        lora_dropout=0.3,
    )
    network = peft.get_peft_model(Theirs(), config).eval()
    for name, parameter in network.named_parameters():
        if "lora_" in name:
            torch.nn.init.normal_(parameter, std=0.3)
    return network


def factors_of(tensors, layer):
    """Return the factors of a layer as matrices [inputs, rank] and [rank, outputs]."""
    a, b = (tensors[f"{layer}.lora_{side}.weight"] for side in "AB")
    if a.ndim == 4:  # convolutions [rank, in, height, width] and [out, rank, 1, 1]
        a = a.transpose(2, 3, 1, 0).reshape(-1, len(a))
        return jnn.lora.LowRank(a, b[:, :, 0, 0].T)
    return jnn.lora.LowRank(a.T, b.T)


def test_outputs_and_merged_kernels_are_those_of_peft(peft):
    theirs = adapted_by(peft)
    base = {
        name.removeprefix("base_model.model.").replace(".base_layer", ""): tensor.numpy()
        for name, tensor in theirs.state_dict().items()
        if "lora_" not in name
    }
    tensors = {
        name.removeprefix("base_model.model."): tensor.numpy()
        for name, tensor in peft.get_peft_model_state_dict(theirs).items()
    }
    params, state = jnn.weights.load(base, Ours, family=TABLE)
    ranks = {f"{layer}/*": rank for layer, rank in RANKS.items()}
    adapted = jnn.lora.adapt(Ours, (params, state), "*/kernel", rank=ranks, alpha=6)
    first, _ = adapted.model.init(jax.random.key(0), jnp.ones((1, 5, 5, 2)), shared=adapted.shared)
    for layer, rank in RANKS.items():
        low = factors_of(tensors, layer)
        assert low.lora_a.shape == first[layer]["kernel"].lora_a.shape == (len(low.lora_a), rank)
        first[layer]["kernel"] = low
    x = np.random.default_rng(0).normal(size=(4, 2, 5, 5)).astype(np.float32)
    expected = theirs(torch.tensor(x)).detach().numpy()
    rows = jnp.asarray(x.transpose(0, 2, 3, 1))
    outputs, _ = adapted.model.apply(first, state, rows, shared=adapted.shared)
    np.testing.assert_allclose(outputs, expected, rtol=1e-5, atol=1e-5)

    merged = {
        name: tensor.numpy() for name, tensor in theirs.merge_and_unload().state_dict().items()
    }
    expected, _ = jnn.weights.load(merged, Ours, family=TABLE)
    ours = adapted.merge(first)
    jax.tree.map(
        lambda a, b: np.testing.assert_allclose(a, b, rtol=1e-5, atol=1e-6), ours, expected
    )
