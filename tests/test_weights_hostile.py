"""Hostile and damaged files of weights: one sentence, nothing executed, nothing large allocated."""

import io
import json
import os
import pathlib
import pickle
import shutil
import struct
import tracemalloc
import zipfile

import h5py
import msgpack
import numpy as np
import pytest

from jnn import weights
from tests import fuzz_weights

FIXTURES = pathlib.Path(__file__).parent / "fixtures" / "weights"


def refused(path) -> str:
    """Read all of a file, which must be refused in one sentence and little memory; return that."""
    size = fuzz_weights.size_of(path)
    tracemalloc.start()
    try:
        with pytest.raises(ValueError) as caught:
            for array in weights.read(path).values():
                array.tobytes()
        _, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert peak < 4 * size + 2_000_000, peak
    assert "\n" not in str(caught.value)
    return str(caught.value)


def zipped(path, members, compression=zipfile.ZIP_STORED):
    with zipfile.ZipFile(path, "w", compression) as archive:
        for name, content in members:
            archive.writestr(name, content)
    return path


class Calls:
    """Pickles as a call of a function."""

    def __init__(self, function, *arguments):
        self.call = function, arguments

    def __reduce__(self):
        return self.call


@pytest.mark.parametrize("protocol", [2, 4, 5])
def test_a_pickle_that_asks_for_a_function_is_refused_and_calls_nothing(protocol, tmp_path):
    mark = tmp_path / "was_run"
    content = pickle.dumps({"weight": Calls(os.system, f"touch {mark}")}, protocol)
    path = zipped(tmp_path / "evil.pt", [("archive/data.pkl", content)])
    assert "holds more than tensors: its pickle asks for ['posix.system']" in refused(path)
    plain = tmp_path / "evil.pkl"
    plain.write_bytes(content)
    assert "is a pickle, which may run anything" in refused(plain)
    assert not mark.exists()


def test_a_whole_module_of_pytorch_is_refused_with_what_to_save_instead():
    text = refused(FIXTURES / "whole_module.pt")
    assert "torch.nn.modules.linear.Linear" in text and "state_dict()" in text


def test_the_form_of_old_versions_of_pytorch_is_refused_in_one_sentence():
    assert "before version 1.6" in refused(FIXTURES / "legacy.pt")


def tensor_call(start=0, shape=(2,), steps=(1,), key="0", count=4, kind="FloatStorage"):
    """Return the pickle of {"w": a tensor}, with protocol 2."""
    number = lambda n: b"J" + struct.pack("<i", n)  # noqa: E731
    numbers = lambda ns: b"(" + b"".join(map(number, ns)) + b"t"  # noqa: E731
    text = lambda s: b"X" + struct.pack("<I", len(s)) + s.encode()  # noqa: E731
    storage = b"(" + text("storage") + f"ctorch\n{kind}\n".encode() + text(key) + text("cpu")
    storage += number(count) + b"tQ"
    tensor = b"ctorch._utils\n_rebuild_tensor_v2\n(" + storage + number(start) + numbers(shape)
    tensor += numbers(steps) + b"\x89NtR"
    return b"\x80\x02}" + text("w") + tensor + b"s."


@pytest.mark.parametrize(
    "change",
    [
        {"start": -1},
        {"start": 3},
        {"shape": (-1,)},
        {"shape": (5,)},
        {"shape": (2, 3), "steps": (3, 1)},
        {"steps": (-1,)},
        {"steps": (1, 1)},
        {"shape": (2**30, 2**30), "steps": (0, 0)},
        {"count": 2**30},
        {"key": "1"},
        {"key": "../../data"},
        {"kind": "QInt8Storage"},
    ],
)
def test_a_tensor_outside_of_its_storage_is_refused(change, tmp_path):
    members = [("a/data.pkl", tensor_call(**change)), ("a/data/0", bytes(16))]
    refused(zipped(tmp_path / "w.pt", members))


def test_the_same_tensor_inside_of_its_storage_is_read(tmp_path):
    content = np.arange(4, dtype=np.float32).tobytes()
    members = [("a/data.pkl", tensor_call(1, (2, 2), (1, 1))), ("a/data/0", content)]
    path = zipped(tmp_path / "w.pt", members)
    np.testing.assert_array_equal(weights.read(path)["w"], [[1, 2], [2, 3]])


CYCLE = b"\x80\x02}q\x00X\x01\x00\x00\x00ah\x00s."
LAUGHS = b"\x80\x02]q\x00K\x01a" + b"".join(
    b"]" + b"q" + bytes([i]) + b"(" + b"h" + bytes([i - 1]) + b"h" + bytes([i - 1]) + b"e"
    for i in range(1, 60)
) + b"."  # fmt: skip


