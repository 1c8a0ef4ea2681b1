"""jnn.augment against NumPy: what may change, what may not, and how often.

Rates of false alarms are below 1e-6.
"""

import inspect
from functools import partial

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from scipy import stats

from jnn import augment

IMAGES = np.random.default_rng(0).uniform(0.1, 1, (6, 5, 4, 2)).astype(np.float32)
X = jnp.asarray(IMAGES)
KEY = jax.random.key(3)
ONE_HOT = jnp.eye(6)
BYTES = (X * 255).astype(jnp.uint8)
KEYS = jnp.stack([KEY, *jax.random.split(jax.random.key(9), 399)])


def everything(key, alpha):
    """All augmentations in one program, so that it is compiled once."""
    return {
        "flip": augment.flip(X, key=key),
        "crop": augment.crop(X, 2, key=key),
        "cutout": augment.cutout(X, 3, key=key),
        "noise": augment.noise(X, 0.5, key=key),
        "mixup": augment.mixup(X, ONE_HOT, alpha, key=key),
    }


one_member = jax.jit(everything)


@pytest.fixture(scope="module")
def changed():
    return one_member(KEY, 0.4)


@pytest.fixture(scope="module")
def members():
    """What 400 members draw, each from its own key."""
    return jax.jit(jax.vmap(everything, in_axes=(0, None)))(KEYS, 0.4)


def windows_of(image: np.ndarray, padding: int) -> list[np.ndarray]:
    """Every crop that there is of an image reflected by NumPy."""
    height, width, _ = image.shape
    padded = np.pad(image, ((padding, padding), (padding, padding), (0, 0)), mode="reflect")
    places = np.ndindex(2 * padding + 1, 2 * padding + 1)
    return [padded[i : i + height, j : j + width] for i, j in places]


def test_shape_and_type_stay(changed):
    for name in ("flip", "crop", "cutout", "noise"):
        assert (changed[name].shape, changed[name].dtype) == (IMAGES.shape, jnp.float32)
    for change in (augment.flip, partial(augment.crop, padding=1)):
        assert jax.eval_shape(lambda x, f=change: f(x, key=KEY), BYTES).dtype == jnp.uint8


def test_a_key_fixes_the_bits_and_another_changes_them(changed):
    again = one_member(KEY, 0.4)
    other = one_member(KEYS[1], 0.4)
    for name in changed:
        jax.tree.map(np.testing.assert_array_equal, changed[name], again[name])
        first, second = (jax.tree.leaves(drawn[name])[0] for drawn in (changed, other))
        assert not np.array_equal(first, second), name


def test_members_under_vmap_are_a_loop_over_their_keys(members):
    for member in range(2):
        alone = one_member(KEYS[member], 0.4)
        own = jax.tree.map(lambda many, m=member: many[m], members)
        jax.tree.map(partial(np.testing.assert_allclose, rtol=1e-6), own, alone)


def test_flip_mirrors_some_examples_and_leaves_the_others(changed):
    mirrored = [
        np.array_equal(got, image[:, ::-1])
        for got, image in zip(changed["flip"], IMAGES, strict=True)
    ]
    same = [np.array_equal(got, image) for got, image in zip(changed["flip"], IMAGES, strict=True)]
    assert np.array_equal(mirrored, np.logical_not(same)) and 0 < sum(mirrored) < 6
    np.testing.assert_array_equal(augment.flip(X, 1.0, axis=1, key=KEY), IMAGES[:, ::-1])


def test_flip_takes_the_rate_of_a_member():
    x = jnp.tile(jnp.arange(2.0)[:, None], (4000, 1, 1))
    flipped = jax.jit(jax.vmap(lambda rate: augment.flip(x, rate, key=KEY)[:, 0, 0].mean()))(
        jnp.array([0.0, 0.3, 1.0])
    )
    np.testing.assert_allclose(flipped, [0, 0.3, 1], atol=0.04)  # 5 deviations of 4000 draws


def test_every_crop_is_a_window_of_the_reflected_image(changed):
    for got, image in zip(changed["crop"], IMAGES, strict=True):
        assert sum(np.array_equal(got, window) for window in windows_of(image, 2)) == 1


def test_all_places_of_a_crop_are_equally_likely():
    x = jnp.tile(jnp.arange(9.0).reshape(1, 3, 3, 1), (4500, 1, 1, 1))
    moved = jax.jit(lambda x: augment.crop(x, 1, key=KEY))(x)
    corners = np.asarray(moved[:, :, :, 0]).reshape(4500, 9)
    windows = np.stack(windows_of(np.arange(9.0).reshape(3, 3, 1), 1)).reshape(9, 9)
    counts = (corners[:, None] == windows).all(-1).sum(0)
    assert counts.sum() == 4500 and stats.chisquare(counts).pvalue > 1e-6


