"""Zero-cost scores: closed forms, the forms of a network, and what is refused.

test_zero_cost_peers.py compares them with PyTorch.
"""

import functools

import flax.linen as nn
import jax
import jax.numpy as jnp
import numpy as np
import pytest

import jnn
from jnn.search import zero_cost

ROWS, CLASSES = 6, 3


@pytest.fixture(scope="module")
def batch():
    random = np.random.default_rng(0)
    x = random.normal(size=(ROWS, 4)).astype(np.float32)
    return x, random.integers(0, CLASSES, ROWS)


@pytest.fixture(scope="module")
def kernels():
    random = np.random.default_rng(1)
    return [random.normal(size=shape).astype(np.float32) for shape in ((4, 5), (5, CLASSES))]


def linear(params, x):
    return x @ params["first"] @ params["second"]


def by_hand(kernels, x, y):
    """Gradient and scores of the cross-entropy of a linear network, in float64."""
    first, second, x = (a.astype(np.float64) for a in (*kernels, x))
    hidden = x @ first
    logits = hidden @ second
    shares = np.exp(logits) / np.exp(logits).sum(1, keepdims=True)
    error = (shares - np.eye(CLASSES)[y]) / len(x)
    at_hidden = error @ second.T
    grads = [x.T @ at_hidden, hidden.T @ error]
    parts = [(hidden, at_hidden, 4), (logits, error, 5)]
    return {
        "grad_norm": sum(np.linalg.norm(g) for g in grads),
        "snip": sum(np.abs(w * g).sum() for w, g in zip((first, second), grads, strict=True)),
        "fisher": sum(n / 2 * ((a * g) ** 2).mean(0).sum() for a, g, n in parts),
    }


@pytest.mark.parametrize("name", ["grad_norm", "snip", "fisher"])
def test_scores_of_a_gradient_are_those_by_hand(kernels, batch, name):
    params = dict(zip(("first", "second"), kernels, strict=True))
    score = getattr(zero_cost, name)(linear, params, *batch)
    np.testing.assert_allclose(score, by_hand(kernels, *batch)[name], rtol=1e-5)


def test_grasp_of_a_quadratic_loss_is_minus_w_h_h_w():
    # L = |w|^2_A / 2 has the gradient A w and the Hessian A.
    random = np.random.default_rng(0)
    root = random.normal(size=(4, 4))
    a, w = root @ root.T, random.normal(size=(4, 1))

    def loss(outputs, y):
        return 0.5 * (outputs[:, 0] ** 2) * len(y)

    x = np.linalg.cholesky(a).T.astype(np.float32)  # |x w|^2 = w^T A w
    score = zero_cost.grasp(
        lambda params, x: x @ params["w"], {"w": jnp.float32(w)}, x, np.zeros(4), loss=loss
    )
    np.testing.assert_allclose(score, -(w.T @ a @ a @ w).item(), rtol=1e-4)


def test_the_flow_of_a_linear_network_is_that_of_each_layer(kernels, batch):
    flow = np.abs(kernels[0]).astype(np.float64).sum(0) @ np.abs(kernels[1]).sum(1)
    params = dict(zip(("first", "second"), kernels, strict=True))
    score = zero_cost.synflow(linear, params, batch[0])
    np.testing.assert_allclose(score, 2 * flow, rtol=1e-6)  # R is of degree 1 in each layer


def test_a_flow_beyond_float32_is_a_number():
    deep = jnp.full((50, 8, 8), 10.0)
    apply = jax.jit(lambda params, x: jax.lax.scan(lambda h, w: (h @ w, None), x, params["w"])[0])
    score = jax.jit(functools.partial(zero_cost.synflow, apply))({"w": deep}, jnp.ones((2, 8)))
    assert score.dtype == jnp.float64
    np.testing.assert_allclose(score, 50 * 8 * 80.0**50, rtol=1e-9)


def test_jacobians_that_are_uncorrelated_have_eigenvalues_of_one():
    rows = np.array([[1, -1, 1, -1], [1, 1, -1, -1], [1, -1, -1, 1]], np.float32)

    def apply(params, x):
        return x * rows * params  # the Jacobian of row i is rows[i]

    score = zero_cost.jacob_cov(apply, jnp.ones(()), jnp.zeros((3, 4)))
    np.testing.assert_allclose(score, -3 * (np.log(1 + 1e-5) + 1 / (1 + 1e-5)), rtol=1e-9)


def relus(params, x):
    def layer(x, kernel):
        return jax.lax.switch(1, [lambda x: x, lambda x: jax.nn.relu(x @ kernel)], x), None

    x, _ = jax.lax.scan(jax.checkpoint(layer), x, params["kernels"])
    return jnp.maximum(x, 0) @ params["output"]


@pytest.fixture(scope="module")
def deep(batch):
    random = np.random.default_rng(2)
    params = {"kernels": random.normal(size=(3, 4, 4)), "output": random.normal(size=(4, 3))}
    return jax.tree.map(jnp.float32, params)


def test_naswot_counts_the_relus_inside_loops_and_branches(deep, batch):
    x, kernel = batch[0].astype(np.float64), 0
    for weight in np.asarray(deep["kernels"], np.float64):
        x = np.maximum(x @ weight, 0)
        kernel = kernel + agreement(x)
    kernel = kernel + agreement(x)
    score = jax.jit(functools.partial(zero_cost.naswot, relus))(deep, batch[0])
    np.testing.assert_allclose(score, np.linalg.slogdet(kernel)[1], rtol=1e-9)


def agreement(x):
    active = x > 0
    return (active[:, None] == active[None]).sum(-1).astype(float)


