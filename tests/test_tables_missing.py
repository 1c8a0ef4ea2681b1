"""Missing values: refused, left out or filled from the training rows alone, and told."""

import dataclasses

import jax
import jax.numpy as jnp
import numpy as np
import pandas as pd
import pytest
from sklearn.impute import SimpleImputer
from sklearn.preprocessing import StandardScaler

import jnn
from jnn.data import Counts, Dataset, Encoding

RANDOM = np.random.default_rng(0)
TABLE = pd.DataFrame(
    {
        "size": [1.0, np.nan, 3.0, 8.0, 9.0, np.nan],
        "town": ["Ulm", "Bonn", None, "Ulm", "Bonn", "Bonn"],
        "y": [0.5, 1.5, 2.5, 3.5, np.nan, 5.5],
    }
)


def test_missing_values_are_refused_by_default_and_the_sentence_names_the_ways_out():
    with pytest.raises(
        ValueError, match=r"2 in 'size', 1 in 'town', 1 in 'y'\. Pass missing='drop'.*'fill'"
    ):
        Dataset.from_dataframe(TABLE, "y")


def test_all_columns_that_need_a_decision_are_told_at_once():
    frame = pd.concat([TABLE] * 5, ignore_index=True)
    frame["sold"] = [f"{day + 1}.06.2022" for day in range(30)]
    frame["house"] = [f"house {number}" for number in range(30)]
    frame["price"] = [f"{number},5" for number in range(30)]  # numbers, however written
    told = r"2022'\), 'house' \(30 different texts in 30 rows\)\..* drop=\['sold', 'house'\]\.$"
    with pytest.raises(ValueError, match=rf"10 in 'size'.* 'sold' \(dates such as '1\.06\.{told}"):
        Dataset.from_dataframe(frame, "y")


def test_rows_are_left_out_and_counted():
    weights = np.arange(6.0)
    data = Dataset.from_dataframe(TABLE.assign(w=weights), "y", weights="w", missing="drop",
                                  groups=np.arange(6))  # fmt: skip
    assert data.x.tolist() == [[1, 1], [8, 1]] and data.y.tolist() == [0.5, 3.5]
    assert data.groups.tolist() == [0, 3] and data.weights.tolist() == [0, 3]
    assert "4 of 6 rows are left out, missing are 2 in 'size', 1 in 'town', 1 in 'y'" in repr(data)


def test_a_filled_table_keeps_its_rows_but_those_without_a_target():
    data = Dataset.from_dataframe(TABLE, "y", missing="fill")
    assert data.feature_names == ("size", "town=Bonn", "town=Ulm", "town=missing")
    assert data.rows == 5 and np.isnan(data.x[[1, 4], 0]).all()
    assert data.x[2].tolist() == [3, 0, 0, 1]
    assert "1 of 6 rows are left out, missing are 1 in 'y'" in data.notes[0]
    assert "2 in 'size', 1 in 'town'" in data.notes[1]
    again = Encoding.from_json(data.encoding.to_json())
    assert again == data.encoding and again.fills


@pytest.mark.parametrize("weights", [np.ones(40), RANDOM.integers(0, 4, 40).astype(float)])
def test_numbers_are_filled_as_scikit_learn_fills_them(weights):
    x = RANDOM.normal(50, 9, size=(40, 3))
    x[RANDOM.random(x.shape) < 0.3] = np.nan
    fill = jnn.preprocess.fill_median(jnn.preprocess.standardize)
    stats = fill.fit(jnp.asarray(x), jnp.asarray(weights))
    repeated = np.repeat(x, weights.astype(int), axis=0)
    imputer = SimpleImputer(strategy="median").fit(repeated)
    np.testing.assert_allclose(stats.median, imputer.statistics_, rtol=1e-6)
    scaler = StandardScaler().fit(imputer.transform(repeated))
    expected = scaler.transform(imputer.transform(x))
    np.testing.assert_allclose(fill.forward(stats, jnp.asarray(x)), expected, atol=1e-5)


