"""The cell space of NAS-Bench-201: its text, its counts, and its members."""

import functools
import itertools

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from flax import nnx

import jnn
from jnn.models import CELL_OPERATIONS, CellNet, cell_cost, cell_edges, cell_string

# Published by the benchmark's API for CIFAR-10: parameters and FLOPs in millions, of the smallest
# and the largest cell; for CIFAR-100 of the largest.
PUBLISHED = [
    ((0,) * 6, {}, 0.073306, 7.78305),
    ((3,) * 6, {}, 1.531546, 220.11969),
    ((3,) * 6, {"classes": 100}, 1.537396, 220.12554),
]


@pytest.mark.parametrize(("cell", "options", "parameters", "flops"), PUBLISHED)
def test_costs_are_those_that_the_benchmark_publishes(cell, options, parameters, flops):
    cost = cell_cost(cell, **options)
    assert cost.parameters == round(1e6 * parameters)
    assert cost.multiply_adds == pytest.approx(1e6 * flops, abs=5)


def test_the_network_has_the_parameters_of_the_cells_with_both_convolutions_on_each_edge():
    network = nnx.eval_shape(lambda: CellNet(rngs=nnx.Rngs(0)))
    total = sum(a.size for a in jax.tree.leaves(nnx.state(network, nnx.Param)))
    none, small, large = (cell_cost((n,) * 6).parameters for n in (0, 2, 3))
    assert total == small + large - none


def test_text_and_numbers_of_all_cells_are_inverse():
    cells = list(itertools.product(range(5), repeat=6))
    texts = [cell_string(cell) for cell in cells]
    assert len(set(texts)) == 15_625
    assert [cell_edges(text) for text in texts] == cells


WRONG = [
    (lambda: cell_edges("|none~0|"), "text must be a cell such as"),
    (lambda: cell_edges(cell_string([3] * 6).replace("3x3~1", "3x3~2", 1)), "text must be a cell"),
    (
        lambda: cell_edges(cell_string([0] * 6).replace("none", "max_pool_3x3")),
        "Use the operations",
    ),
    (lambda: cell_string([1, 2]), "edges must be 6 whole numbers from 0 to 4"),
    (lambda: cell_cost([0, 0, 0, 0, 0, 5]), "from 0 to 4, got"),
    (lambda: cell_cost([0, 0, 0, 0, 0, 0.5]), "from 0 to 4, got"),
    (lambda: cell_cost([0] * 6, cells=0), "cells must be a positive integer"),
    (lambda: CellNet(0, rngs=nnx.Rngs(0)), "channels must be a positive integer"),
]


@pytest.mark.parametrize(("make", "words"), WRONG)
def test_wrong_cells_get_one_sentence(make, words):
    with pytest.raises(ValueError, match=words):
        make()


def test_a_text_that_is_no_string_is_refused():
    with pytest.raises(TypeError, match="text must be a string, got list"):
        cell_edges([0] * 6)


@pytest.fixture(scope="module")
def network():
    """A tiny network as a function of (params, edges) -> (logits, statistics), and its arrays."""
    model = jnn.as_model(functools.partial(CellNet, 2, 1, 3))
    x = jax.random.normal(jax.random.key(1), (3, 8, 8, 3))
    params, state = jax.jit(model.init)(jax.random.key(0), x)

    def apply(params, edges):
        hyper = {f"edge_{i}": edges[i - 1] for i in range(1, 7)}
        return model.apply(params, state, x, key=None, train=True, hyper=hyper)

    return apply, jax.jit(apply), params, state


def test_operations_that_are_not_chosen_do_nothing(network):
    _, apply, params, before = network
    edges = (2, 0, 1, 3, 4, 3)
    logits, after = apply(params, jnp.array(edges))
    changed = jax.tree.map(np.array, params)
    for size, number in (("conv_1x1", 2), ("conv_3x3", 3)):
        is_chosen = np.array(edges) == number
        for stage in "012":
            moved = after["stages"][stage][size]["var"] != before["stages"][stage][size]["var"]
            assert moved.any((0, 2)).tolist() == is_chosen.tolist()
            changed["stages"][stage][size]["kernel"][:, ~is_chosen] = np.nan
    np.testing.assert_array_equal(apply(changed, jnp.array(edges))[0], logits)


def test_a_member_under_vmap_is_the_member_alone(network):
    function, apply, params, _ = network
    cells = jnp.array([(3, 0, 1, 2, 0, 4), (4, 3, 2, 1, 3, 2), (0,) * 6])
    together = jax.jit(jax.vmap(function, (None, 0)))(params, cells)
    alone = jax.tree.map(lambda *a: np.stack(a), *[apply(params, cell) for cell in cells])
    jax.tree.map(functools.partial(np.testing.assert_allclose, atol=1e-5), together, alone)


def test_an_edge_that_is_no_operation_is_refused_before_training():
    model = jnn.as_model(functools.partial(CellNet, 2, 1, 3))
    with pytest.raises(ValueError, match=r"hyper\['edge_2'\] of CellNet must be a whole number"):
        jnn.model.check_numbers(model, {"edge_2": [1, len(CELL_OPERATIONS)]})


def test_a_mixture_of_one_operation_an_edge_is_the_cell_of_these_operations(network):
    _, apply, params, _ = network
    cell = (3, 1, 2, 4, 0, 3)
    x = jax.random.normal(jax.random.key(1), (3, 8, 8, 3))
    mixed = jnn.as_model(functools.partial(CellNet, 2, 1, 3, mixed=True))
    logits = {f"mixture_edge_{i + 1}": 200.0 * jax.nn.one_hot(n, 5) for i, n in enumerate(cell)}
    shapes, state = jax.eval_shape(mixed.init, jax.random.key(0), x)
    assert set(shapes) == {*params, *logits}
    state = jax.tree.map(lambda a: jnp.zeros(a.shape, a.dtype), state)
    outputs = jax.jit(lambda p: mixed.apply(p, state, x, key=None, train=True)[0])(
        {**params, **logits}
    )
    expected, _ = apply(params, jnp.float32(cell))
    np.testing.assert_allclose(outputs, expected, atol=1e-5)
