"""Grids of images and film strips show each example where its labels say."""

import io

import numpy as np
import pytest

from jnn import plots

IMAGES = np.linspace(-1, 1, 2 * 3 * 4 * 4).reshape(2, 3, 4, 4, 1)


def shown(figure):
    return np.asarray(figure.axes[0].images[0].get_array())


def labels(figure):
    (axes,) = figure.axes
    return [
        [label.get_text() for label in each]
        for each in (axes.get_yticklabels(), axes.get_xticklabels())
    ]


def test_images_stand_in_rows_and_columns_from_black_to_white():
    figure = plots.image_grid(IMAGES, rows=["a", "b"], columns=[1, 2, 3], title="$6 images$")
    pixels = shown(figure)
    assert pixels.shape == (8, 12)
    assert pixels[4, 8] == pytest.approx((IMAGES[1, 2, 0, 0, 0] + 1) / 2)
    assert labels(figure) == [["a", "b"], ["1", "2", "3"]]
    assert figure.axes[0].get_title() == r"\$6 images\$"
    assert shown(plots.image_grid(IMAGES[0])).shape == (8, 8)
    assert shown(plots.image_grid(IMAGES, low=0.0, high=9.0)).max() == pytest.approx(1 / 9)


def test_what_is_not_finite_is_white_and_sets_no_scale():
    colors = np.linspace(0, 1, 2 * 2 * 2 * 3).reshape(2, 2, 2, 3)
    colors[0] = np.nan
    pixels = shown(plots.image_grid(colors))
    assert (pixels[:, :2] == 1).all() and (pixels[0, 2, 0], pixels[1, 3, 2]) == (0, 1)
    gray = np.array([np.inf, 1.0, 3.0]).reshape(3, 1, 1, 1)
    np.testing.assert_array_equal(shown(plots.image_grid(gray)), [[1, 0], [1, np.nan]])
    plots.image_grid(np.full((2, 3, 3, 3), np.nan)).savefig(io.BytesIO(), format="png")


def test_labels_may_be_arrays():
    figure = plots.image_grid(IMAGES, rows=np.array([1, 5]), columns=np.arange(3))
    assert labels(figure) == [["1", "5"], ["0", "1", "2"]]


def test_a_film_strip_of_images_shows_the_first_of_each_member_side_by_side():
    frames = np.arange(3 * 2 * 5, dtype=np.float32).reshape(3, 2, 5, 1, 1, 1)
    frames = np.broadcast_to(frames, (3, 2, 5, 7, 7, 1))
    figure = plots.film_strip(frames, [1, 5, 9], members=["seed 4", "seed 7"], each=2)
    pixels = shown(figure)
    assert labels(figure) == [["epoch 1", "epoch 5", "epoch 9"], ["seed 4", "seed 7"]]
    assert figure.axes[0].get_title() == "2 members, 2 images each"
    middle = pixels[7 + 3] * frames[:, :, :2].max()  # of the second look
    assert middle[[3, 10, 18, 25]] == pytest.approx([10, 11, 15, 16])
    assert np.isnan(middle[14]) and np.isnan(middle[29])  # a gap after each member


def test_a_film_strip_of_points_draws_them_in_the_cells_of_their_members():
    corners = np.array([[0, 0], [1, 0], [0, 1], [1, 1]], np.float32)
    frames = np.stack([corners, corners + 100.0, np.full((4, 2), np.nan), corners])
    figure = plots.film_strip(frames.reshape(2, 2, 4, 2), real=corners)
    (axes,) = figure.axes
    real, made = (np.asarray(each.get_offsets()) for each in axes.collections)
    assert len(real) == 16 and len(made) == 8
    high = made[made[:, 1] < 0.5]  # upwards is to the first row
    assert set(np.floor(made[:, 1])) == {0, 1} and len(high) == 2
    assert sorted(map(tuple, np.floor(made).astype(int))) == [(0, 0)] * 4 + [(1, 1)] * 4
    assert [text.get_text() for text in axes.texts] == ["0 in view", "0 in view"]
    assert axes.get_title() == "2 members, 4 points each; gray: 4 real points"
    assert labels(figure) == [["epoch 1", "epoch 2"], ["member 0", "member 1"]]
    nothing = plots.film_strip(np.full((1, 1, 3, 2), np.nan))
    assert nothing.axes[0].get_title() == "1 member, 3 points each"


@pytest.mark.parametrize(
    ("draw", "sentence"),
    [
        (lambda: plots.image_grid(IMAGES[..., 0]), "images must be"),
        (
            lambda: plots.image_grid(IMAGES, rows=["a"]),
            "rows must have a label for each of 2, got 1",
        ),
        (lambda: plots.image_grid(IMAGES, rows=2), "rows must have a label for each of 2, got 2"),
        (lambda: plots.image_grid(IMAGES * 1j), "images must be an array of real numbers"),
        (lambda: plots.image_grid(IMAGES, low=1.0, high=0.0), "low must be below high"),
        (lambda: plots.film_strip([np.zeros((1, 3, 2)), np.zeros((1, 4, 2))]), "rectangular array"),
        (lambda: plots.film_strip(IMAGES[None], real=IMAGES), "real must be points"),
        (lambda: plots.film_strip(IMAGES[None], each=0), "each must be a positive integer"),
        (lambda: plots.film_strip(IMAGES), r"frames must be points .*, got the shape \(2, 3, 4"),
        (
            lambda: plots.film_strip(np.zeros((1, 2, 3, 2)), members=["a"]),
            "members must have a label for each of 2, got 1",
        ),
        (
            lambda: plots.film_strip(np.zeros((2, 1, 3, 2)), [1]),
            "epochs must have a label for each of 2, got 1",
        ),
    ],
)
def test_what_cannot_be_drawn_is_told(draw, sentence):
    with pytest.raises(ValueError, match=sentence):
        draw()
