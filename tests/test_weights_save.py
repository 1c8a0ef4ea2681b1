"""What is saved is read back bit for bit, in every form, and by the libraries of the forms."""

import itertools
import pathlib
import zipfile

import flax.serialization
import h5py
import jax
import ml_dtypes
import numpy as np
import pytest
from safetensors.numpy import load_file

import jnn
from jnn import weights
from tests.trained import iris_result

FIXTURES = pathlib.Path(__file__).parent / "fixtures" / "weights"
BY_NUMPY = [
    *("float16", "float32", "float64", "complex64", "bool", "int8", "int16", "int32", "int64"),
    *("uint8", "uint16", "uint32", "uint64"),
]
TYPES = [*BY_NUMPY, ml_dtypes.bfloat16, ml_dtypes.float8_e4m3fn]
KEYS = ["a", "a b", "ä.ö", "0", "file", "%2F", "a%", "x" * 70, "weight:0", "-", "allow_pickle"]


def random_tree(random, types, keys, levels=3):
    """A nested dict of random bits, with odd keys, empty arrays and arrays without axes."""
    if levels == 0 or random.random() < 0.3:
        dtype = np.dtype(types[random.integers(len(types))])
        shape = tuple(random.integers(0, 4, random.integers(0, 4)))
        content = random.bytes(dtype.itemsize * int(np.prod(shape)))
        if dtype.kind == "b":
            return np.frombuffer(content, np.uint8).reshape(shape) > 127
        return np.frombuffer(content, dtype).reshape(shape)
    chosen = random.choice(len(keys), random.integers(1, 4), replace=False)
    return {keys[i]: random_tree(random, types, keys, levels - 1) for i in chosen}


@pytest.mark.parametrize(
    ("form", "types", "keys"),
    [
        ("safetensors", TYPES, [*KEYS, "", "a/b"]),
        ("torch", TYPES, [*KEYS, "", "a/b", "\n"]),
        ("msgpack", TYPES, KEYS),
        ("npz", BY_NUMPY, KEYS),
        ("keras", TYPES[:-1], KEYS),
    ],
)
def test_random_trees_come_back_bit_for_bit(form, types, keys, tmp_path):
    random = np.random.default_rng(3)
    for i in range(12):
        tree = {"tree": random_tree(random, types, keys), "one": np.float32(i)}
        weights.save(tree, tmp_path / "w", form)
        found = weights.read(tmp_path / "w")
        names = jnn.paths.names(tree)
        assert set(found) == set(names) and found.form == form
        for name, array in zip(names, map(np.asarray, jax.tree.leaves(tree)), strict=True):
            assert (found[name].dtype, found[name].shape) == (array.dtype, array.shape), name
            assert found[name].tobytes() == array.tobytes(), name


def test_equal_arrays_make_equal_files(tmp_path):
    arrays = {"a": np.arange(3.0), "b": np.ones((2, 2), np.float32)}
    for form in ("torch", "npz", "safetensors", "msgpack"):
        contents = set()
        for name in ("one", "two"):
            contents.add(weights.save(arrays, tmp_path / name, form).read_bytes())
        assert len(contents) == 1, form


def test_the_suffix_says_the_form_and_the_libraries_read_the_file(tmp_path):
    arrays = {"a": np.arange(3.0), "b": np.ones((2, 2), np.float32)}
    forms = {".safetensors": "safetensors", ".pt": "torch", ".bin": "torch", ".npz": "npz",
             ".msgpack": "msgpack", ".weights.h5": "keras"}  # fmt: skip
    for suffix, form in forms.items():
        path = weights.save(arrays, tmp_path / f"w{suffix}")
        assert weights.read(path).form == form
    for found in (
        load_file(tmp_path / "w.safetensors"),
        np.load(tmp_path / "w.npz"),
        flax.serialization.msgpack_restore((tmp_path / "w.msgpack").read_bytes()),
        h5py.File(tmp_path / "w.weights.h5"),
    ):
        for name, array in arrays.items():
            np.testing.assert_array_equal(found[name], array)


