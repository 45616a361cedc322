"""Baseline, variation, network, graph and cautions of the image recipe."""

from pathlib import Path

import numpy as np
import pytest

from tests.training.pictures import KINDS, stage
from volano.schemas.registry import ArtefactRefused, ImageSpec
from volano.training.recipes.image import baseline, cautions
from volano.training.recipes.image.baseline import Baseline
from volano.training.recipes.image.form import Seen
from volano.training.recipes.image.staged import Known
from volano.training.staged import label_counts

SPEC = ImageSpec(height=16, width=20, channels=1)


@pytest.fixture
def known(tmp_path: Path) -> Known:
    data = stage(tmp_path / "data", {"train": 60, "valid": 15})
    return Known.read(data, label_counts(data), list(KINDS), SPEC, threads=1)


def test_the_baseline_beats_chance_and_comes_back_from_its_file(known: Known, tmp_path: Path):
    simple = baseline.fit(known)
    simple.save(tmp_path / "baseline.npz")
    shown, truth = known.images.pixels[known.valid], known.images.truth[known.valid]

    assert (simple.predict(shown) == truth).mean() > 0.6
    read = Baseline.load(tmp_path / "baseline.npz")
    np.testing.assert_array_equal(read.predict(shown), simple.predict(shown))


def test_the_baseline_solves_the_ridge_equations(known: Known) -> None:
    simple = baseline.fit(known)
    numbers = known.images.pixels[known.learn].reshape(len(known.learn), -1) / 127.5 - 1
    numbers = np.hstack([numbers, np.ones((len(numbers), 1))])
    wanted = np.eye(3)[known.images.truth[known.learn]]
    left = numbers.T @ (wanted - numbers @ simple.weights)
    penalties = [penalty * len(numbers) for penalty in baseline.PENALTIES]
    assert any(np.allclose(left, penalty * simple.weights, atol=1e-3) for penalty in penalties)


@pytest.mark.parametrize(
    ("side", "channels", "numbers"), [(32, 1, 1024), (33, 1, 256), (96, 3, 768), (8, 3, 192)]
)
def test_the_baseline_sees_pictures_small(side: int, channels: int, numbers: int) -> None:
    weights = np.zeros((numbers + 1, 2))
    pictures = np.zeros((3, side, side, channels), np.uint8)
    assert Baseline(weights=weights).predict(pictures).tolist() == [0, 0, 0]


def test_variation_of_no_strength_changes_nothing() -> None:
    import torch

    from volano.training.recipes.image.augment import Variation, augment

    pictures = torch.randn(6, 3, 12, 16)
    generator = torch.Generator().manual_seed(1)
    same = augment(generator, pictures, Variation().times(0), flip=False)
    torch.testing.assert_close(same, pictures, atol=1e-4, rtol=1e-4)


def test_half_of_the_pictures_are_mirrored_where_that_is_asked_for() -> None:
    import torch

    from volano.training.recipes.image.augment import Variation, augment

    pictures = torch.randn(400, 1, 6, 8)
    generator = torch.Generator().manual_seed(1)
    found = augment(generator, pictures, Variation().times(0), flip=True)
    mirrored = (found - pictures.flip(3)).abs().amax((1, 2, 3)) < 1e-4
    same = (found - pictures).abs().amax((1, 2, 3)) < 1e-4
    assert (mirrored ^ same).all()
    assert 140 < int(mirrored.sum()) < 260


def test_variation_moves_no_picture_out_of_sight() -> None:
    import torch

    from volano.training.recipes.image.augment import Variation, augment

    spot = torch.zeros(200, 1, 24, 24)
    spot[:, :, 9:15, 9:15] = 1
    only_moved = Variation(contrast=0.0, light=0.0, tint=0.0, cover=0.0)
    found = augment(torch.Generator().manual_seed(1), spot, only_moved, flip=True)
    assert float(found.sum((1, 2, 3)).min()) > 0.6 * 36


@pytest.mark.parametrize(
    "spec",
    [
        ImageSpec(height=28, width=28, channels=1),
        ImageSpec(height=16, width=20, channels=1),
        ImageSpec(height=9, width=7, channels=3),
        ImageSpec(height=96, width=72, channels=3),
        ImageSpec(height=96, width=8, channels=3),
        ImageSpec(height=1, width=1, channels=3),
    ],
)
def test_the_graph_answers_as_the_network_for_any_form(spec: ImageSpec, tmp_path: Path) -> None:
    import torch

    from volano.training.networks import onnx_graph
    from volano.training.recipes.image import export
    from volano.training.recipes.image.network import Classifier

    torch.manual_seed(3)
    rng = np.random.default_rng(3)
    shape = (5, spec.height, spec.width, spec.channels)
    pictures = rng.integers(0, 256, shape, np.uint8)
    classifier = Classifier(7, spec, width=8, dropout=0.3)
    classifier.normalise_by(pictures)
    classifier.temperature.fill_(0.1)  # sharp, so that differences would show
    classifier.eval()
    export.write(classifier, tmp_path / "model.onnx")
    graph = onnx_graph.session(tmp_path / "model.onnx")

    assert export.parity(classifier, graph, pictures) < 1e-5
    assert export.parity(classifier, graph, pictures[:1]) < 1e-5
    assert export.scores(graph, pictures)[0].shape == (5, 7)
    assert [path.name for path in tmp_path.iterdir()] == ["model.onnx"]
    classifier.temperature.fill_(torch.nan)
    with pytest.raises(ArtefactRefused, match="differ by nan"):
        export.parity(classifier, graph, pictures)


def test_pictures_that_are_all_alike_do_not_divide_by_zero() -> None:
    from volano.training.recipes.image.network import Classifier

    classifier = Classifier(2, SPEC, width=4, dropout=0.0)
    classifier.normalise_by(np.full((3, 16, 20, 1), 7, np.uint8))
    assert classifier.mean.item() == 7
    assert classifier.deviation.item() == 1


def test_classes_with_few_pictures_and_one_that_is_nearly_all_are_told() -> None:
    counts = {"train": {"cat": 95, "dog": 4}, "valid": {"cat": 1}, "test": {"dog": 1}}
    few, most = cautions.of_labels(counts, unlabelled=0)[-2:]
    assert few == "'dog': fewer than 5 pictures to learn from; add some, or leave it out."
    assert most.startswith("96% of the pictures to learn from are 'cat'")


def test_pictures_far_smaller_than_what_is_seen_are_told() -> None:
    large, small = (Seen(height=side, width=side, is_gray=True) for side in (200, 20))
    spec = ImageSpec(height=96, width=96, channels=1)
    assert cautions.of_pictures([large], spec) == []
    (found,) = cautions.of_pictures([large, small], spec)
    assert found.startswith("Some pictures are only 20 px large and are blown up to 96")


def test_names_beyond_a_few_are_counted() -> None:
    assert cautions.named(list("abcdefg")) == "'a', 'b', 'c', 'd', 'e' and 2 more"
