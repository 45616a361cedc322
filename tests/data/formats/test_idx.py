"""IDX: MNIST and its kin, packed or not, whole or cut short."""

import gzip
import io
import struct
from collections import Counter

import numpy as np
import pytest
from PIL import Image

from tests.data.formats.trees import folder, found, zipped
from volano.schemas.imports import ImportUnreadable

RNG = np.random.default_rng(5)


def idx(values: np.ndarray) -> bytes:
    shape = struct.pack(f">{values.ndim}I", *values.shape)
    return bytes([0, 0, 8, values.ndim]) + shape + values.astype(np.uint8).tobytes()


PIXELS = RNG.integers(0, 256, (5, 6, 4))
LABELS = np.array([1, 0, 2, 1, 1])


def pixels_of(item) -> np.ndarray:
    return np.asarray(Image.open(io.BytesIO(item.read())))


@pytest.mark.parametrize("pack", [bytes, gzip.compress])
@pytest.mark.parametrize("named", ["train-{}-idx{}-ubyte", "train-{}.idx{}-ubyte"])
def test_every_picture_comes_with_its_pixels_and_its_label(tmp_path, pack, named):
    last = ".gz" if pack is gzip.compress else ""
    members = {
        named.format("images", 3) + last: pack(idx(PIXELS)),
        named.format("labels", 1) + last: pack(idx(LABELS)),
    }
    items, skipped = found(folder(tmp_path / "x", members))

    assert [item.label for item in items] == ["1", "0", "2", "1", "1"]
    assert all((pixels_of(item) == PIXELS[n]).all() for n, item in enumerate(items))
    assert {item.split for item in items} == {"train"}
    assert items[3].locator.endswith("#3")
    assert skipped == []


def test_colours_are_read(tmp_path):
    colours = RNG.integers(0, 256, (2, 5, 7, 3))
    items, _ = found(folder(tmp_path / "x", {"images-idx4-ubyte": idx(colours)}))
    assert (pixels_of(items[1]) == colours[1]).all()
    assert items[0].label == ""


def test_names_of_classes_can_be_given(tmp_path):
    members = {"train-images-idx3-ubyte": idx(PIXELS), "train-labels-idx1-ubyte": idx(LABELS)}
    items, skipped = found(folder(tmp_path / "x", members), names=("shoe", "shirt"))
    assert [item.label for item in items] == ["shirt", "shoe", "shirt", "shirt"]
    assert [one.error.code for one in skipped] == ["class-unknown"]


def test_one_file_is_read_with_its_labels_beside_it(tmp_path):
    members = {"train-images-idx3-ubyte": idx(PIXELS), "train-labels-idx1-ubyte": idx(LABELS),
               "t10k-images-idx3-ubyte": idx(PIXELS)}  # fmt: skip
    items, _ = found(folder(tmp_path / "x", members) / "train-images-idx3-ubyte")
    assert Counter(item.label for item in items) == {"1": 3, "0": 1, "2": 1}


def test_a_file_in_an_archive_is_read(tmp_path):
    members = {"MNIST/raw/t10k-images-idx3-ubyte.gz": gzip.compress(idx(PIXELS)),
               "MNIST/raw/t10k-labels-idx1-ubyte.gz": gzip.compress(idx(LABELS))}  # fmt: skip
    items, _ = found(zipped(tmp_path / "a.zip", members))
    assert [item.split for item in items] == ["test"] * 5


@pytest.mark.parametrize("pack", [bytes, gzip.compress])
def test_a_file_that_is_cut_short_gives_what_is_whole_and_says_so(tmp_path, pack):
    whole = pack(idx(PIXELS))
    cut = whole[: len(whole) - 30]
    items, (skipped,) = found(folder(tmp_path / "x", {"train-images-idx3-ubyte": cut}))
    assert 0 < len(items) < 5
    assert f"it ends after {len(items)} of 5 pictures" in skipped.error.message
    assert skipped.loss == "item"


@pytest.mark.parametrize(
    ("labels", "said"),
    [(idx(LABELS[:3]), "3 labels for 5 pictures"), (idx(PIXELS), "labels for 5 pictures"),
     (b"\0\0\x08\x01", "requires a buffer")],
)  # fmt: skip
def test_labels_that_do_not_fit_are_refused(tmp_path, labels, said):
    members = {"train-images-idx3-ubyte": idx(PIXELS), "train-labels-idx1-ubyte": labels}
    with pytest.raises(ImportUnreadable) as refused:
        found(folder(tmp_path / "x", members))
    assert said in refused.value.message


def test_sizes_that_no_picture_has_are_refused(tmp_path):
    lie = bytes([0, 0, 8, 3]) + struct.pack(">3I", 2**31, 2**31, 2**31)
    with pytest.raises(ImportUnreadable):
        found(folder(tmp_path / "x", {"images-idx3-ubyte": lie}))


def test_the_real_clothes_are_read(shared_data):
    items, skipped = found(shared_data("classify-fashion-mnist"))

    assert Counter(item.split for item in items) == {"train": 12_000, "test": 10_000}
    tests = Counter(item.label for item in items if item.split == "test")
    assert tests == {str(n): 1000 for n in range(10)}
    first = pixels_of(items[0])
    assert first.shape == (28, 28)
    assert first.sum() == 33_456
    assert skipped == []