def test_each_fold_is_filled_by_its_own_training_rows():
    frame = pd.DataFrame({"a": RANDOM.normal(size=40), "b": RANDOM.normal(size=40)})
    frame["y"] = frame["a"] - frame["b"]
    frame.loc[RANDOM.random(40) < 0.3, "a"] = np.nan
    frame.loc[0, "a"] = 1e6  # in one fold's test rows; no mean could pass over it
    data = Dataset.from_dataframe(frame, "y", missing="fill")
    about = jnn.recipes.About.from_data(data)
    study = jnn.recipes.make_study(about, model="mlp:4", epochs=1, batch_size=10)
    rows = [(np.arange(20, 40), np.arange(20)), (np.arange(20), np.arange(20, 40))]
    result = jnn.run(study, data, jnn.seeds(1) * jnn.folds(rows))
    medians = np.asarray(jax.tree.leaves(result.trained.scale[0].median)[0])
    expected = [np.nanmedian(data.x[train], axis=0) for train, _ in rows]
    np.testing.assert_allclose(medians, expected, rtol=1e-6)
    later = frame.drop(columns="y").head(3).assign(a=np.nan)
    assert np.isfinite(result.predict(later).mean).all()
    plain = dataclasses.replace(study, inputs=jnn.preprocess.standardize)
    with pytest.raises(ValueError, match=r"Study\.inputs must fill the missing numbers of table"):
        jnn.run(plain, data, jnn.seeds(1))


def test_later_rows_are_filled_as_in_training_and_unknown_categories_are_counted():
    encoding = Dataset.from_dataframe(TABLE, "y", missing="fill").encoding
    counts = Counts.zero()
    later = pd.DataFrame({"size": ["?", "2", "4"], "town": ["Rom", "NA", "Ulm"]})
    x = encoding.encode(later, counts=counts)
    np.testing.assert_array_equal(x, [[np.nan, 0, 0, 0], [2, 0, 0, 1], [4, 0, 1, 0]])
    assert counts.missing == {"size": 1, "town": 1} and counts.unknown == {"town": 1}
    with pytest.raises(ValueError, match=r"got \['Rom'\]: no row"):
        encoding.encode(later)
    strict = Dataset.from_dataframe(TABLE, "y", missing="drop").encoding
    with pytest.raises(ValueError, match=r"missing values: 1 in .size., 1 in .town.\. Fill them"):
        strict.encode(later, counts=counts)


@pytest.mark.parametrize("mark", ["?", "-", "NA", "n/a", ".", "#DIV/0!", "unknown", ""])
def test_a_mark_among_numbers_is_a_missing_number(tmp_path, mark):
    path = tmp_path / "t.csv"
    path.write_text("a,y\n" + "".join(f"{mark if i % 3 else i},{i}.5\n" for i in range(30)))
    with pytest.raises(ValueError, match="missing values: 20 in 'a'"):
        Dataset.from_csv(path, "y")
    data = Dataset.from_csv(path, "y", missing="drop")
    assert data.x[:, 0].tolist() == list(range(0, 30, 3))
    assert Dataset.from_csv(path, "y", category="a", missing="drop").x.shape[1] in (10, 11)


def test_na_is_a_value_of_a_category(tmp_path):
    path = tmp_path / "t.csv"
    path.write_text("land,y\nNA,0\nDE,1\nNA,0\nDE,1\n")
    with pytest.raises(ValueError, match=r"2 in 'land'.*category=\['land'\] keeps 'NA'"):
        Dataset.from_csv(path, "y")
    data = Dataset.from_csv(path, "y", category="land")
    assert data.feature_names == ("land=DE", "land=NA")
    assert data.encoding.encode(pd.DataFrame({"land": ["NA", "DE"]})).tolist() == [[0, 1], [1, 0]]


def test_the_error_about_missing_values_says_which_columns_have_no_value_at_all(tmp_path):
    path = tmp_path / "t.csv"
    path.write_text("a,note,y\n1,,0\n,,1\n3,,1\n")
    with pytest.raises(
        ValueError, match=r"without any value out with drop=\['note'\]. Pass missing="
    ):
        Dataset.from_csv(path, "y")


def test_columns_and_rows_without_any_value_are_told(tmp_path):
    path = tmp_path / "t.csv"
    path.write_text("a,y,\n1,0,\n2,1,\n4,1,\n")
    assert "1 columns without a name and a value are left out" in repr(Dataset.from_csv(path, "y"))
    frame = TABLE.assign(nothing=np.nan)
    with pytest.raises(ValueError, match=r"got none in 6 rows of \['nothing'\].*drop="):
        Dataset.from_dataframe(frame, "y", missing="fill")
    with pytest.raises(ValueError, match="must have a row without missing values"):
        Dataset.from_dataframe(TABLE.assign(y=[np.nan, 1] * 3, size=[1, np.nan] * 3), "y",
                               missing="drop")  # fmt: skip
    with pytest.raises(ValueError, match="missing must be 'error', 'drop' or 'fill', got 'mean'"):
        Dataset.from_dataframe(TABLE, "y", missing="mean")


def test_a_table_of_digits_in_published_units_is_encoded_as_those_of_training():
    from sklearn.datasets import load_digits

    table = load_digits(as_frame=True).data
    digits = jnn.data.load("digits")
    np.testing.assert_array_equal(digits.encoding.encode(table), digits.x)