def test_fisher_of_a_loop_is_that_of_its_layers_one_by_one(deep, batch):
    def unrolled(params, x):
        for kernel in params["kernels"]:
            x = jax.nn.relu(x @ kernel)
        return jnp.maximum(x, 0) @ params["output"]

    one, other = (zero_cost.fisher(apply, deep, *batch) for apply in (relus, unrolled))
    np.testing.assert_allclose(one, other, rtol=1e-5)


def test_stacked_layers_have_a_norm_each(deep, batch):
    def listed(params, x):
        return relus({**params, "kernels": jnp.stack(params["kernels"])}, x)

    lists = {**deep, "kernels": list(deep["kernels"])}
    one = zero_cost.grad_norm(relus, deep, *batch, stacked={"kernels": 1})
    np.testing.assert_allclose(one, zero_cost.grad_norm(listed, lists, *batch), rtol=1e-6)


class Choice(nn.Module):
    """A network whose first layer is computed if `use` is 1."""

    @nn.compact
    def __call__(self, x, train=True):
        use = self.variable("hyper", "use", lambda: jnp.float32(1))
        y = nn.relu(nn.BatchNorm(use_running_average=not train)(nn.Dense(24)(x)))
        return nn.Dense(CLASSES)(jnp.where(use.value == 1, y, nn.Dense(24)(x)))


CHOICE = Choice()


@pytest.fixture(scope="module")
def choices(batch):
    return zero_cost.scores(CHOICE, *batch, {"use": [1, 0, 1]})


def test_all_scores_of_the_members_of_a_network_come_from_one_program(choices):
    assert set(choices) == set(zero_cost.__all__) - {"scores"}
    for name, values in choices.items():
        assert values.shape == (3,) and values.dtype == np.float64
        assert np.isfinite(values).all(), name
        assert len(set(values)) == 3 or name in ("naswot", "jacob_cov")


def test_a_score_depends_on_the_key_and_not_on_the_other_members(choices, batch):
    others = zero_cost.scores(CHOICE, *batch, {"use": [1, 1, 1]})
    for name in choices:
        assert choices[name][0] == others[name][0]
    assert choices["snip"][1] != others["snip"][1]


def pair(apply, *shapes):
    def init(key, x):
        return {f"kernel{i}": jnp.ones(shape) for i, shape in enumerate(shapes)}

    return init, apply


LINEAR = pair(lambda params, x: x @ params["kernel0"], (4, CLASSES))
CALLS = [
    ({"network": pair(lambda params, x: x)}, "params must hold weights"),
    ({"by": ("naswot",)}, "must have ReLUs, max"),
    ({"network": pair(lambda p, x: x * p["kernel0"][0], (3, 4)), "by": "fisher"}, "linear layers"),
    ({"by": ("jacob_cov",), "rows": 1}, "x must hold at least 2 rows for jacob_cov"),
    ({"by": ("naswot",), "rows": 1}, "x must hold at least 2 rows for naswot"),
    ({"rows": 0}, "the same rows, one at least, got shapes"),
    ({"y": np.arange(5) % 3}, "the same rows, one at least"),
    (
        {"y": np.full(ROWS, 3)},
        "y must hold labels from 0 to 2, as the network has 3 outputs, got 3",
    ),
    ({"y": np.full(ROWS, -1)}, "y must hold labels from 0 to 2"),
    ({"by": "gradnorm"}, "by must name scores among grad_norm, snip"),
    ({"by": ()}, "by must name scores among"),
    ({"settings": {"a": [1, 2], "b": [1]}}, "lists of equal length"),
    ({"settings": {"a": []}}, "lists of equal length"),
    ({"settings": {"a": ["one"]}}, r"settings\['a'\] must be"),
    ({"by": "grad_norm", "stacked": {"stages": 1}}, "stacked must name parts of the paths"),
    ({"by": "grad_norm", "stacked": {"kernel0": 2}}, "stacked must leave kernel0 of shape"),
    ({"settings": {"use": [1]}}, "numbers that the network reads, got use"),
]


@pytest.mark.parametrize(
    ("call", "words"), CALLS, ids=lambda value: value if isinstance(value, str) else ""
)
def test_what_a_score_cannot_use_gets_one_sentence(batch, call, words):
    x, y = (a[: call.pop("rows", ROWS)] if "rows" in call else a for a in batch)
    rows = len(x)
    settings = call.pop("settings", None)
    options = {"by": ("snip",), **call}
    network, y = options.pop("network", LINEAR), options.pop("y", y[:rows])
    with pytest.raises((ValueError, TypeError), match=words):
        zero_cost.scores(network, x, y, settings, **options)


def test_a_network_that_is_trained_by_a_while_loop_is_refused(batch):
    def apply(params, x):
        return jax.lax.while_loop(lambda h: h.sum() < 9, lambda h: h @ params["kernel0"], x)

    with pytest.raises(ValueError, match="must not be inside while"):
        zero_cost.fisher(apply, {"kernel0": jnp.eye(4)}, *batch)


def test_a_setting_that_is_no_choice_is_refused(batch):
    network = functools.partial(jnn.models.SuperMLP, 4, 3, 2, CLASSES)
    with pytest.raises(ValueError, match="depth"):
        zero_cost.scores(network, *batch, {"depth": [1, 3]}, by="snip")


@pytest.mark.parametrize("name", ["jacob_cov", "synflow"])
def test_tokens_have_no_derivative(name):
    tokens = np.zeros((4, 4), np.int32)
    with pytest.raises(TypeError, match=f"floating-point numbers for {name}"):
        zero_cost.scores(LINEAR, tokens, np.zeros(4, np.int32), by=name)
