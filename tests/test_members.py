"""Members: named axes, their product and concatenation; folds as scikit-learn makes them."""

import copy
import dataclasses
import pickle

import jax.numpy as jnp
import numpy as np
import pytest
from sklearn import model_selection

import jnn
from jnn.study import cross_validation, part_off

DIGITS = jnn.data.load("digits")


def test_a_product_has_the_axes_of_its_factors_in_order():
    members = jnn.seeds(3) * jnn.folds(2) * jnn.grid(learning_rate=[0.1, 0.2], width=[1, 2, 3])
    assert list(members.axes) == ["seed", "fold", "learning_rate", "width"]
    assert members.shape == (3, 2, 2, 3)
    table = members.columns()
    index = np.ravel_multi_index((2, 1, 0, 1), members.shape)
    assert [table[k][index] for k in members.axes] == [2, 1, 0.1, 2]


def test_one_member_keeps_its_numbers():
    members = jnn.seeds(3) * jnn.folds(2) * jnn.grid(learning_rate=[0.1, 0.2])
    for i in (0, 5, 11):
        assert {k: v[0] for k, v in members[i].columns().items() if k != "member"} == {
            k: v[i] for k, v in members.columns().items()
        }
        assert members[i].split == members.split


def test_concatenation_puts_one_population_after_the_other():
    both = jnn.seeds(2) * jnn.grid(a=[1.0, 2.0]) + jnn.seeds(1, first=7) * jnn.grid(a=[5.0])
    assert both.columns()["seed"].tolist() == [0, 0, 1, 1, 7]
    assert both.columns()["a"].tolist() == [1, 2, 1, 2, 5]
    assert both.shape == (5,) and set(both.numbers()) == {"a"}


def test_populations_may_be_added_again_and_again():
    three = (jnn.seeds(1) * jnn.grid(a=[1.0]) + jnn.seeds(2) * jnn.grid(a=[2.0])) + jnn.seeds(
        1
    ) * jnn.grid(a=[3.0])
    columns = {k: v.tolist() for k, v in three.columns().items()}
    assert columns == {"member": [0, 1, 2, 3], "seed": [0, 0, 1, 0], "a": [1.0, 2.0, 2.0, 3.0]}


def test_a_sample_keeps_its_first_members_when_it_grows():
    draws = {"learning_rate": jnn.log_uniform(1e-4, 1e-1), "width": jnn.choice([8, 16])}
    few, many = jnn.sample(4, **draws).columns(), jnn.sample(9, **draws).columns()
    for name in draws:
        assert np.array_equal(few[name], many[name][:4])
    assert (
        set(many["width"]) == {8, 16}
        and 1e-4 <= many["learning_rate"].min() <= many["learning_rate"].max() <= 1e-1
    )


def test_log_uniform_draws_are_uniform_in_the_logarithm():
    from scipy import stats

    draws = np.log10(jnn.log_uniform(1e-4, 1e-1)(np.random.default_rng(0), 2000))
    assert (
        stats.kstest(draws, "uniform", args=(-4, 3)).pvalue > 1e-3
    )  # false alarm: one seed in 1000; this one is fixed


def test_masks_are_members_too():
    masks = np.eye(3, dtype=bool)
    members = jnn.grid(mask=masks) * jnn.seeds(2)
    assert members.numbers()["mask"].shape == (6, 3) and members.axes["mask"][
        "mask_index"
    ].tolist() == [0, 1, 2]


def test_masks_are_numbered_by_what_they_are():
    first, second = np.eye(2, dtype=bool)
    both = jnn.seeds(1) * jnn.grid(mask=[first]) + jnn.seeds(2) * jnn.grid(mask=[second, first])
    assert both.columns()["mask_index"].tolist() == [0, 1, 0, 1, 0]
    drawn = jnn.sample(20, mask=jnn.choice(np.eye(2))).columns()
    is_other = (drawn["mask"] != drawn["mask"][0]).any(axis=1)
    assert np.array_equal(drawn["mask_index"], is_other) and is_other.any()


@pytest.mark.parametrize(
    ("values", "dtype"),
    [
        (np.array([0.5], np.float16), np.float64),
        (np.array([3], np.uint8), np.int64),
        ([True], np.bool_),
        (jnp.float32(0.5), np.float64),
        (2, np.int64),
    ],
)
def test_settings_have_one_of_three_types(values, dtype):
    column = jnn.grid(a=values).columns()["a"]
    assert column.dtype == dtype and column.tolist() == np.atleast_1d(values).tolist()


