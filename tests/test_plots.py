"""Figures show the numbers that they were given, and say how many they are."""

import io
import re
from types import SimpleNamespace

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest
import scipy.stats
from matplotlib.colors import to_rgb
from matplotlib.figure import Figure
from sklearn.calibration import calibration_curve
from sklearn.metrics import roc_auc_score, roc_curve

import jnn
from jnn import plots
from jnn.plots._loss_surface import _filter_normalized
from jnn.result import Prediction

RNG = np.random.default_rng(0)


def drawn(figure):
    """Return the axes of a figure that can be written; warnings are errors."""
    figure.savefig(io.BytesIO(), format="png", dpi=30)
    return figure.axes


def texts(labels):
    return [label.get_text() for label in labels]


def lines_of(axes, width):
    """Return the vertices of the contours of this width, one array for each."""
    sets = [c for c in axes.collections if c.get_linewidth()[0] == pytest.approx(width)]
    return [np.concatenate([path.vertices for path in c.get_paths()]) for c in sets]


def predicting(function, classes):
    """Return what a figure reads of a result whose members predict `function(x)`."""
    schema = SimpleNamespace(task="classification", classes=classes)
    predict = lambda x: Prediction(function(np.float64(x)), None, None)  # noqa: E731
    return SimpleNamespace(schema=schema, predict=predict)


def plane(classes=2, **fields):
    x = RNG.normal(size=(30, 2)).astype(np.float32) * [3, 1]
    y = np.arange(30) % classes
    return jnn.Dataset.from_arrays(x, y, name="cloud", **fields)


def test_the_boundary_of_each_member_is_in_the_units_of_the_data():
    def init(key):
        return {"at": jax.random.uniform(key, minval=-0.5, maxval=0.5)}

    def apply(params, x):
        return 4 * (x[:, :1] - params["at"]) * jnp.array([-0.5, 0.5])

    data = plane(feature_names=["age", "size"], target_names=["no", "yes"])
    study = jnn.Study(
        model=(init, apply),
        loss=jnn.losses.softmax_cross_entropy,
        optimizer=optax.set_to_zero(),
        epochs=1,
        batch_size=30,
        inputs=jnn.preprocess.standardize,
    )
    result = jnn.run(study, data, jnn.seeds(4))
    axes, bar = drawn(plots.decision_boundary(result, data, points=60))
    age = data.x[:, 0]
    wanted = result.trained.params["at"] * age.std() + age.mean()
    thin = lines_of(axes, 0.6)
    assert len(thin) == 4
    for line, at in zip(thin, wanted, strict=True):
        np.testing.assert_allclose(line[:, 0], at, atol=0.01)
    (thick,) = lines_of(axes, 2.2)
    assert wanted.min() < thick[:, 0].min() <= thick[:, 0].max() < wanted.max()
    assert (axes.get_xlabel(), axes.get_ylabel()) == ("age", "size")
    assert bar.get_ylabel() == "mean probability of yes"
    assert axes.get_title().startswith("cloud, 30 rows; 4 members\n")
    shown = axes.images[0].get_array()
    assert shown[0, 0] < 0.1 and shown[-1, -1] > 0.9
    assert texts(axes.get_legend().get_texts()) == ["no", "yes"]


def test_three_classes_meet_where_the_most_probable_one_changes():
    def probabilities(x):  # the classes are the sectors x0 < 0, and beyond it x1 < 0 and x1 > 0
        logits = 5 * np.stack([-x[:, 0], x[:, 0] - x[:, 1], x[:, 0] + x[:, 1]], axis=1)
        return scipy.special.softmax(logits, axis=1)[None]

    data = plane(3, target_names=["left", "low", "high"])
    figure = Figure()
    left, right = figure.subplots(1, 2)
    where = ((-2, 2), (-2, 2))
    result = predicting(probabilities, 3)
    assert plots.decision_boundary(result, data, where=where, axes=right) is figure
    assert drawn(figure) == [left, right] and not left.has_data()
    assert right.get_xlim() == (-2, 2) and right.get_ylim() == (-2, 2)
    image = right.images[0].get_array()
    order = [to_rgb(points.get_facecolor()[0]) for points in right.collections[-3:]]
    for (row, column), color in zip([(60, 5), (5, 115), (115, 115)], order, strict=True):
        hue = 1 - image[row, column]
        np.testing.assert_allclose(
            hue / hue.max(), (1 - np.array(color)) / np.max(1 - np.array(color)), atol=0.02
        )
    for line in lines_of(right, 2.2):
        x, y = line.T
        meets = np.where(x > 0.1, np.abs(y), np.minimum(np.abs(y), np.abs(2 * x + np.abs(y))))
        meets = np.where(x < -0.1, np.abs(2 * x + np.abs(y)), meets)
        assert meets.max() < 0.05
    assert [len(points.get_offsets()) for points in right.collections[-3:]] == [10, 10, 10]
    assert right.get_title() == "cloud, 30 rows; 1 member"


