"""Games that cannot be played are told in one sentence; conditional pairs are given labels."""

import functools

import jax.numpy as jnp
import numpy as np
import optax
import pytest

import jnn
from jnn import gan
from tests.games import MLP, RING, study

SHIFT = (lambda key: {"b": jnp.array([0.3, -0.2])}, lambda params, z: z + params["b"])
PLANE = (lambda key: {"w": jnp.array([0.5, 0.7, 0.1])}, lambda params, x: x @ params["w"][:2])
LABELLED = {
    "generator": gan.with_labels(functools.partial(MLP, 5, (4,), 2), 3, 2),
    "discriminator": gan.with_labels(functools.partial(MLP, 4, (4,), 1), 3, 2),
}


def test_a_conditional_pair_is_called_with_labels():
    table = jnp.array([[5.0, 0.0], [0.0, 5.0], [-5.0, 0.0]])

    def generate(params, inputs):
        z, labels = inputs
        return table[labels] + 0.01 * z + params["b"]

    def discriminate(params, inputs):
        x, labels = inputs
        return x @ params["w"][:2] + params["w"][2] * labels

    made = study(
        generator=(SHIFT[0], generate),
        discriminator=(PLANE[0], discriminate),
        latent=2,
        classes=3,
        metrics={},
        epochs=1,
        optimizers=(optax.sgd(0.0), optax.sgd(0.0)),
    )
    result = jnn.run(made, RING, jnn.seeds(2))
    examples = gan.sample(result, 4, labels=[2, 0, 1, 1])
    expected = table[np.array([2, 0, 1, 1])] + np.array([0.3, -0.2])
    assert examples.shape == (2, 4, 2) and np.abs(examples - expected).max() < 0.1
    with pytest.raises(ValueError, match=r"labels must be integers from 0 to 2, .*, got 0 to 3"):
        gan.sample(result, 2, labels=[0, 3])
    with pytest.raises(ValueError, match="one for each of 3 rows, got float64 of the shape"):
        gan.interpolation(result, 3, 2, labels=[0.5, 1.0, 2.0])
    with pytest.raises(ValueError, match=r"needs data with integer labels y \[rows\], got none"):
        jnn.start(made, jnn.Dataset.from_arrays(RING.x), jnn.seeds(1))


@pytest.mark.parametrize(
    ("settings", "kind", "sentence"),
    [
        ({"packing": 3}, ValueError, r"packing must divide batch_size, 16, got 3\."),
        ({"packing": 0}, ValueError, "packing must be a positive integer, got 0"),
        ({"discriminator_steps": 0}, ValueError, "discriminator_steps must be a positive integer"),
        ({"unrolled": -1}, ValueError, "unrolled must be a non-negative integer"),
        ({"optimizers": (optax.sgd(0.1),)}, TypeError, "optimizers must be two optimizers"),
        ({"optimizers": optax.sgd(0.1)}, TypeError, "optimizers must be two optimizers"),
        ({"optimizers": (None, optax.sgd(0.1))}, TypeError, "optimizers must be two optimizers"),
        ({"optimizers": (optax.sgd, optax.sgd(0.1))}, TypeError, "Call it with its learning rate"),
        ({"loss": jnn.losses.squared_error}, TypeError, "loss must be a pair of losses"),
        ({"penalty": lambda x: x}, TypeError, "penalty must be callable as penalty"),
        ({"averaging": jnn.averaging.swa(2)}, ValueError, "updated after each step"),
        ({"targets": None}, TypeError, "jnn.gan.Study has no setting 'targets'"),
        ({"optimizers": (optax.sgd(0.1), 0.1)}, TypeError, r"^optimizers\[1\] must be an Optax"),
        ({"optimizers": (lambda: 0, optax.sgd(0.1))}, TypeError, r"callable as optimizer\(h\)"),
        ({"loss": gan.Adversarial(jnp.sum, lambda: 0)}, TypeError, r"callable as generator\(pred"),
        ({"penalty": 5}, TypeError, "penalty must be a function, penalty"),
        ({"simultaneous": "no"}, TypeError, "simultaneous must be True or False, got 'no'"),
        (
            {"metrics": {"mse": jnn.metrics.mse}},
            ValueError,
            r"metrics\['mse'\] must compare sets",
        ),
        ({"latent": "8"}, TypeError, "latent must be a number of random numbers, a shape"),
        ({"latent": lambda key: 0}, TypeError, "latent must be callable as draw"),
        ({"latent": 0}, ValueError, "latent must be a positive integer"),
        (
            {"simultaneous": True, "discriminator_steps": 2},
            ValueError,
            "must be 1 if the players move simultaneously",
        ),
    ],
)
def test_settings_that_make_no_game_are_told(settings, kind, sentence):
    with pytest.raises(kind, match=sentence):
        study(**settings)


