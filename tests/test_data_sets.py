"""Data sets by name: downloads, published files, texts and series, and their published figures."""

import functools
import hashlib
import io
import tarfile
import threading
import zipfile
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest

from jnn.cli import main
from jnn.data import WordTokenizer, data_folder, describe, fetch, load
from jnn.data._catalog import CATALOG
from jnn.data._files import read_uci
from jnn.data._read_series import read_ett
from jnn.data._read_text import clean
from jnn.data._sources import SOURCES, UCI_FILES, Source


@pytest.fixture
def folder(tmp_path, monkeypatch):
    """An empty data folder."""
    monkeypatch.setenv("JNN_DATA", str(tmp_path / "data"))
    return tmp_path / "data"


@pytest.fixture
def published(tmp_path, monkeypatch):
    """A server's folder; what lies in it is where the catalogue's files are published."""
    place = tmp_path / "published"
    place.mkdir()

    class Handler(SimpleHTTPRequestHandler):
        def log_message(self, *_):
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), functools.partial(Handler, directory=str(place)))
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
    thread.start()
    url = f"http://127.0.0.1:{server.server_port}"
    monkeypatch.setenv("JNN_OFFLINE", "0")
    monkeypatch.setattr("pooch.core.time", SimpleNamespace(sleep=lambda seconds: None))
    for file in SOURCES:
        monkeypatch.setitem(SOURCES, file, Source("", (f"{url}/{Path(file).name}",)))
    yield place
    server.shutdown()
    thread.join()
    server.server_close()


def put(path: Path, content: bytes) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(content)


def tar_of(**files: bytes) -> bytes:
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w:gz") as tar:
        for name, content in files.items():
            entry = tarfile.TarInfo(name)
            entry.size = len(content)
            tar.addfile(entry, io.BytesIO(content))
    return buffer.getvalue()


def require(name: str) -> None:
    if not next(d for d in describe() if d.name == name).is_available:
        pytest.skip(f"{name} is not in {data_folder()}")


# Fetching


def test_an_absent_set_is_fetched_once(published, folder):
    put(published / "names.txt", b"ann\nbob\ncy\n" * 500)
    assert load("names", split="all").rows == 1500 // 3 * 11 + 1 - 16
    (published / "names.txt").unlink()
    assert load("names").rows < 1500 // 3 * 11
    assert [p.name for p in (folder / "names").iterdir()] == ["names.txt"]


def test_an_archive_is_fetched_and_read(published, folder):
    put(published / "rt-polaritydata.tar.gz", tar_of(**rt_polarity_files()))
    reports = []
    assert (
        fetch("rt_polarity", progress=lambda path, done, total: reports.append(path.name)) == folder
    )
    assert set(reports) == {"rt-polaritydata.tar.gz"}
    assert load("rt_polarity").rows == 4


def test_the_command_line_fetches(published, folder, capsys):
    put(published / "winequality-red.csv", b"a;quality\n1;2\n3;4\n")
    main(["data", "fetch", "wine_quality_red"])
    assert f"wine_quality_red is in {folder}" in capsys.readouterr().out
    assert (folder / "wine_quality" / "winequality-red.csv").is_file()


def test_a_digest_that_does_not_fit_leaves_no_file(published, folder, monkeypatch):
    put(published / "names.txt", b"ann\n")
    _, urls = SOURCES["names/names.txt"]
    monkeypatch.setitem(SOURCES, "names/names.txt", Source("md5:" + "0" * 32, urls))
    with pytest.raises(FileNotFoundError, match="gave other bytes, which were not kept"):
        load("names")
    assert list((folder / "names").iterdir()) == []


def test_a_file_of_other_bytes_is_fetched_anew(published, folder, monkeypatch):
    put(published / "names.txt", b"ann\n")
    _, urls = SOURCES["names/names.txt"]
    monkeypatch.setitem(
        SOURCES, "names/names.txt", Source("md5:" + hashlib.md5(b"ann\n").hexdigest(), urls)
    )
    path = folder / "names" / "names.txt"
    put(path, b"bob\n")
    monkeypatch.setenv("JNN_OFFLINE", "1")
    with pytest.raises(
        FileNotFoundError,
        match=r"names.txt must have the digest md5:\w+, got another one .* unset JNN_OFFLINE",
    ):
        fetch("names")
    monkeypatch.setenv("JNN_OFFLINE", "0")
    fetch("names")
    assert path.read_bytes() == b"ann\n"