def test_a_member_that_diverged_is_left_out_of_the_mean():
    def probabilities(x):
        right = scipy.special.expit(4 * x[:, 0])
        good = np.stack([1 - right, right], axis=1)
        return np.stack([good, np.full_like(good, np.nan)])

    axes, _ = drawn(plots.decision_boundary(predicting(probabilities, 2), plane(), points=20))
    assert axes.get_title() == "cloud, 30 rows; 1 member, 1 not finite left out"
    (line,) = lines_of(axes, 2.2)
    np.testing.assert_allclose(line[:, 0], 0, atol=0.05)


def test_the_loss_of_two_parameters_is_drawn_at_their_values():
    def loss(params):
        return (params["a"] - 1) ** 2 + 4 * params["b"] ** 2 + 1

    steps = {"a": jnp.array([1.0, 2.0, 3.0]), "b": jnp.array([2.0, 1.0, 0.0])}
    paths = {"stacked": steps, "places": np.array([[1.0, 2.0], [3.0, 0.0]])}
    params = {"a": jnp.float32(1), "b": jnp.float32(0)}
    axes, bar = drawn(plots.loss_surface(loss, params, paths=paths))
    assert (axes.get_xlabel(), axes.get_ylabel(), bar.get_ylabel()) == ("a", "b", "loss")
    assert axes.get_xlim() == pytest.approx((1 - 2.2, 1 + 2.2))  # as far as the paths go
    assert "101 x 101 points" in axes.get_title() and "2 paths" in axes.get_title()
    filled, contours = axes.collections
    assert filled.get_clim() == pytest.approx((1, 1 + 2.2**2 * 5))
    for level, path in zip(contours.levels[1:-1], contours.get_paths()[1:-1], strict=True):
        a, b = path.vertices.T
        np.testing.assert_allclose(loss({"a": a, "b": b}), level, rtol=0.02)
    lines = {line.get_label(): line.get_xydata() for line in axes.lines}
    np.testing.assert_allclose(lines["stacked"], [[1, 2], [2, 1], [3, 0]], atol=1e-5)
    np.testing.assert_allclose(lines["places"], paths["places"])


def test_given_directions_lead_to_other_members():
    shapes = {"kernel": (3, 4), "bias": (4,)}
    a, b, c = (
        {name: jnp.asarray(RNG.normal(size=shape), jnp.float32) for name, shape in shapes.items()}
        for _ in range(3)
    )
    to = [jax.tree.map(jnp.subtract, other, a) for other in (b, c)]

    def loss(params):
        return sum(jnp.sum((params[name] - b[name]) ** 2) for name in shapes)

    figure = plots.loss_surface(loss, a, directions=to, span=1.5, points=7, paths=[[a, b, c]])
    axes, _ = drawn(figure)
    path = axes.lines[0].get_xydata()
    np.testing.assert_allclose(path, [[0, 0], [1, 0], [0, 1]], atol=1e-5)
    assert axes.collections[0].zmin == pytest.approx(0, abs=1e-4)  # at b
    assert "given directions" in axes.get_title()