def test_a_crop_of_a_series_shifts_it_in_time():
    series = np.arange(7.0).reshape(1, 7, 1)
    many = jnp.asarray(np.tile(series, (40, 1, 1)))
    moved = np.asarray(jax.jit(lambda x: augment.crop(x, 2, key=KEY))(many))[..., 0]
    padded = np.pad(series[0, :, 0], 2, mode="reflect")
    assert {tuple(row) for row in moved} == {tuple(padded[i : i + 7]) for i in range(5)}


@pytest.mark.parametrize("size", [2, 3])
def test_cutout_zeroes_one_square_cut_off_at_the_edge(size):
    x = jnp.ones((3000, 5, 4, 2))
    holes = np.asarray(jax.jit(partial(augment.cutout, key=KEY))(x, size)) == 0
    assert np.array_equal(holes[..., 0], holes[..., 1])
    expected = set()
    for i, j in np.ndindex(5, 4):  # the centers
        hole = np.zeros((5, 4), bool)
        top, left = i - size // 2, j - size // 2
        hole[max(top, 0) : top + size, max(left, 0) : left + size] = True
        expected.add(hole.tobytes())
    assert {hole.tobytes() for hole in holes[..., 0]} == expected


def test_noise_is_normal_with_the_given_deviation():
    x = jnp.full((100, 200), 3.0)
    added = np.asarray(augment.noise(x, jnp.array(0.5), key=KEY) - x).ravel() / 0.5
    assert stats.kstest(added, "norm").pvalue > 1e-6
    assert augment.noise(x.astype(jnp.bfloat16), 0.5, key=KEY).dtype == jnp.bfloat16


def test_mixup_mixes_targets_as_it_mixes_inputs(changed):
    x, targets = changed["mixup"]
    np.testing.assert_allclose(targets.sum(-1), 1, rtol=1e-6)
    np.testing.assert_allclose(x, np.einsum("bo,ohwc->bhwc", targets, IMAGES), rtol=1e-5)


def test_the_shares_of_mixup_are_beta_distributed(members):
    _, targets = members["mixup"]  # [members, mixed, source]
    own = np.diagonal(targets, axis1=1, axis2=2).ravel()
    shares = own[own < 1]  # 1 where an example is its own partner
    assert len(shares) > 1900
    assert stats.kstest(shares, stats.beta(0.4, 0.4).cdf).pvalue > 1e-6
    # Each example is part of itself and of that which has it as partner.
    assert ((np.asarray(targets) > 0).sum(1) <= 2).all()


def test_mixup_of_alpha_0_changes_nothing():
    x, targets = one_member(KEY, 0.0)["mixup"]
    np.testing.assert_array_equal(x, IMAGES)
    np.testing.assert_array_equal(targets, ONE_HOT)


@pytest.mark.parametrize(
    ("call", "kind", "sentence"),
    [
        (
            lambda: augment.crop(X, 4, key=KEY),
            ValueError,
            "padding must be less than each size of space, got padding 4",
        ),
        (
            lambda: augment.crop(X[:, 0, 0], 1, key=KEY),
            ValueError,
            r"x must be \[batch, \*space, channels\]",
        ),
        (
            lambda: augment.cutout(X[:, 0, 0], 1, key=KEY),
            ValueError,
            r"x must be \[batch, \*space, channels\]",
        ),
        (
            lambda: augment.mixup(X, jnp.arange(6), 0.4, key=KEY),
            TypeError,
            r"got int32. Pass jax.nn.one_hot\(y, classes\)",
        ),
        (
            lambda: inspect.unwrap(augment.mixup)(BYTES, ONE_HOT, 0.4, key=KEY),
            TypeError,
            "x must be of floating point, got uint8",
        ),
        (
            lambda: inspect.unwrap(augment.noise)(BYTES, 0.5, key=KEY),
            TypeError,
            "x must be of floating point, got uint8",
        ),
        (
            lambda: augment.flip(X, axis=0, key=KEY),
            ValueError,
            "axis must be an axis of the examples, got axis 0",
        ),
        (
            lambda: augment.flip(X, axis=4, key=KEY),
            ValueError,
            "axis must be an axis of the examples, got axis 4",
        ),
    ],
)
def test_what_cannot_be_changed_is_one_sentence(call, kind, sentence):
    with pytest.raises(kind, match=sentence):
        call()