@pytest.mark.parametrize(
    "content",
    [
        CYCLE,
        LAUGHS,
        b"",
        b"\x80\x02",
        b"\x80\x02.",
        b"\x80\x02(.",
        b"\x80\x02r\xff\xff\xff\xff.",
        b"\x80\x02j\xff\xff\xff\xff.",
        b"\x80\x02X\xff\xff\xff\xffabc.",
        b"\x80\x05\x8e\xff\xff\xff\xff\xff\xff\xff\x7fabc.",
        b"\x80\x02X\x02\x00\x00\x00\xff\xfe.",
        b"\x80\x02}]K\x01s.",
        b"\x80\x02\x8b\xff\xff\xff\x7f.",
        b"\x80\x02" + b"(" * 1000 + b"t" * 990 + b".",
        b"\x80\x02" + b"]" + b"]a" * 3,
    ],
)
def test_a_pickle_that_is_no_nested_dict_is_refused(content, tmp_path):
    refused(zipped(tmp_path / "w.pt", [("a/data.pkl", content)]))


def test_a_zip_file_that_grows_as_no_numbers_do_is_refused(tmp_path):
    zeros = np.zeros(4_000_000)
    np.savez_compressed(tmp_path / "bomb.npz", zeros)
    assert "would grow from" in refused(tmp_path / "bomb.npz")


def test_an_archive_with_lies_about_its_members_is_refused(tmp_path):
    path = tmp_path / "w.npz"
    np.savez(path, a=np.arange(3.0))
    content = path.read_bytes()
    size = struct.pack("<I", weights._archive.Archive(path).members["a.npy"].file_size)
    lied = content.replace(size, struct.pack("<I", 2**31 - 1))
    assert lied != content
    path.write_bytes(lied)
    refused(path)
    with zipfile.ZipFile(io.BytesIO(content)) as archive:
        zipped(path, [("a.npy", archive.read("a.npy").replace(b"(3,)", b"(9,)"))])
    assert "another size than its header says" in refused(path)
    twice = tmp_path / "twice.npz"
    with pytest.warns(UserWarning, match="Duplicate name"):
        zipped(twice, [("a.npy", b"1"), ("a.npy", b"2")])
    assert "have the same name" in refused(twice)


def test_arrays_of_objects_are_not_unpickled(tmp_path):
    mark = tmp_path / "was_run"
    objects = np.array([Calls(os.system, f"touch {mark}")], dtype=object)
    np.savez(tmp_path / "w.npz", a=objects, allow_pickle=True)
    assert "nothing is unpickled" in refused(tmp_path / "w.npz")
    assert not mark.exists()


def safetensors_file(path, header, data=bytes(16)):
    text = header if isinstance(header, bytes) else json.dumps(header).encode()
    path.write_bytes(struct.pack("<Q", len(text)) + text + data)
    return path


def about(start, end, shape=(2,), dtype="F32"):
    return {"dtype": dtype, "shape": list(shape), "data_offsets": [start, end]}


@pytest.mark.parametrize(
    "header",
    [
        {"a": about(0, 8), "b": about(4, 12)},
        {"a": about(0, 8), "b": about(0, 8)},
        {"a": about(-8, 0)},
        {"a": about(0, 16, (2,))},
        {"a": about(0, 2**62, (2**60,))},
        {"a": about(0, 16, (-4,))},
        {"a": about(0, 16, (4,), "F33")},
        {"a": about(8, 16)},
        {"a": {"dtype": "F32"}},
        {"a": 3},
        b'{"a": {"dtype": "F32", "shape": [2], "data_offsets": [0, 8]}, '
        b'"a": {"dtype": "F32", "shape": [2], "data_offsets": [8, 16]}}',
        b'{"\xff": {"dtype": "F32", "shape": [4], "data_offsets": [0, 16]}}',
        b"{" * 100_000,
    ],
)
def test_a_header_of_safetensors_that_does_not_fit_its_numbers_is_refused(header, tmp_path):
    refused(safetensors_file(tmp_path / "w.safetensors", header))


def test_a_header_longer_than_the_file_is_refused(tmp_path):
    path = tmp_path / "w.safetensors"
    for size in (2**63, 2**40, 200):
        path.write_bytes(struct.pack("<Q", size) + b'{"a": {}}')
        refused(path)


@pytest.mark.parametrize("name", ["../secret.safetensors", "/etc/passwd", "a/b", "..", "", "a\\b"])
def test_an_index_of_shards_does_not_lead_out_of_its_folder(name, tmp_path):
    folder = tmp_path / "model"
    folder.mkdir()
    weights.save({"a": np.ones(2)}, tmp_path / "secret.safetensors")
    index = json.dumps({"weight_map": {"a": name}})
    (folder / "model.safetensors.index.json").write_text(index)
    assert "not in its own folder" in refused(folder)


def test_an_index_that_names_what_no_shard_has_is_refused(tmp_path):
    weights.save({"a": np.ones(2)}, tmp_path / "one.safetensors")
    for places, words in (({"a": "one.safetensors", "b": "one.safetensors"}, "no shard has"),
                          ({"a": "two.safetensors"}, "is missing"), ([1], "no map")):  # fmt: skip
        index = json.dumps({"weight_map": places})
        (tmp_path / "model.safetensors.index.json").write_text(index)
        assert words in refused(tmp_path)