def test_offline_one_sentence_says_what_belongs_where(folder):
    with pytest.raises(FileNotFoundError) as error:
        load("tinyshakespeare")
    parts = (
        "tinyshakespeare/input.txt",
        str(folder),
        "sha256:86c4e6",
        "github.com/karpathy",
        "JNN_DATA",
        "JNN_OFFLINE",
    )
    assert all(part in str(error.value) for part in parts) and "\n" not in str(error.value)


def test_offline_nothing_is_fetched_by_name_either(published, folder, monkeypatch):
    put(published / "names.txt", b"ann\n")
    monkeypatch.setenv("JNN_OFFLINE", "1")
    with pytest.raises(FileNotFoundError, match="JNN_OFFLINE is set, so nothing is fetched"):
        fetch("names")
    assert not folder.exists()


def test_a_file_that_no_server_has_is_named_from_the_data_folder_on(published, folder):
    with pytest.raises(
        FileNotFoundError,
        match=r"or set JNN_DATA to a folder that holds uci/bostonHousing/data\.txt",
    ):
        fetch("boston")


def test_a_set_that_needs_no_files_is_in_no_folder(folder):
    assert fetch("digits") is None and fetch("python_library") is None


def test_what_can_be_fetched_is_told(folder):
    places = {d.name: (d.is_available, d.can_be_fetched) for d in describe()}
    assert places["ag_news"] == places["cifar10"] == places["boston"] == (False, True)
    assert places["mnist1d"] == places["python_library"] == places["iris"] == (True, False)


def test_every_file_that_is_fetched_is_read_and_checked():
    read = {file for entry in CATALOG.values() for file in entry.files}
    assert set(SOURCES) == read
    assert all(source.urls for source in SOURCES.values())
    unchecked = {Path(file).parts[0] for file, source in SOURCES.items() if not source.digest}
    assert unchecked == {"uci"}  # its reader checks the table instead


def test_options_are_those_of_the_set():
    with pytest.raises(
        ValueError,
        match=r"Options of 'python_library' must be among \['length', 'limit'\], got \['siz",
    ):
        load("python_library", size=3)
    with pytest.raises(ValueError, match="Windows must fit the series of 1000 steps"):
        load("python_library", length=2000, limit=1000)


# Images and tables


def test_cifar10_comes_back_with_its_split(folder):
    images = np.random.default_rng(0).integers(0, 256, (6, 2, 32, 32, 3), dtype=np.uint8)
    labels = np.arange(12, dtype=np.uint8).reshape(6, 2) % 10
    planes = np.concatenate(
        [labels[..., None], images.transpose(0, 1, 4, 2, 3).reshape(6, 2, -1)], axis=2
    )
    names = [*(f"data_batch_{i}.bin" for i in range(1, 6)), "test_batch.bin"]
    rows = {
        f"cifar-10-batches-bin/{name}": part.tobytes()
        for name, part in zip(names, planes, strict=True)
    }
    put(folder / "cifar10" / "cifar-10-binary.tar.gz", tar_of(**rows))
    data = load("cifar10", split="all")
    np.testing.assert_allclose(data.x * 255, images.reshape(-1, 32, 32, 3), atol=1e-4)
    np.testing.assert_array_equal(data.y, labels.ravel())
    assert (data.target_names[3], [len(part) for part in data.splits[0]]) == ("cat", [10, 2])


@pytest.mark.data
@pytest.mark.slow
def test_cifar10_gives_back_the_published_bytes():
    require("cifar10")
    data = load("cifar10", split="all")
    digests = {0: "5dd7e06a14cb22eb9f671a540d1b7c25", 50000: "803d5f7f4d78ea53de84dbe85f74fb6d"}
    for first, md5 in digests.items():  # data_batch_1.bin and test_batch.bin
        pixels = (
            np.round(data.x[first : first + 10000] * 255).astype(np.uint8).transpose(0, 3, 1, 2)
        )
        labels = data.y[first : first + 10000, None].astype(np.uint8)
        assert (
            hashlib.md5(
                np.concatenate([labels, pixels.reshape(10000, -1)], axis=1).tobytes()
            ).hexdigest()
            == md5
        )