def test_random_directions_have_the_norm_of_each_filter():
    params = {"conv": jnp.arange(1.0, 17).reshape(2, 2, 2, 2), "bias": jnp.ones(2)}
    direction = _filter_normalized(params, jax.random.key(0))
    norms = [jnp.sqrt(jnp.sum(tree["conv"] ** 2, axis=(0, 1, 2))) for tree in (params, direction)]
    np.testing.assert_allclose(*norms, rtol=1e-5)
    assert not direction["bias"].any()
    vector = _filter_normalized(jnp.ones(5), jax.random.key(0))  # there are no others
    assert jnp.linalg.norm(vector) == pytest.approx(5**0.5, rel=1e-5)


def test_depth_is_drawn_by_the_root_mean_square_of_each_member():
    layers = {"first": RNG.normal(size=(9, 4, 5)), "2": np.full((9, 3), -2.0), "$3$": np.zeros(9)}
    (axes,) = drawn(plots.by_depth(layers, label="gradients"))
    sizes = np.sqrt((layers["first"] ** 2).mean(axis=(1, 2)))
    np.testing.assert_allclose(axes.lines[0].get_ydata(), [np.median(sizes), 2, np.nan])
    band = axes.collections[0].get_paths()[0].vertices[:, 1]
    assert (band.min(), band.max()) == pytest.approx((np.percentile(sizes, 5), 2.0))
    assert axes.get_yscale() == "log"
    assert texts(axes.get_xticklabels()) == ["first", "2", r"\$3\$"]
    assert axes.get_ylabel() == "root mean square of gradients"
    assert (
        axes.get_title().startswith("median of 9 members") and "9 values of 0" in axes.get_title()
    )


def test_several_networks_are_compared_by_depth():
    groups = {
        "deep": {"a": np.ones((2, 3)), "b": np.full((2, 3), 1e-30)},
        "flat": {"a": np.ones(4)},
    }
    (axes,) = drawn(plots.by_depth(groups))
    assert [line.get_label() for line in axes.lines] == ["deep", "flat"]
    np.testing.assert_allclose(axes.lines[0].get_ydata(), [1, 1e-30])
    assert "[2, 4] members" in axes.get_title()


def test_layers_that_jax_has_sorted_are_drawn_by_their_numbers():
    (axes,) = drawn(plots.by_depth({"h10": np.full(2, 10.0), "h2": np.full(2, 2.0)}))
    assert texts(axes.get_xticklabels()) == ["h2", "h10"]
    np.testing.assert_allclose(axes.lines[0].get_ydata(), [2, 10])
    (axes,) = drawn(plots.by_depth({"z": np.ones(2), "a": np.ones(2)}))
    assert texts(axes.get_xticklabels()) == ["z", "a"]


def test_filters_stand_in_a_grid_of_one_scale_around_0():
    kernel = RNG.normal(size=(2, 3, 2, 4))
    axes, _ = drawn(plots.filters(kernel))
    image = axes.images[0].get_array()
    assert image.shape == (2 * 3 - 1, 4 * 4 - 1)
    np.testing.assert_allclose(image[3:5, 8:11], kernel[:, :, 1, 2], rtol=1e-6)
    assert np.ma.getmaskarray(image)[2].all()
    assert axes.images[0].get_clim() == pytest.approx((-abs(kernel).max(), abs(kernel).max()))
    assert axes.get_title() == "2 x 3, 2 input channels, 4 output channels; 1 member"
    members = drawn(plots.filters(RNG.normal(size=(5, 2, 2, 1, 9)), most=3))[0]
    assert members.images[0].get_array().shape == (8, 8)
    assert (
        members.get_ylabel() == "members"
        and "the first 3 rows and 3 columns" in members.get_title()
    )


def test_attention_has_a_map_for_each_head_with_the_words_on_its_axes():
    weights = RNG.dirichlet(np.ones(3), size=(2, 2))
    first, second, _ = drawn(plots.attention(weights, ["a", "b", "c"], queries=["x", "y"]))
    np.testing.assert_allclose(second.images[0].get_array(), weights[1], rtol=1e-6)
    assert texts(first.get_xticklabels()) == ["a", "b", "c"]
    assert texts(first.get_yticklabels()) == ["x", "y"]
    assert second.get_title() == "head 1"
    assert first.images[0].get_clim() == second.images[0].get_clim()