@pytest.mark.slow
def test_a_member_of_a_result_is_saved_and_loaded(tmp_path):
    result = iris_result()
    path = weights.save(result, tmp_path / "w.safetensors", member=1)
    params, _ = weights.load(path, result.study.model, ignore="**/dropout_rate")
    expected = jax.tree.map(lambda array: array[1], result.trained.params)
    for a, b in zip(jax.tree.leaves(params), jax.tree.leaves(expected), strict=True):
        assert np.asarray(a).tobytes() == np.asarray(b).tobytes()
    with pytest.raises(ValueError, match="one of the 24 members"):
        weights.save(result, path)
    with pytest.raises(ValueError, match="member must be below 24"):
        weights.save(result, path, member=24)


def test_arrays_take_the_places_that_a_file_of_keras_has(tmp_path):
    source = FIXTURES / "network.weights.h5"
    arrays = {name: array + 1 for name, array in weights.read(source).items()}
    path = weights.save(arrays, tmp_path / "w.weights.h5", like=source)
    found = weights.read(path)
    assert set(found) == set(arrays)
    with h5py.File(path) as ours, h5py.File(source) as theirs:
        np.testing.assert_array_equal(
            ours["layers/dense_1/vars/0"], theirs["layers/dense_1/vars/0"][()] + 1
        )
    del arrays["head/bias"]
    arrays |= {"head/scale": np.ones(2), "first/bias": np.ones(3)}
    with pytest.raises(ValueError) as caught:
        weights.save(arrays, tmp_path / "w.weights.h5", like=source)
    for words in ("missing are ['head/bias']", "left over are ['head/scale']", "first/bias (3,)"):
        assert words in str(caught.value)


def test_a_whole_network_of_keras_has_the_layers_of_another_and_new_numbers(tmp_path):
    source = FIXTURES / "network.keras"
    arrays = {
        name: array + 1
        for name, array in weights.read(source).items()
        if not name.startswith("optimizer")
    }
    path = weights.save(arrays, tmp_path / "ours.keras", like=source)
    found = weights.read(path)
    assert found.config == weights.read(source).config
    assert {name: a.tobytes() for name, a in found.items()} == {
        name: a.tobytes() for name, a in arrays.items()
    }
    with zipfile.ZipFile(path) as ours, zipfile.ZipFile(source) as theirs:
        assert ours.namelist() == theirs.namelist()
        assert ours.read("metadata.json") == theirs.read("metadata.json")
    again = weights.save(arrays, tmp_path / "again.keras", like=source)
    assert again.read_bytes() == path.read_bytes()
    only = weights.save(arrays, tmp_path / "only.weights.h5", like=source)
    with h5py.File(only) as file:
        assert "layers" in file

    (tmp_path / "none.keras").write_bytes(b"no zip")
    for like, words in (
        (None, "like must be a .keras file.*got None"),
        (only, "like must be a .keras file.*got .*only.weights.h5"),
        (FIXTURES / "keras_2.h5", "like must be a file of Keras 3"),
        (tmp_path / "none.keras", "none.keras"),
        (FIXTURES / "torch.pt", "torch.pt"),
    ):
        with pytest.raises(ValueError, match=words):
            weights.save(arrays, tmp_path / "wrong.keras", like=like)
        assert not (tmp_path / "wrong.keras").exists()
    with pytest.raises(ValueError, match="missing are"):
        weights.save({}, tmp_path / "wrong.keras", like=source)


def test_what_a_form_or_a_family_cannot_hold_is_refused_and_no_file_is_left(tmp_path):
    path = tmp_path / "w"
    wide = {"a": np.ones(2, np.complex128)}
    for form, tree, words in (
        ("safetensors", wide, "types that safetensors knows"),
        ("npz", {"a": np.ones(2, ml_dtypes.bfloat16)}, "keep no bfloat16"),
        ("torch", {"a": np.ones(2, ml_dtypes.int4)}, "no tensors of type int4"),
        ("msgpack", {"a": np.ones(1), "a/b": np.ones(1)}, "must be places in folders"),
        ("keras", {"": np.ones(1)}, "must be places in folders"),
        ("pdf", wide, "form must be one of"),
    ):
        with pytest.raises(ValueError, match=words):
            weights.save(tree, path, form)
        assert not list(tmp_path.iterdir())
    with pytest.raises(TypeError, match="arrays of numbers only"):
        weights.save({"a": np.array(["x"])}, path)
    rules = [("a.{i}", "a/{i}")]
    with pytest.raises(ValueError, match=r"no rule for \['b/0'\]"):
        weights.save({"a": [np.ones(1)], "b": [np.ones(1)]}, path, family=rules)
    weights.save({"a": [np.ones(1)], "b": [np.ones(1)]}, path, family=rules, skip="b/*")
    assert [*weights.read(path)] == ["a.0"]