def test_seeds_do_not_end_with_the_type_of_the_first():
    assert jnn.seeds(2, first=np.uint8(255)).columns()["seed"].tolist() == [255, 256]


@pytest.mark.parametrize(
    ("kind", "splitter"),
    [
        ("plain", model_selection.KFold(5, shuffle=True, random_state=0)),
        ("stratified", model_selection.StratifiedKFold(5, shuffle=True, random_state=0)),
        ("time", model_selection.TimeSeriesSplit(5)),
    ],
)
def test_folds_are_those_of_scikit_learn(kind, splitter):
    wanted = list(splitter.split(DIGITS.x, DIGITS.y))
    for (train, _, test), (a, b) in zip(
        cross_validation(5, kind=kind).rows(DIGITS), wanted, strict=True
    ):
        assert np.array_equal(train, a) and np.array_equal(test, b)


def test_automatic_folds_are_stratified_for_labels_plain_for_amounts_and_grouped_for_groups():
    rows = lambda data, kind: cross_validation(3, kind=kind).rows(data)  # noqa: E731
    amounts = jnn.data.load("diabetes")
    grouped = jnn.Dataset.from_arrays(DIGITS.x[:90], DIGITS.y[:90], groups=np.arange(90) // 3)
    for data, kind in ((DIGITS, "stratified"), (amounts, "plain"), (grouped, "grouped")):
        for a, b in zip(rows(data, "auto"), rows(data, kind), strict=True):
            assert np.array_equal(a.train, b.train) and np.array_equal(a.test, b.test)
    for train, _, test in rows(grouped, "auto"):
        assert not set(grouped.groups[train]) & set(grouped.groups[test])


@pytest.mark.parametrize("kind", ["plain", "stratified"])
def test_folds_of_another_kind_than_grouped_take_no_notice_of_groups(kind):
    grouped = jnn.Dataset.from_arrays(DIGITS.x[:90], DIGITS.y[:90], groups=np.arange(90) // 3)
    alone = jnn.Dataset.from_arrays(DIGITS.x[:90], DIGITS.y[:90])
    split = cross_validation(3, kind=kind)
    for a, b in zip(split.rows(grouped), split.rows(alone), strict=True):  # without a warning
        assert np.array_equal(a.test, b.test)


def test_repeated_folds_cover_every_row_once_a_repeat():
    split = cross_validation(4, repeats=3)
    parts = split.rows(DIGITS)
    assert len(parts) == len(split) == 12
    for r in range(3):
        tested = np.sort(np.concatenate([fold.test for fold in parts[4 * r : 4 * r + 4]]))
        assert np.array_equal(tested, np.arange(DIGITS.rows))


def test_given_folds_and_splitters_are_taken_as_they_are():
    given = [(np.arange(10), np.arange(10, 14)), (np.arange(4, 14), np.arange(4))]
    assert [len(fold.test) for fold in jnn.folds(given).split.rows(DIGITS)] == [4, 4]
    shuffled = model_selection.ShuffleSplit(3, test_size=0.1, random_state=0)
    assert len(jnn.folds(shuffled)) == 3


def test_no_group_stands_on_both_sides_of_a_hold_out():
    grouped = dataclasses.replace(DIGITS.take(slice(0, 200)), groups=np.arange(200) % 10)
    ((train, _, test),) = jnn.holdout(0.3).split.rows(grouped)
    assert len(test) == 60 and not set(train % 10) & set(test % 10)
    inner, validation = part_off(train, 0.3, grouped, kind="grouped", seed=0)
    assert len(validation) and not set(inner % 10) & set(validation % 10)


def test_populations_on_other_given_folds_are_not_put_together():
    first, second = ([(np.arange(10), np.arange(10, 20) + shift)] for shift in (0, 1))
    assert len(jnn.folds(first) + jnn.folds(first)) == 2
    with pytest.raises(ValueError, match="split in one way"):
        jnn.folds(first) + jnn.folds(second)


class Halves(model_selection.BaseCrossValidator):
    """A splitter that is not scikit-learn's own: the first half tests, then the second."""

    def get_n_splits(self, *_):
        return 2

    def _iter_test_indices(self, X=None, y=None, groups=None):
        yield from np.array_split(np.arange(len(X)), 2)


MIXED = np.repeat(np.arange(5), 20)


@pytest.mark.parametrize(
    ("first", "second"),
    [
        (jnn.holdout(0.2, kind="plain"), jnn.holdout(0.2, kind="time")),
        (
            jnn.folds(model_selection.PredefinedSplit(MIXED)),
            jnn.folds(model_selection.PredefinedSplit(np.where(np.arange(100) == 50, 1, MIXED))),
        ),
    ],
)
def test_populations_on_other_splits_of_alike_texts_are_not_put_together(first, second):
    with pytest.raises(ValueError, match="split in one way"):
        first + second


def test_populations_on_equal_splitters_are_put_together():
    class OfAFunction(Halves):
        """It cannot be pickled."""

    halves = jnn.folds(OfAFunction())
    first, second = (jnn.folds(model_selection.PredefinedSplit(MIXED)) for _ in range(2))
    assert len(halves + halves) == 4 and len(first + second) == 10


def test_a_hold_out_in_time_tests_on_the_last_rows():
    ((train, _, test),) = jnn.holdout(0.25, kind="time").split.rows(DIGITS.take(slice(0, 100)))
    assert train.tolist() == list(range(75)) and test.tolist() == list(range(75, 100))


@pytest.mark.parametrize(
    ("make", "words"),
    [
        (lambda: jnn.seeds(2.5), "count must be a positive integer, got 2.5"),
        (lambda: jnn.seeds(True), "count must be a positive integer, got True"),
        (
            lambda: jnn.seeds(2, first=1.5),
            "first must be an integer of at least -2147483648, got 1.5",
        ),
        (lambda: jnn.grid(a=["x"]), "Only numbers can vary .* define one Study per choice"),
        (lambda: jnn.grid(optimizer=["adam", "sgd"]), r"concat\(\[...\], optimizer=\[...\]\)"),
        (lambda: jnn.sample(3, a=2.0), "distribution for 'a' must be a function"),
        (lambda: jnn.seeds(2) * 3, r"Both sides of \* must be members, got 3"),
        (lambda: jnn.seeds(2) + 3, r"Both sides of \+ must be members, got 3"),
        (lambda: jnn.folds(2.0), "number of folds, a list of their rows or a splitter, got 2.0"),
        (lambda: jnn.folds(True), "number of folds, a list of their rows or a splitter, got True"),
        (lambda: jnn.folds(5, seed=None), "seed must be a non-negative integer, got None"),
        (lambda: jnn.folds(5, repeats=1.5), "repeats must be a positive integer, got 1.5"),
        (lambda: jnn.holdout(0.2, seed=None), "seed must be a non-negative integer, got None"),
        (lambda: jnn.holdout("a fifth"), "share must be a number"),
    ],
)
def test_members_of_a_wrong_type_get_one_sentence(make, words):
    with pytest.raises(TypeError, match=words):
        make()


@pytest.mark.parametrize(
    ("make", "words"),
    [
        (lambda: jnn.seeds(0), "count must be a positive integer, got 0"),
        (lambda: jnn.grid(), "grid needs at least one setting"),
        (lambda: jnn.grid(a=[]), "empty list"),
        (lambda: jnn.grid(a=[float("nan")]), "finite"),
        (lambda: jnn.grid(learning_rate=[-1.0]), "'learning_rate' must be at least 0, got -1"),
        (lambda: jnn.grid(dropout_rate=[1.5]), "'dropout_rate' must be at most 1, got 1.5"),
        (lambda: jnn.grid(fold=[0, 1]), "'fold' is a reserved name"),
        (lambda: jnn.grid(layer_index=[0, 1]), "'layer_index' is a reserved name"),
        (lambda: jnn.sample(2, items=jnn.uniform(0, 1)), "'items' is a reserved name"),
        (lambda: jnn.grid(steps=[2**40]), "'steps' must fit 32 bits"),
        (lambda: jnn.seeds(1, first=2**32), "Seeds must fit 32 bits"),
        (lambda: jnn.seeds(1, first=-(2**32)), "first must be an integer of at least"),
        (lambda: jnn.sample(3), "at least one distribution"),
        (lambda: jnn.sample(3, a=lambda random, count: 0.1), "'a' must draw 3 values, .* gave 1"),
        (lambda: jnn.log_uniform(0, 1), "positive bounds"),
        (lambda: jnn.uniform(2, 1), "Swap them"),
        (lambda: jnn.uniform(0, float("inf")), "high must be finite, got inf"),
        (lambda: jnn.choice(), "at least one entry"),
        (lambda: jnn.choice([]), "at least one entry"),
        (lambda: jnn.seeds(2) * jnn.seeds(3), r"\['seed'\] are on both"),
        (lambda: jnn.seeds(2) + jnn.grid(a=[1.0]), r"only the right has \['a'\]"),
        (
            lambda: jnn.grid(a=np.eye(2)) + jnn.grid(a=np.eye(3)),
            r"one shape on both sides of \+, got \(2,\) and \(3,\)",
        ),
        (lambda: jnn.folds(1), "folds must be at least 2, got 1"),
        (lambda: jnn.folds(5, seed=-1), "seed must be a non-negative integer, got -1"),
        (lambda: jnn.holdout(0.2, seed=-1), "seed must be a non-negative integer, got -1"),
        (lambda: jnn.folds(5, repeats=0), "repeats must be a positive integer, got 0"),
        (
            lambda: jnn.folds(
                model_selection.KFold(3, shuffle=True, random_state=np.random.RandomState(0))
            ),
            "splits alike each time",
        ),
        (lambda: jnn.folds(3, kind="blocked"), "kind must be one of"),
        (lambda: jnn.holdout(0.2, kind="blocked"), "kind must be one of"),
        (lambda: jnn.folds([]), "at least one pair"),
        (lambda: jnn.folds([(np.arange(3),)]), "fold 0 has the parts"),
        (lambda: jnn.folds([(np.arange(3) > 1, np.arange(3) > 2)]), "np.flatnonzero"),
        (lambda: jnn.folds([(np.arange(3), np.arange(3, 5))], kind="grouped"), "used as they are"),
        (lambda: jnn.folds(model_selection.LeaveOneOut()), "knows its number of folds"),
        (lambda: jnn.folds(3, kind="grouped").split.rows(DIGITS), "needs the group of each row"),
        (lambda: jnn.holdout(1.5), "between 0 and 1"),
        (lambda: jnn.folds(11).split.rows(DIGITS.take(slice(0, 10))), "11 folds of 10 rows"),
        (lambda: jnn.folds(200).split.rows(DIGITS), "the rarest class has 174"),
        (
            lambda: jnn.folds([(np.arange(3), np.array([5000]))]).split.rows(DIGITS),
            "row numbers in the test part of fold 0 must be in 0..1796, got 5000",
        ),
        (
            lambda: jnn.folds([(np.arange(3), np.array([2**32 + 9]))]).split.rows(DIGITS),
            "row numbers in the test part of fold 0 must be in 0..1796",
        ),
        (
            lambda: jnn.folds([(np.arange(3), np.arange(0))]).split.rows(DIGITS),
            "no rows in the test part of fold 0",
        ),
        (
            lambda: jnn.folds(4).split.rows(
                jnn.Dataset.from_series(np.arange(12.0)[:, None], 3, 4)
            ),
            "folds in time",
        ),
    ],
)
def test_wrong_members_get_one_sentence(make, words):
    with pytest.raises(ValueError, match=words):
        make()


SPLITS = [
    jnn.folds(4, repeats=2, seed=3),
    jnn.folds(3, kind="plain"),
    jnn.holdout(0.3, kind="time"),
    jnn.folds([(np.arange(50), np.arange(50, 60), np.arange(60, 90))]),
    jnn.folds(model_selection.StratifiedKFold(3, shuffle=True, random_state=1)),
    jnn.folds(model_selection.PredefinedSplit(np.repeat(np.arange(4), 25))),
    jnn.folds(Halves()),
]


@pytest.mark.parametrize("members", SPLITS, ids=lambda members: members.split.description)
@pytest.mark.parametrize(
    "again",
    [copy.copy, copy.deepcopy, lambda members: pickle.loads(pickle.dumps(members))],
    ids=["copy", "deepcopy", "pickle"],
)
def test_a_copy_of_members_makes_the_same_folds(members, again):
    copied = again(members * jnn.grid(a=[1.0, 2.0]))
    assert copied.split == members.split and hash(copied.split) == hash(members.split)
    assert len(copied + members * jnn.grid(a=[3.0])) == 3 * len(members)
    data = DIGITS.take(slice(0, 100))
    for ours, theirs in zip(copied.split.rows(data), members.split.rows(data), strict=True):
        for part, other in zip(ours, theirs, strict=True):
            np.testing.assert_array_equal(part, other)


def test_splits_are_equal_where_their_rules_are():
    equal = [
        (jnn.folds(3), jnn.folds(np.int64(3))),
        (jnn.holdout(0.2), jnn.holdout(np.float64(0.2))),
        (jnn.folds([([0, 1], [2])]), jnn.folds([(np.arange(2, dtype=np.int32), np.array([2]))])),
        (jnn.folds(model_selection.KFold(3)), jnn.folds(model_selection.KFold(3))),
        (jnn.folds(pickle.loads(pickle.dumps(SPLITS[5].split.rule.splitter))), SPLITS[5]),
    ]
    assert all(first.split == second.split for first, second in equal)
    other = [
        (jnn.folds(3), jnn.folds(3, kind="plain")),
        (jnn.folds(3), jnn.folds(3, seed=1)),
        (jnn.folds(3), jnn.folds(3, repeats=2)),
        (jnn.holdout(0.2), jnn.holdout(0.2000001)),
        (jnn.folds(model_selection.KFold(3)), jnn.folds(3, kind="plain")),
    ]
    assert not any(first.split == second.split for first, second in other)


def test_folds_by_times_and_groups_of_the_data_are_called_so():
    data = DIGITS.take(slice(0, 30))
    timed = dataclasses.replace(data, times=np.arange(30))
    grouped = dataclasses.replace(data, groups=np.arange(30) // 3)
    folds, share = jnn.folds(3).split, jnn.holdout(0.2).split
    assert folds.describe(data) == folds.description == "3 folds (seed 0)"
    assert folds.describe(timed) == "3 folds in time"
    assert share.describe(timed) == "hold-out of the last 0.2"
    assert folds.describe(grouped) == "3 grouped folds (seed 0)"
    assert jnn.folds(3, kind="plain").split.describe(grouped) == "3 plain folds (seed 0)"


TEXTS = [
    (
        jnn.seeds(3) * jnn.grid(learning_rate=[0.001, 0.01]),
        "Members: 6 = 3 seeds x 2 values of learning_rate (0.001, 0.01)",
    ),
    (
        jnn.seeds(2, first=5) * jnn.folds(5) * jnn.grid(width=range(10)),
        "Members: 100 = 2 seeds (5, 6) x 5 folds (seed 0) x 10 values of width (0, 1, 2, ..., 9)",
    ),
    (jnn.seeds(1) * jnn.grid(a=[0.5]), "Members: 1 = 1 seed x 1 value of a (0.5)"),
    (jnn.holdout(0.25), "Members: 1 = hold-out of 0.25 (seed 0)"),
    (jnn.grid(mask=np.eye(3, dtype=bool)), "Members: 3 = 3 values of mask (arrays of shape (3,))"),
    (
        jnn.sample(20, a=lambda generator, count: np.arange(count) / 10, b=jnn.choice([7])),
        "Members: 20 = 20 samples (a 0 to 1.9; b 7)",
    ),
    (
        jnn.seeds(2) * jnn.grid(a=[1.0]) + jnn.seeds(1, first=7) * jnn.grid(a=[0.5]),
        "Members: 3 = 3 listed\n  seed: 0, 1, 7\n  a: 1, 0.5",
    ),
    (
        (jnn.seeds(2) * jnn.folds(3))[[1, 2, 4]],
        "Members: 3 = 3 listed\n  seed: 0, 1\n  fold: 1, 2 of 3 folds (seed 0)",
    ),
]


@pytest.mark.parametrize(("members", "text"), TEXTS)
def test_members_tell_in_a_line_or_few_what_they_are(members, text):
    assert repr(members) == text


def test_a_column_of_text_stays_with_its_members_and_is_no_number():
    """As of results that are joined, one study for each optimizer."""
    names = np.array(["adam", "sgd"])
    members = jnn.Members({"optimizer": {"optimizer": names}}) * jnn.grid(a=[1.0, 2.0])
    assert repr(members) == "Members: 4 = 2 values of optimizer (adam, sgd) x 2 values of a (1, 2)"
    assert members.columns()["optimizer"].tolist() == ["adam", "adam", "sgd", "sgd"]
    assert set(members.numbers()) == {"a"}
    last = members[2:]
    assert last.columns()["optimizer"].tolist() == ["sgd", "sgd"]
    longer = jnn.Members({"optimizer": {"optimizer": np.array(["momentum"])}})
    both = last + longer * jnn.grid(a=[3.0])
    assert both.columns()["optimizer"].tolist() == ["sgd", "sgd", "momentum"]
    assert "optimizer: sgd, momentum" in repr(both) and set(both.numbers()) == {"a"}
    with pytest.raises(TypeError, match=r"numbers on both sides of .*, or text on both"):
        both + jnn.grid(optimizer=[1.0]) * jnn.grid(a=[3.0])