def write_uci(folder: Path, x: np.ndarray, y: np.ndarray, splits) -> list[Path]:
    """A table and its splits as the text files of the benchmark, the target in the middle."""
    folder.mkdir(parents=True, exist_ok=True)
    table = np.insert(x.astype(np.float64), 1, y, axis=1)
    columns = np.delete(np.arange(table.shape[1]), 1)
    for file, values in zip(UCI_FILES[:3], (table, columns, [1]), strict=True):
        np.savetxt(folder / file, values, fmt="%.17g")
    for i, split in enumerate(splits):
        for part, rows in zip(("train", "test"), split, strict=True):
            np.savetxt(folder / f"index_{part}_{i}.txt", rows)
    return [folder / file for file in UCI_FILES[: 3 + 2 * len(splits)]]


def test_uci_texts_are_checked_as_a_table(tmp_path):
    x, y, splits = (
        np.arange(8, dtype=np.float32).reshape(4, 2) / 3,
        np.array([0.1, 2, 3, 4]),
        [([2, 0], [1, 3])],
    )
    paths = write_uci(tmp_path, x, y, splits)
    parts = (x, y, *(np.array(rows, np.int32) for rows in splits[0]))
    data = read_uci(hashlib.sha256(b"".join(a.tobytes() for a in parts)).hexdigest(), *paths)
    np.testing.assert_array_equal(data.x, x)
    np.testing.assert_array_equal(data.splits[0][0], [2, 0])
    with pytest.raises(ValueError, match="the table and its splits have the sha256"):
        read_uci("0" * 64, *paths)


# Texts


def rt_polarity_files() -> dict[str, bytes]:
    return {
        "rt-polaritydata/rt-polarity.pos": (
            b"It's good-ish, isn't it?\ncr\xe8me \x85 br\xfbl\xe9e !\n"
        ),
        "rt-polaritydata/rt-polarity.neg": b"they'll bore (you)\nso bad .\n",
    }


def test_cleaning_is_kims():
    assert clean("It's good-ish, isn't it?") == "it 's good ish , is n't it ?"
    assert (
        clean("They'll, they've; we're (he'd)\\ `so` 1.5!")
        == "they 'll , they 've we 're ( he 'd ) `so` 1 5 !"
    )


def test_rt_polarity_is_read_from_its_archive(folder):
    put(folder / "rt_polarity" / "rt-polaritydata.tar.gz", tar_of(**rt_polarity_files()))
    data = load("rt_polarity")
    assert list(data.texts) == [
        "it 's good ish , is n't it ?",
        "cr me br l e !",
        "they 'll bore ( you )",
        "so bad",
    ]
    assert (list(data.y), data.target_names) == ([1, 1, 0, 0], ("negative", "positive"))


@pytest.mark.data
def test_rt_polarity_has_the_words_of_kims_table():
    require("rt_polarity")
    data = load("rt_polarity")
    assert len(data.tokenizer.words) + 1 == 18765  # |V| of Kim 2014, table 1, which counts padding
    assert (data.x.shape, data.y.sum()) == ((10662, 56), 5331)
    assert not (data.x == 1).any()
    other = load("rt_polarity", tokenizer=WordTokenizer.fit(data.texts[::2]), length=20)
    assert other.x.shape == (10662, 20) and (other.x == 1).any()


def test_sst2_has_three_parts_and_a_vocabulary_of_the_first(folder):
    for part, lines in (
        ("train", ["1 a fine film", "0 so dull"]),
        ("dev", ["0 dull"]),
        ("test", ["1 fine fun", "0 a"]),
    ):
        put(folder / "sst2" / f"stsa.binary.{part}", ("\n".join(lines) + "\n").encode())
    parts = [load("sst2", split=split) for split in ("train", "validation", "test")]
    assert [list(part.texts) for part in parts] == [
        ["a fine film", "so dull"],
        ["dull"],
        ["fine fun", "a"],
    ]
    assert [list(part.y) for part in parts] == [[1, 0], [0], [1, 0]]
    assert sorted(parts[0].tokenizer.words) == ["a", "dull", "film", "fine", "so"]
    assert parts[2].x[0, 1] == 1
    assert len(load("sst2", split="all").splits[0]) == 3 and list(load("sst2").y) == [1, 0]


def test_sst2_phrases_are_read_from_their_archive(folder):
    (folder / "sst2").mkdir(parents=True)
    with zipfile.ZipFile(folder / "sst2" / "SST-2.zip", "w") as archive:
        archive.writestr("SST-2/train.tsv", b"sentence\tlabel\nso fine \t1\ndull \t0\n")
        archive.writestr("SST-2/dev.tsv", b"sentence\tlabel\nthis is fine . \t1\n")
    data = load("sst2_phrases", split="all")
    assert list(data.texts) == ["so fine", "dull", "this is fine ."]
    assert list(data.y) == [1, 0, 1] and len(data.splits[0]) == 2
    with pytest.raises(
        ValueError,
        match=r"a part of 'sst2_phrases', got 'validation' where only \['test', 'train'\] were",
    ):
        load("sst2_phrases", split="validation")


