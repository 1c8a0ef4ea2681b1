"""Five steps of a game beside the same game in PyTorch, from the same weights and noise."""

import functools

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest
from flax import nnx

import jnn
from jnn import gan

pytestmark = pytest.mark.peers
torch = pytest.importorskip("torch")

ROWS, NOISE, STEPS = 16, 3, 5
X = np.random.default_rng(0).normal(size=(STEPS * ROWS, 4)).astype(np.float32)
NOISES = np.random.default_rng(1).normal(size=(ROWS, NOISE)).astype(np.float32)


class Generator(nnx.Module):
    """Linear, batch norm, relu, linear."""

    def __init__(self, rngs):
        self.first = jnn.modules.Dense(NOISE, 6, use_bias=False, rngs=rngs)
        self.norm = jnn.modules.BatchNorm(6, momentum=0.9, rngs=rngs)
        self.last = jnn.modules.Dense(6, 4, rngs=rngs)

    def __call__(self, z):
        return self.last(jax.nn.relu(self.norm(self.first(z))))


def copy(layer, params):
    with torch.no_grad():
        layer.weight.copy_(torch.tensor(np.asarray(params.get("kernel", params.get("scale"))).T))
        if layer.bias is not None:
            layer.bias.copy_(torch.tensor(np.asarray(params["bias"])))


def networks(params):
    """Return both networks of PyTorch with the weights of ours."""
    generator = torch.nn.Sequential(
        torch.nn.Linear(NOISE, 6, bias=False),
        torch.nn.BatchNorm1d(6),
        torch.nn.ReLU(),
        torch.nn.Linear(6, 4),
    )
    ours = params["generator"]
    for place, name in ((0, "first"), (1, "norm"), (3, "last")):
        copy(generator[place], ours[name])
    packing = params["discriminator"]["hidden"]["0"]["kernel"].shape[0] // 4
    discriminator = torch.nn.Sequential(
        torch.nn.Linear(4 * packing, 5), torch.nn.ReLU(), torch.nn.Linear(5, 1)
    )
    copy(discriminator[0], params["discriminator"]["hidden"]["0"])
    copy(discriminator[2], params["discriminator"]["output"])
    return generator, discriminator, packing


def train_torch(params, *, gamma):
    """Alternate both players as PyTorch's DCGAN example does; return the weights."""
    generator, discriminator, packing = networks(params)
    bce = torch.nn.functional.binary_cross_entropy_with_logits
    players = (generator, discriminator)
    adams = [torch.optim.Adam(p.parameters(), lr=1e-2, betas=(0.5, 0.999)) for p in players]
    noise = torch.tensor(NOISES)
    for step in range(STEPS):
        real = torch.tensor(X[step * ROWS : (step + 1) * ROWS]).reshape(-1, 4 * packing)
        real.requires_grad_()
        fake = generator(noise)
        packed = fake.reshape(-1, 4 * packing)
        on_real, on_fake = discriminator(real), discriminator(packed.detach())
        loss = bce(on_real, torch.ones_like(on_real)) + bce(on_fake, torch.zeros_like(on_fake))
        (slope,) = torch.autograd.grad(on_real.sum(), real, create_graph=True)
        loss = loss + gamma / 2 * slope.pow(2).sum(1).mean()
        adams[1].zero_grad()
        loss.backward()
        adams[1].step()
        adams[0].zero_grad()
        on_fake = discriminator(packed)
        bce(on_fake, torch.ones_like(on_fake)).backward()
        adams[0].step()
    return generator, discriminator


@pytest.mark.parametrize(("packing", "gamma"), [(1, 0.0), (2, 0.5)])
def test_five_steps_are_those_of_pytorch(packing, gamma):
    study = gan.Study(
        Generator,
        functools.partial(jnn.models.MLP, 4 * packing, (5,), 1),
        latent=lambda key, rows: jnp.asarray(NOISES[:rows]),
        optimizers=(optax.adam(1e-2, b1=0.5),) * 2,
        packing=packing,
        penalty=gan.r1(gamma),
        epochs=1,
        batch_size=ROWS,
        order="sequential",
    )
    data = jnn.Data.from_arrays(X)
    trainer = study.trainer(study)
    start = trainer.start(jnn.Member(jax.random.key(0), 0, {}), data)
    step = jax.jit(trainer.step)
    state = start
    for number in range(STEPS):
        rows = X[number * ROWS : (number + 1) * ROWS]
        state, _ = step(state, jnn.Batch(jnp.asarray(rows), None, None))
    generator, discriminator = train_torch(start.trained.params, gamma=gamma)
    ours = state.trained.params
    for layer, params in (
        (generator[0], ours["generator"]["first"]),
        (generator[3], ours["generator"]["last"]),
        (discriminator[0], ours["discriminator"]["hidden"]["0"]),
        (discriminator[2], ours["discriminator"]["output"]),
    ):
        kernel = layer.weight.detach().numpy().T
        np.testing.assert_allclose(params["kernel"], kernel, rtol=1e-3, atol=1e-5)
    moved = np.abs(
        ours["generator"]["last"]["kernel"] - start.trained.params["generator"]["last"]["kernel"]
    )
    assert moved.max() > 0.01
    mean = state.trained.model_state["generator"]["norm"]["mean"]
    np.testing.assert_allclose(mean, generator[1].running_mean.numpy(), rtol=1e-3, atol=1e-5)