def test_many_words_are_thinned_on_the_axes():
    words = [str(i) for i in range(100)]
    axes, _ = drawn(plots.attention(np.eye(100), words))
    assert texts(axes.get_xticklabels()) == words[::3]


def test_embeddings_lie_in_the_plane_that_holds_most_of_their_variance():
    rows = RNG.normal(size=(40, 6)) * [5, 3, 1, 1, 1, 1]
    labels = np.array(["b", "a"] * 20)
    (axes,) = drawn(plots.embeddings(rows, labels, [f"row {i}" for i in range(40)], most=5))
    centered = rows - rows.mean(axis=0)
    left, values, _ = np.linalg.svd(centered, full_matrices=False)
    places = np.empty((40, 2))
    for points, name in zip(axes.collections, ["a", "b"], strict=True):
        assert points.get_label() == name
        places[labels == name] = points.get_offsets()
    np.testing.assert_allclose(np.abs(places), np.abs(left * values)[:, :2], rtol=1e-6)
    shares = 100 * values**2 / (values**2).sum()
    assert axes.get_xlabel() == f"component 1 ({shares[0]:.0f} % of the variance)"
    assert f"holds {shares[:2].sum():.0f} %" in axes.get_title()
    assert 0 < len(axes.texts) <= 5
    for text in axes.texts:
        np.testing.assert_allclose(places[int(text.get_text()[4:])], text.xy)


def test_embeddings_of_any_labels_are_drawn_by_their_texts():
    labels = [10, 2, None, np.nan, "b"]
    (axes,) = drawn(plots.embeddings(RNG.normal(size=(5, 3)), labels))
    assert sorted(texts(axes.get_legend().get_texts())) == ["10", "2", "None", "b", "nan"]
    assert sum(len(points.get_offsets()) for points in axes.collections) == 5


def test_reliability_is_the_calibration_curve_with_intervals():
    given = RNG.uniform(size=300)
    labels = (RNG.uniform(size=300) < given**2).astype(int)
    (axes,) = drawn(plots.reliability(given, labels, 5))
    met, predicted = calibration_curve(labels, given, n_bins=5)
    container = axes.containers[0]
    np.testing.assert_allclose(container.lines[0].get_xydata(), np.stack([predicted, met], 1))
    inside = given < 0.2
    test = scipy.stats.binomtest(int(labels[inside].sum()), int(inside.sum()))
    low, high = test.proportion_ci(method="wilson")
    bar = container.lines[2][0].get_segments()[0]
    np.testing.assert_allclose(bar[:, 1], [low, high])
    count = np.histogram(given, 5, (0, 1))[0]
    error = (count * np.abs(met - predicted)).sum() / 300
    assert (
        axes.get_title()
        == f"300 rows, 1 prediction of each\nexpected calibration error {error:.3f}"
    )


def test_reliability_of_members_has_an_interval_over_them():
    members = RNG.dirichlet(np.ones(3), size=(4, 50))
    labels = RNG.integers(3, size=50)
    (axes,) = drawn(plots.reliability(members, labels, 1))
    accuracy = (members.argmax(2) == labels).mean(axis=1)
    ((x, y),) = axes.containers[0].lines[0].get_xydata()
    assert (x, y) == pytest.approx((members.max(2).mean(), accuracy.mean()))
    half = scipy.stats.t.ppf(0.975, 3) * accuracy.std(ddof=1) / 2
    bar = axes.containers[0].lines[2][0].get_segments()[0]
    np.testing.assert_allclose(bar[:, 1], [y - half, y + half])
    assert "50 rows, 4 members" in axes.get_title()


