"""Pictures of every mode, folders of them, and predictions for their files."""

import numpy as np
import pytest

import jnn
from jnn.data import Dataset, ImageEncoding
from jnn.data._image_folder import read_pictures
from jnn.data._pixels import stack_pictures

Image = pytest.importorskip("PIL.Image", reason="needs the extra 'images'")

RED, GRAY = (200, 40, 90), 130


def picture(mode):
    """A picture of 4 x 3 pixels of one color in a mode, and the color as Pillow's RGB or gray."""
    if mode == "P":
        image = Image.new("P", (3, 4), 1)
        image.putpalette([0, 0, 0, *RED])
        return image, np.array(RED) / 255
    if mode.startswith("I"):
        return Image.fromarray(np.full((4, 3), 40000, np.uint16)).convert(mode), [40000 / 65535]
    if mode == "F":
        return Image.fromarray(np.full((4, 3), 0.25, np.float32)), [0.25]
    if mode in ("1", "L", "LA"):
        value = 1 if mode == "1" else GRAY
        image = Image.new(mode, (3, 4), value if mode != "LA" else (GRAY, 255))
        return image, [1.0 if mode == "1" else GRAY / 255]
    image = Image.new("RGB", (3, 4), RED).convert(mode)
    return image, np.asarray(image.convert("RGB"))[0, 0] / 255


@pytest.mark.parametrize(
    "mode", ["1", "L", "LA", "P", "RGB", "RGBA", "CMYK", "YCbCr", "HSV", "I;16", "I", "F"]
)
def test_a_picture_is_what_its_pixels_mean(mode):
    image, color = picture(mode)
    rows = stack_pictures([image, image], ["a", "b"])
    assert rows.shape == (2, 4, 3, len(color)) and rows.dtype == np.float32
    np.testing.assert_allclose(rows[1, 2, 1], color, rtol=1e-6)


def test_gray_and_colored_pictures_share_three_channels_and_sizes_are_made_one():
    rows = stack_pictures([picture("L")[0], picture("P")[0]], ["a", "b"])
    np.testing.assert_allclose(rows[:, 0, 0], [[GRAY / 255] * 3, np.array(RED) / 255], rtol=1e-6)
    wide = Image.new("RGB", (9, 8), RED)
    with pytest.raises(ValueError, match=r"4 x 3 pixels in a but 8 x 9 pixels in b\. Pass size="):
        stack_pictures([picture("RGB")[0], wide], ["a", "b"])
    rows = stack_pictures([picture("I;16")[0], wide], ["a", "b"], (2, 5))
    assert rows.shape == (2, 2, 5, 3)
    np.testing.assert_allclose(rows[1], np.broadcast_to(np.array(RED) / 255, (2, 5, 3)), rtol=1e-5)
    np.testing.assert_allclose(rows[0], 40000 / 65535, rtol=1e-6)


def test_what_is_transparent_lies_on_white_and_it_is_told():
    image = Image.new("RGBA", (2, 1), (*RED, 255))
    image.putpixel((1, 0), (0, 0, 0, 51))
    with pytest.warns(UserWarning, match="1 pictures are transparent"):
        rows = stack_pictures([image], ["a"])
    np.testing.assert_allclose(rows[0, 0], [np.array(RED) / 255, [0.8] * 3], atol=2e-3)


class Rows:
    column_names = ("image", "label")
    features = None

    def __init__(self, images):
        self.column_names = ["image", "label"]
        self._images = images

    def __getitem__(self, name):
        return self._images if name == "image" else [i % 2 for i in range(len(self._images))]


@pytest.mark.parametrize(
    ("images", "error", "words"),
    [
        ([picture("L")[0], None], TypeError, "got None in row 1"),
        ([picture("L")[0], Image.new("L", (9, 9))], ValueError, "9 x 9 pixels in row 1"),
        ([np.zeros((4, 3)), np.zeros((5, 3))], ValueError, r"got \(4, 3\) .* \(5, 3\) in row 1"),
    ],
)
def test_a_row_that_is_no_picture_like_the_others_is_named(images, error, words):
    with pytest.raises(error, match=words):
        Dataset.from_huggingface(Rows(images), "image", "label")


def test_pictures_of_a_hugging_face_column_may_be_resized():
    images = [picture("L")[0], Image.new("L", (9, 9), 255)]
    assert Dataset.from_huggingface(Rows(images), "image", "label", size=6).x.shape == (2, 6, 6, 1)