def test_news_are_words_and_marks_in_lower_case(folder):
    put(
        folder / "ag_news" / "train.csv",
        b'"3","Oil\\falls","Prices ""sank"" today."\n"1","A summit","talks"\n',
    )
    put(folder / "ag_news" / "test.csv", b'"4","New chip","fast, small"\n"2","Cup","won"\n')
    data, test = load("ag_news", split="all", length=8), load("ag_news_test")
    assert list(data.texts) == [
        'oil falls prices "sank" today.',
        "a summit talks",
        "new chip fast, small",
        "cup won",
    ]
    assert data.tokenizer.decode(data.x[0]) == 'oil falls prices " sank " today .'
    assert [data.target_names[i] for i in data.y] == ["Business", "World", "Sci/Tech", "Sports"]
    assert data.x.shape == (4, 8)
    assert (test.rows, test.splits, test.x.shape) == (
        2,
        (),
        (2, 128),
    ) and "chip" in test.tokenizer.words


# Series


def test_targets_of_a_part_lie_in_its_months(tmp_path):
    rows = "".join(f"d{i},{i},{-i}\n" for i in range(650))
    (tmp_path / "t.csv").write_text("date,load,OT\n" + rows)
    data = read_ett(tmp_path / "t.csv", steps_per_day=1, length=10, horizon=5)
    train, validation, test = (data.y[rows][..., 0] for rows in data.splits[0])
    assert data.feature_names == ("load", "OT") and data.x[data.splits[0][0]][..., 0].min() == 0
    assert [(part.min(), part.max()) for part in (train, validation, test)] == [
        (10, 359),
        (360, 479),
        (480, 599),
    ]


@pytest.mark.data
@pytest.mark.parametrize(
    ("name", "counts"), [("etth1", (8209, 2785, 2785)), ("ettm1", (34129, 11425, 11425))]
)
def test_transformers_have_as_many_windows_as_in_the_papers_code(name, counts):
    require(name)
    data = load(name, split="all")
    assert tuple(map(len, data.splits[0])) == counts
    parts = [load(name, split=part) for part in ("train", "validation", "test")]
    assert tuple(part.rows for part in parts) == counts
    for part, rows in zip(parts, data.splits[0], strict=True):
        np.testing.assert_array_equal(part.x[np.array([0, -1 % part.rows])], data.x[rows[[0, -1]]])
        np.testing.assert_array_equal(part.y[np.array([0, -1 % part.rows])], data.y[rows[[0, -1]]])


def test_a_text_is_split_in_time_without_overlap(folder):
    text = "".join(chr(97 + i % 26) for i in range(1000))
    put(folder / "tinyshakespeare" / "input.txt", text.encode())
    train, test = (load("tinyshakespeare", split=part, length=20) for part in ("train", "test"))
    assert (train.rows, test.rows, train.classes, test.classes) == (900 - 20, 100 - 20, 26, 26)
    ends = [train.tokenizer.decode(part.y[np.array([part.rows - 1])][0]) for part in (train, test)]
    assert ends == [text[880:900], text[980:]]
    assert test.tokenizer.decode(test.x[np.array([0])][0]) == text[900:920]


def test_names_are_shuffled_and_part_at_line_feeds(folder):
    names = [f"{a}{b}{c}" for a in "abcdefghij" for b in "klmnopqrst" for c in "uvwxyzabcdefghi"]
    put(folder / "names" / "names.txt", ("\n".join(names) + "\n").encode())
    parts = [load("names", split=part) for part in ("train", "test")]
    texts = [part.tokenizer.decode(part.x.values).split() for part in parts]
    assert (
        len(texts[1]) == 1000
        and sorted(texts[0] + texts[1]) == sorted(names)
        and texts[0] + texts[1] != names
    )
    assert parts[0].tokenizer.characters[0] == "\n"


def test_the_python_library_is_the_same_text_every_time():
    data, again = (load("python_library", split="all", length=32, limit=5000) for _ in range(2))
    np.testing.assert_array_equal(data.x.values, again.x.values)
    assert (data.rows, data.classes) == (5000 - 32, 100)
    assert "import" in data.tokenizer.decode(data.x.values)