def test_the_roc_curve_is_that_of_each_member_and_their_mean():
    labels = np.arange(60) % 2
    scores = RNG.normal(size=(3, 60)) + labels
    (axes,) = drawn(plots.roc(scores, labels))
    for line, member in zip(axes.lines[1:4], scores, strict=True):
        np.testing.assert_allclose(line.get_xydata(), np.stack(roc_curve(labels, member)[:2], 1))
    areas = [roc_auc_score(labels, member) for member in scores]
    mean = axes.lines[4]
    assert mean.get_label() == f"mean, AUC {jnn.stats.t_interval(areas).short()}"
    assert np.trapezoid(mean.get_ydata(), mean.get_xdata()) == pytest.approx(
        np.mean(areas), abs=0.01
    )
    (one,) = drawn(plots.roc(scores[0], labels))
    assert one.lines[1].get_label() == f"AUC {areas[0]:.3f}"
    of_three = np.stack([scores[0], -scores[0], np.zeros(60)], axis=1)
    (axes,) = drawn(plots.roc(of_three, labels, positive=0))
    assert axes.get_title() == "class 0: 30 of 60 rows; 1 prediction of each"
    assert axes.lines[1].get_label() == f"AUC {1 - areas[0]:.3f}"


TWO = jnp.ones(2)
BOUNDARY, SURFACE = plots.decision_boundary, plots.loss_surface
REFUSED = {
    "must have rows of two features": lambda: BOUNDARY(predicting(None, 3), jnn.data.load("iris")),
    "where must be ((low": lambda: BOUNDARY(predicting(None, 2), plane(), where=((1, 0), (0, 1))),
    "a probability for each class": lambda: BOUNDARY(predicting(lambda x: x[None], 3), plane(3)),
    "axes must be one matplotlib Axes": lambda: plots.roc([0, 1], [0, 1], axes=[1, 2]),
    "loss must return one number": lambda: SURFACE(lambda p: p, TWO),
    "directions must be two trees": lambda: SURFACE(jnp.sum, TWO, directions=[TWO]),
    "directions must not be 0": lambda: SURFACE(jnp.sum, TWO, directions=[TWO, 0 * TWO]),
    "paths must hold lists of trees": lambda: SURFACE(jnp.sum, TWO, paths=[[jnp.ones(3)]]),
    "loss must be finite somewhere": lambda: SURFACE(lambda p: jnp.inf * p.sum(), TWO),
    "values must map": lambda: plots.by_depth({}),
    "other than 0 somewhere": lambda: plots.by_depth({"a": np.zeros(2)}),
    "values['a'] must be an array of real": lambda: plots.by_depth({"a": ["x"]}),
    "metric must be one of the scores ['f1']": lambda: plots.few_shot({"metric": ["f1"]}, "auc"),
    "results must map a name": lambda: plots.forecast({}, plane(), 0),
    "data must have windows": lambda: plots.forecast({"a": None}, plane(), 0),
    "loss must be a function": lambda: SURFACE(3, TWO),
    "to mappings of layers, got both": lambda: plots.by_depth({"a": {}, "b": np.ones(2)}),
    "as many members": lambda: plots.by_depth({"a": np.ones(2), "b": np.ones(3)}),
    "must be an array [members, ...]": lambda: plots.by_depth({"a": 1.0}),
    "kernel must be [height": lambda: plots.filters(np.ones((3, 4))),
    "kernel must be finite": lambda: plots.filters(np.full((1, 1, 1, 1), np.nan)),
    "must be a list of words": lambda: plots.attention(np.ones((3, 3)), "abc"),
    "of 2 queries and 2 keys": lambda: plots.attention(np.ones((3, 3)), ["a", "b"]),
    "after the softmax": lambda: plots.attention(-np.ones((1, 1)), ["a"]),
    "vectors must be [rows": lambda: plots.embeddings(np.ones(3)),
    "labels must be one for each": lambda: plots.embeddings(np.ones((3, 2)), [1]),
    "probabilities must be from 0 to 1": lambda: plots.reliability([3.0, -1.0], [0, 1]),
    "Predictions must be [rows]": lambda: plots.reliability([0.5], [0, 1]),
    "labels must hold class 1 and others": lambda: plots.roc([0.1, 0.2], [0, 0]),
    "Name the class": lambda: plots.roc(np.ones((4, 3)), [0, 1, 2, 0]),
}


@pytest.mark.parametrize("words", REFUSED)
def test_what_cannot_be_drawn_is_refused_in_a_sentence(words):
    with pytest.raises((ValueError, TypeError), match=re.escape(words)):
        REFUSED[words]()
