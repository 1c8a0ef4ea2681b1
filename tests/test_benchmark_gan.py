"""The benchmark of games: jnn and PyTorch do the same work, and nothing is compiled in between."""

import dataclasses

import jax
import jax.numpy as jnp
import numpy as np
import pytest
import scipy.spatial

import jnn
from benchmarks import counters, workloads
from benchmarks.peers import gan
from benchmarks.suites.gan import CASES
from benchmarks.work import Budget, step_flops

pytestmark = pytest.mark.benchmarks

ROWS = 16


def start(work, noise=None):
    """Return the trainer of a workload and its state for one pair, with fixed noise if any."""
    study = gan.make_jnn_study(work, Budget(1, 1, ROWS))
    if noise is not None:
        game = dataclasses.replace(study.trainer, latents=lambda key, rows: noise[:rows])
        study = dataclasses.replace(study, trainer=game)
    trainer = study.trainer(study)
    data = jnn.Data.from_arrays(work.train_x[:ROWS])
    return trainer, trainer.start(jnn.Member(jax.random.key(0), 0, {}), data)


def test_the_energy_distance_is_that_of_its_definition():
    a, b = (np.random.default_rng(i).normal(size=(20, 3)) for i in range(2))
    cross, own, other = (scipy.spatial.distance.cdist(*p).mean() for p in ((a, b), (a, a), (b, b)))
    assert gan.energy_distance(a, b) == pytest.approx(2 * cross - own - other)
    assert gan.energy_distance(a, a) == pytest.approx(0, abs=1e-6)


def test_the_operations_of_a_step_are_those_that_xla_counts():
    work = workloads.gan_ring()
    trainer, state = start(work)
    batch = jnn.Batch(jnp.asarray(work.train_x[:ROWS]), None, None)
    counted = jax.jit(trainer.step).lower(state, batch).cost_analysis()["flops"]
    products = step_flops((*work.layers, *work.again), ROWS)
    assert products < counted < 1.5 * products  # the others are Adam, relu and random numbers


def test_a_game_compiles_nothing_after_its_first_epoch():
    counts = counters.game(members=2)
    assert counts["compilations"] > 0
    assert counts["compilations_later"] == counts["compilations_again"] == 0


@pytest.mark.peers
def test_both_do_the_same_step_of_the_pair_of_points():
    torch = pytest.importorskip("torch")
    from benchmarks.peers import nets_torch

    work = workloads.gan_ring()
    noise = np.random.default_rng(0).normal(size=(ROWS, 2)).astype(np.float32)
    trainer, state = start(work, jnp.asarray(noise))
    players = nets_torch.gan_mlp(2, (2,))
    names = ("generator", "discriminator")
    for name, player in zip(names, players, strict=True):
        copy(state.trained.params[name], player)
    optimizers = gan.make_torch_optimizers(work, players)
    step = jax.jit(trainer.step)
    for number in range(3):
        rows = work.train_x[number * ROWS :][:ROWS]
        state, logs = step(state, jnn.Batch(jnp.asarray(rows), None, None))
        theirs = gan.torch_step(players, optimizers, torch.tensor(rows), torch.tensor(noise))
        for name, loss in zip(names, theirs, strict=True):
            assert float(logs[f"{name}_loss"]) == pytest.approx(loss.item(), abs=1e-5)


@pytest.mark.peers
@pytest.mark.parametrize("workload", [case.job.workload for case in CASES])
def test_both_pairs_have_as_many_parameters(workload):
    pytest.importorskip("torch")
    from benchmarks.peers import nets_torch

    work = workloads.WORKLOADS[workload]()
    study = gan.make_jnn_study(work, Budget(1, 1, ROWS))
    trainer = study.trainer(study)
    member = jnn.Member(jax.random.key(0), 0, {})
    data = jnn.Data.from_arrays(work.train_x[:ROWS])
    params = jax.eval_shape(trainer.start, member, data).trained.params
    shape = np.moveaxis(work.train_x[:1], -1, 1).shape[1:]
    players = nets_torch.GANS[work.network](workloads.GAN_LATENT[work.network], shape)
    for name, player in zip(("generator", "discriminator"), players, strict=True):
        ours = sum(leaf.size for leaf in jax.tree.leaves(params[name]))
        assert ours == sum(p.numel() for p in player.parameters())


def copy(params, net):
    """Give a network of PyTorch the dense layers of ours."""
    import torch

    layers = [layer for layer in net if hasattr(layer, "weight")]
    ours = [*params["hidden"].values(), params["output"]]
    with torch.no_grad():
        for layer, own in zip(layers, ours, strict=True):
            layer.weight.copy_(torch.tensor(np.asarray(own["kernel"]).T))
            layer.bias.copy_(torch.tensor(np.asarray(own["bias"])))