@pytest.fixture
def folder(tmp_path):
    root = tmp_path / "pets"
    for name, value in (("dog", 250), ("cat", 10)):
        (root / name).mkdir(parents=True)
        for i in range(3):
            Image.new("L", (8, 8), value + i).save(root / name / f"{i}.png")
    (root / "cat" / "notes.txt").write_text("of cats")
    (root / "cat" / ".DS_Store").write_text("")
    (root / ".git").mkdir()
    (root / "empty").mkdir()
    return root


def test_subfolders_are_classes_and_what_is_no_picture_is_told(folder):
    data = Dataset.from_images(folder)
    assert (data.name, data.target_names, data.y.tolist()) == (
        "pets",
        ("cat", "dog"),
        [0, 0, 0, 1, 1, 1],
    )
    np.testing.assert_allclose(data.x[:, 0, 0, 0] * 255, [10, 11, 12, 250, 251, 252], rtol=1e-6)
    assert "notes.txt" in repr(data) and "empty" in repr(data) and "DS_Store" not in repr(data)
    assert Dataset.from_images(str(folder), size=(4, 6)).x.shape == (6, 4, 6, 1)


def test_train_and_test_become_the_published_split(folder):
    for part in ("train", "test", "val"):
        for name in ("cat", "dog"):
            (folder.parent / "all" / part / name).mkdir(parents=True)
            Image.open(folder / name / "0.png").save(folder.parent / "all" / part / name / "0.png")
    data = Dataset.from_images(folder.parent / "all")
    ((train, validation, test),) = data.splits
    assert [part.tolist() for part in (train, validation, test)] == [[0, 1], [2, 3], [4, 5]]
    assert data.y.tolist() == [0, 1] * 3


def test_a_damaged_picture_is_named_and_a_folder_needs_classes(folder):
    (folder / "dog" / "9.jpg").write_bytes(b"no picture")
    with pytest.raises(ValueError, match=r"dog.9\.jpg is damaged or no picture"):
        Dataset.from_images(folder)
    for wrong, words in ((folder / "dog", "a subfolder with pictures"), ("here", "got 'here'")):
        with pytest.raises(ValueError, match=words):
            Dataset.from_images(wrong)
    with pytest.raises(ValueError, match="size must be a height and a width"):
        Dataset.from_images(folder, size=(3, 0))


def test_later_files_become_rows_as_in_training(folder):
    encoding = ImageEncoding.from_json(ImageEncoding((8, 8, 3)).to_json())
    rows = encoding.encode_files([folder / "cat" / "0.png"])
    assert rows.shape == (1, 8, 8, 3)
    np.testing.assert_array_equal(rows[..., 0], read_pictures([folder / "cat" / "0.png"])[..., 0])
    Image.new("RGB", (9, 8), RED).save(folder / "wide.png")
    with pytest.raises(ValueError, match="8 x 8 pixels, got 8 x 9"):
        encoding.encode_files([folder / "wide.png"])
    with pytest.raises(ValueError, match="gray as in training, got colors"):
        ImageEncoding((8, 8, 1), is_resized=True).encode_files([folder / "wide.png"])


def test_a_folder_is_trained_on_and_its_files_are_predicted(folder, monkeypatch, tmp_path):
    import pandas as pd

    from jnn.cli import main

    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr("jnn.cli._setup.configure_jax", lambda: None)
    quick = ["--seeds", "1", "--folds", "3", "--epochs", "30", "--grid", "learning_rate=0.1"]
    main(["run", "pets", *quick, "--model", "mlp:", "--out", "run"])
    main(["predict", "run", "pets", "--out", "p.csv"])
    table = pd.read_csv("p.csv")
    assert table["file"].tolist() == [f"{c}/{i}.png" for c in ("cat", "dog") for i in range(3)]
    assert table["prediction"].tolist() == ["cat"] * 3 + ["dog"] * 3
    main(["predict", "run", "pets/dog/1.png", "pets/cat/2.png", "--out", "q.csv"])
    table = pd.read_csv("q.csv")
    assert table["file"].tolist() == ["pets/dog/1.png", "pets/cat/2.png"]
    assert table["prediction"].tolist() == ["dog", "cat"]


def test_the_default_network_fits_the_kind_of_data():
    from jnn.recipes import About, default_model, make_model, make_study

    for side in (2, 8, 28, 64, 224):
        about = About("pets", "images", "classification", (side, side, 3), (), 2)
        make_model(default_model(about), about)
    texts = About("notes", "texts", "classification", (9,), (), 2, 50)
    series = About("load", "series", "regression", (8, 2), (3, 2), 6)
    assert default_model(texts).startswith("textcnn") and default_model(series) == "nlinear"
    assert make_study(series).model.name == "NLinear"
    assert isinstance(jnn.recipes.default_epochs(24, 24), int)