def test_links_in_hdf5_are_not_followed(tmp_path):
    path = tmp_path / "w.h5"
    with h5py.File(tmp_path / "other.h5", "w") as file:
        file["a"] = np.ones(2)
    for link in (h5py.ExternalLink("other.h5", "a"), h5py.SoftLink("/b")):
        with h5py.File(path, "w") as file:
            file["b"] = np.ones(2)
            file["a"] = link
        assert "is a link to another place" in refused(path)


def test_groups_of_hdf5_that_hold_each_other_are_refused(tmp_path):
    path = tmp_path / "w.h5"
    with h5py.File(path, "w") as file:
        file.create_group("a")["b"] = file["/"]
    assert "hold each other" in refused(path)


def test_a_damaged_heap_of_hdf5_is_refused_and_not_walked_for_ever(tmp_path):
    path = tmp_path / "w.h5"
    content = bytearray((FIXTURES / "network.weights.h5").read_bytes())
    heap = content.index(b"GCOL")
    content[heap + 16 : heap + 32] = bytes(16)  # free space of no bytes
    path.write_bytes(content)
    assert "do not follow each other" in refused(path)


@pytest.mark.parametrize(
    "options",
    [
        {"shape": (2**40,), "dtype": "f4", "chunks": (1024,)},
        {"shape": (2**30,), "dtype": "f4", "chunks": (2**20,), "compression": "gzip"},
        {"shape": (4,), "dtype": "f4", "external": [("/etc/passwd", 0, 16)]},
        {"shape": (4,), "dtype": h5py.string_dtype()},
        {"shape": (4,), "dtype": [("a", "f4"), ("b", "i4")]},
    ],
)
def test_arrays_of_hdf5_that_are_not_in_the_file_are_refused(options, tmp_path):
    path = tmp_path / "w.h5"
    with h5py.File(path, "w") as file:
        file.create_dataset("a", **options)
    refused(path)


def test_onnx_does_not_read_files_of_other_folders(tmp_path):
    path = tmp_path / "inner" / "w.onnx"
    path.parent.mkdir()
    (tmp_path / "secret").write_bytes(bytes(8))

    def field(number, content):
        return bytes([number << 3 | 2, len(content)]) + content

    for place, words in (("../secret", "not in its own folder"), ("absent", "which is not there")):
        entry = field(1, b"location") + field(2, place.encode())
        tensor = b"\x08\x02\x10\x01" + field(8, b"w") + field(13, entry) + b"\x70\x01"
        path.write_bytes(b"\x08\x08" + field(7, field(5, tensor)))
        assert words in refused(path)


@pytest.mark.parametrize(
    "content",
    [
        msgpack.packb({"a": msgpack.ExtType(9, b"abc")}),
        msgpack.packb({"a": msgpack.ExtType(1, msgpack.packb([[2], "object", b"12345678"]))}),
        msgpack.packb({"a": msgpack.ExtType(1, msgpack.packb([[2**40], "float32", b"1234"]))}),
        b"\xdf\xff\xff\xff\xff\xa1a\x01",
        b"\x81\xa1a\xdd\xff\xff\xff\xff",
        b"\x81\xa1a\xc6\xff\xff\xff\xff",
        b"\x82\xa1a\x01\xa1a\x02",
        b"\x81\xa2\xff\xfe\x01",
        b"\x81\xa1a" * 2000,
        msgpack.packb({"a": 1}) + b"\x01",
    ],
)
def test_msgpack_that_flax_does_not_write_is_refused(content, tmp_path):
    (tmp_path / "w").write_bytes(content)
    refused(tmp_path / "w")


def test_what_is_no_file_of_weights_is_named(tmp_path):
    text = tmp_path / "notes.txt"
    text.write_text("no weights")
    assert "as no known form does" in refused(text)
    text.write_bytes(b"")
    refused(text)
    shutil.make_archive(str(tmp_path / "some"), "zip", FIXTURES)
    assert "neither of PyTorch, of Keras nor of NumPy" in refused(tmp_path / "some.zip")
    empty = tmp_path / "folder"
    empty.mkdir()
    assert "is a folder without weights" in refused(empty)
    os.mkfifo(tmp_path / "pipe")
    assert "is neither a file nor a folder" in refused(tmp_path / "pipe")
    with pytest.raises(ValueError, match="is missing"):
        weights.read(tmp_path / "absent")


def test_changed_files_of_all_forms_are_read_or_refused_in_one_sentence():
    files = fuzz_weights.originals()
    outcomes = [
        fuzz_weights.outcome(files[kind], seed)
        for seed, kind in enumerate([*files] * 5)  # python -m tests.fuzz_weights makes more
    ]
    assert {*outcomes} == {"read", "refused"}
