"""Pairs of a generator and a discriminator: jnn and PyTorch play the same game.

Each step updates the discriminator on a batch of real and one of generated examples, then the
generator on the same generated ones, by non-saturating losses and Adam, as PyTorch's DCGAN example
does. The score of a pair is the energy distance of its examples to rows that it has not seen.
"""

from collections.abc import Callable
from functools import partial
from typing import NamedTuple

import numpy as np

from benchmarks.work import Budget, Workload
from benchmarks.workloads import GAN_LATENT, GAN_MAPS, GAN_WIDTH

Job = Callable[[int], list[float]]


class Game(NamedTuple):
    """Numbers of both players' Adam."""

    rate: float
    b1: float


GAMES = {"gan_mlp": Game(1e-3, 0.8), "dcgan": Game(2e-4, 0.5)}


def energy_distance(a: np.ndarray, b: np.ndarray) -> float:
    """Return 2 E|x - y| - E|x - x'| - E|y - y'| of rows x of a and y of b.

    Székely and Rizzo (2013), https://doi.org/10.1016/j.jspi.2013.03.018
    """

    def mean_distance(a: np.ndarray, b: np.ndarray) -> float:
        squares = (a**2).sum(1)[:, None] + (b**2).sum(1) - 2 * a @ b.T
        return float(np.sqrt(np.maximum(squares, 0)).mean())

    a, b = (np.reshape(rows, (len(rows), -1)).astype(np.float64) for rows in (a, b))
    return 2 * mean_distance(a, b) - mean_distance(a, a) - mean_distance(b, b)


def jnn(work: Workload, budget: Budget) -> Job:
    """jnn: a population by `jnn.gan.Study`."""
    import jnn

    jnn.use_cpu_cores()
    study = make_jnn_study(work, budget)
    data = jnn.Dataset.from_arrays(work.train_x)

    def job(first_seed):
        result = jnn.run(study, data, jnn.seeds(budget.members, first=first_seed))
        examples = jnn.gan.sample(result, len(work.test_x), seed=first_seed)
        return [energy_distance(each, work.test_x) for each in examples]

    return job


def make_jnn_study(work: Workload, budget: Budget):
    """Return the study of a workload."""
    import optax

    import jnn

    models = jnn.models
    game = GAMES[work.network]
    latent = GAN_LATENT[work.network]
    widths = (GAN_WIDTH, GAN_WIDTH)
    shape = work.train_x.shape[1:]
    images = {"shape": shape, "width": GAN_MAPS}
    generator, discriminator = {
        "gan_mlp": (partial(models.MLP, latent, widths, 2), partial(models.MLP, 2, widths, 1)),
        "dcgan": (
            partial(models.DCGANGenerator, **images, noise=latent),
            partial(models.DCGANDiscriminator, **images),
        ),
    }[work.network]
    return jnn.gan.Study(
        generator,
        discriminator,
        latent=latent,
        optimizers=(optax.adam(game.rate, b1=game.b1), optax.adam(game.rate, b1=game.b1)),
        epochs=budget.epochs,
        batch_size=budget.batch_size,
    )


def torch(work: Workload, budget: Budget) -> Job:
    """PyTorch: one pair after the other, eager, fused Adam; images are stored channels last."""
    import torch

    from benchmarks.peers import nets_torch
    from benchmarks.peers.population_loops import train_each

    x = nets_torch.tensors(work.train_x, work.train_y)[0]
    latent = GAN_LATENT[work.network]

    def train(seed):
        torch.manual_seed(seed)
        players = nets_torch.GANS[work.network](latent, x.shape[1:])
        optimizers = make_torch_optimizers(work, players)
        for _ in range(budget.epochs):
            for rows in torch.randperm(len(x)).split(budget.batch_size):
                noise = torch.randn(len(rows), latent)
                torch_step(players, optimizers, x[rows], noise)
        return score(players[0])

    @torch.inference_mode()
    def score(generator):
        examples = generator.eval()(torch.randn(len(work.test_x), latent))
        if examples.ndim == 4:
            examples = examples.permute(0, 2, 3, 1)
        return energy_distance(examples.numpy(), work.test_x)

    return train_each(train, budget)


def make_torch_optimizers(work: Workload, players):
    """Return PyTorch's Adam of each player."""
    import torch

    game = GAMES[work.network]
    options = {"lr": game.rate, "betas": (game.b1, 0.999), "fused": True}
    return [torch.optim.Adam(player.parameters(), **options) for player in players]


def torch_step(players, optimizers, real, noise):
    """Update the discriminator, then the generator; return the loss of each, the generator's first.

    The discriminator needs no gradients of its own parameters while the generator learns.
    """
    from torch.nn.functional import softplus

    generator, discriminator = players
    for optimizer in optimizers:
        optimizer.zero_grad(set_to_none=True)
    generated = generator(noise)
    judging = softplus(-discriminator(real)).mean()
    judging = judging + softplus(discriminator(generated.detach())).mean()
    judging.backward()
    optimizers[1].step()
    discriminator.requires_grad_(False)
    fooling = softplus(-discriminator(generated)).mean()
    fooling.backward()
    optimizers[0].step()
    discriminator.requires_grad_(True)
    return fooling.detach(), judging.detach()