@pytest.mark.peers
def test_pytorch_loads_what_is_saved_for_it(tmp_path):
    torch = pytest.importorskip("torch")
    random = np.random.default_rng(0)
    arrays = {
        str(np.dtype(dtype)): np.frombuffer(random.bytes(6 * np.dtype(dtype).itemsize), dtype)
        for dtype in TYPES if dtype != "bool"
    }  # fmt: skip
    arrays |= {"none": np.zeros((2, 0, 3)), "one": np.array(3), "grid": np.ones((2, 3, 4)),
               "bool": np.array([True, False])}  # fmt: skip
    weights.save(arrays, tmp_path / "w.pt")
    for mmap in (False, True):
        found = torch.load(tmp_path / "w.pt", weights_only=True, mmap=mmap)
        assert [*found] == [*arrays]
        for name, array in arrays.items():
            tensor = found[name]
            assert tuple(tensor.shape) == array.shape and tensor.is_contiguous()
            if array.size and array.ndim:
                assert bytes(tensor.view(torch.uint8).numpy().tobytes()) == array.tobytes()


@pytest.mark.peers
@pytest.mark.filterwarnings("ignore::DeprecationWarning")  # of Keras with this NumPy
def test_keras_loads_what_is_saved_for_it(tmp_path, monkeypatch):
    monkeypatch.setenv("KERAS_BACKEND", "jax")
    keras = pytest.importorskip("keras")
    keras.utils.clear_session()
    make = lambda: keras.Sequential(  # noqa: E731
        [keras.Input((4,)), keras.layers.Dense(5, name="first"), keras.layers.Dense(3, name="last")]
    )
    network = make()
    network.save_weights(tmp_path / "made.weights.h5")
    random = np.random.default_rng(0)
    arrays = {
        name: random.normal(size=array.shape).astype(np.float32)
        for name, array in weights.read(tmp_path / "made.weights.h5").items()
    }
    weights.save(arrays, tmp_path / "ours.weights.h5", like=tmp_path / "made.weights.h5")
    other = make()
    other.load_weights(tmp_path / "ours.weights.h5")
    for layer, suffix in itertools.product(("first", "last"), ("kernel", "bias")):
        found = np.asarray(getattr(other.get_layer(layer), suffix))
        np.testing.assert_array_equal(found, arrays[f"{layer}/{suffix}"])


@pytest.mark.peers
@pytest.mark.filterwarnings("ignore::DeprecationWarning")  # of Keras with this NumPy
@pytest.mark.filterwarnings("ignore:Skipping variable loading for optimizer")
def test_keras_opens_a_whole_network_of_jnn_with_equal_outputs(tmp_path, monkeypatch):
    monkeypatch.setenv("KERAS_BACKEND", "jax")
    keras = pytest.importorskip("keras")
    layers = keras.layers
    x = keras.Input((8, 8, 2))
    y = layers.BatchNormalization()(layers.SeparableConv2D(4, 3, padding="same", name="one")(x))
    y = layers.GlobalAveragePooling2D()(layers.Add()([layers.Conv2D(4, 1)(x), y]))
    theirs = keras.Model(x, layers.Dense(3, name="head")(y))
    theirs.compile("adam", "mse")
    images = np.random.default_rng(0).normal(size=(4, 8, 8, 2)).astype(np.float32)
    theirs.fit(images, np.zeros((4, 3)), verbose=0)
    theirs.save(tmp_path / "made.keras")
    expected = theirs.predict(images, verbose=0)
    arrays = {
        name: array
        for name, array in weights.read(tmp_path / "made.keras").items()
        if not name.startswith("optimizer")
    }
    for factor in (1, 2):
        changed = {name: factor * array for name, array in arrays.items()}
        weights.save(changed, tmp_path / "ours.keras", like=tmp_path / "made.keras")
        for options in ({}, {"compile": False}):
            back = keras.saving.load_model(tmp_path / "ours.keras", **options)
            assert np.array_equal(back.predict(images, verbose=0), expected) == (factor == 1)
    variables = {v.path.replace("separable_conv2d", "one"): np.asarray(v) for v in back.variables}
    np.testing.assert_array_equal(variables["head/kernel"], 2 * arrays["head/kernel"])