@pytest.mark.parametrize(
    ("settings", "sentence"),
    [
        (
            {"generator": functools.partial(MLP, 3, (4,), 5)},
            r"^The generator must return floats of the data's shape, \[2, 2\] for 2 rows, got "
            r"float32\[2, 5\]\. Change its last layer\.",
        ),
        (
            {"generator": functools.partial(MLP, 4, (4,), 2)},
            r"The model MLP (cannot be initialized for|failed on) x of shape \(2, 3\)",
        ),
        (
            {"discriminator": (PLANE[0], lambda params, x: jnp.sum(x))},
            "^The discriminator must return floats, an output for each of its 2 rows",
        ),
        ({"penalty": lambda critic, real, fake, *, key, h: real @ fake}, "A penalty of the discr"),
        ({"penalty": lambda critic, real, fake, *, key, h: 1.0}, "A penalty must return one value"),
        (
            {"discriminator_steps": 3, "batch_size": 33},
            r"^discriminator_steps \* batch_size must be at most the number of training rows, 96 "
            r"of ring, got 3 \* 33\. Use batch_size=32 or less\.",
        ),
        (
            {"packing": 2, "batch_size": 98},
            "batch_size must be at most .*, 96 of ring, got 98. Use batch_size=96 or less",
        ),
        (
            {"classes": 2},
            "^classes must be at least the number of classes of ring, 3, got 2. Use classes=3",
        ),
        (
            {"loss": gan.Adversarial(lambda p, t: p, jnp.sum)},
            r"^The loss of the generator must return one value for each of the 16 rows",
        ),
        (
            {"latent": lambda key, rows: jnp.zeros(3)},
            r"^latent must be a function draw\(key, rows\)",
        ),
        (
            {"latent": lambda key, rows: jnp.zeros((min(rows, 5), 3))},
            r"^latent must be a .* got the shapes \[\(5, 3\)\] for 16 rows",
        ),
        ({"generator": (SHIFT[0], lambda params, z: (z, params))}, "got a tuple"),
        (
            {"generator": (SHIFT[0], lambda params, z: z[:, :2].astype(int))},
            r"must return floats .*, got int32\[2, 2\]",
        ),
        (
            {"latent": lambda key, rows: jnp.zeros((rows, 3)) + "x"},
            r"^latent failed \(test_gan_inp",
        ),
        ({"penalty": gan.r1(lambda h: "x")}, "The weight of a penalty must be a number 0 or more"),
        ({"loss": gan.Adversarial(lambda p, t: None, lambda p: p)}, "must return one value for ea"),
        ({"classes": 3}, "^The generator of a conditional pair is called with a pair"),
        (
            {"generator": gan.with_labels(functools.partial(MLP, 5, (4,), 2), 3, 2)},
            r"must be called with \(x, labels\), got x alone",
        ),
        (LABELLED | {"classes": 4}, "must have a row for each of the study's 4 classes, got 3 in"),
        (
            {"metrics": {"f": gan.frechet(lambda x: x)}, "samples": 1},
            r"^metrics\['f'\] needs two examples or more, got 1",
        ),
        ({"metrics": {"f": gan.frechet(lambda x: x[:, 0])}}, "^features must return .*rows, dim"),
        (
            {"metrics": {"m": gan.classified_modes(lambda x: x, 2)}},
            r"^classify must return the number of a mode .*, got float32\[24, 2\]",
        ),
        ({"metrics": {"m": gan.modes(np.zeros((4, 3)), 0.1)}}, r"^Examples must be \[rows, 3\]"),
    ],
)
def test_players_that_do_not_fit_are_told_before_compiling(settings, sentence):
    with pytest.raises(ValueError, match=sentence):
        jnn.start(study(**settings), RING, jnn.seeds(1))


@pytest.mark.parametrize(
    ("y", "options", "sentence"),
    [
        (np.arange(96) / 2, {}, r"integer labels y \[rows\], got float32\[96\]"),
        (np.arange(96) % 4 - 1, {"ignore_index": -1}, "got some that may be ignored"),
    ],
)
def test_labels_that_are_no_classes_are_told(y, options, sentence):
    data = jnn.Dataset.from_arrays(RING.x, y, **options)
    with pytest.raises(ValueError, match=sentence):
        jnn.start(study(classes=3, **LABELLED), data, jnn.seeds(1))


def test_the_weight_of_a_penalty_is_a_number_or_a_function_of_numbers():
    for weight in ("x", lambda: 1.0):
        with pytest.raises(TypeError, match=r"^The weight of a penalty must be"):
            gan.r1(weight)
    with pytest.raises(TypeError, match="center must be a number 0 or more"):
        gan.gradient_penalty(1.0, center="x")


def test_a_number_of_the_members_that_no_player_reads_is_told():
    with pytest.raises(ValueError, match=r"Nothing reads the hyper-parameters \['raet'\]"):
        jnn.start(study(), RING, jnn.seeds(1) * jnn.grid(raet=[0.1, 0.2]))


def test_a_result_of_another_study_has_no_samples():
    result = jnn.run(
        jnn.Study(
            functools.partial(MLP, 2, (), 3),
            jnn.losses.softmax_cross_entropy,
            optax.sgd(0.1),
            epochs=1,
        ),
        RING,
    )
    with pytest.raises(ValueError, match="must be that of a study made by"):
        gan.sample(result, 2)
