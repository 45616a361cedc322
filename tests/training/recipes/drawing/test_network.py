"""The recogniser reads a drawing both ways up, and its temperature moves no rank."""

import pytest


@pytest.fixture(scope="module")
def recogniser():
    import torch

    from volano.training.recipes.drawing.network import Recogniser

    torch.manual_seed(1)
    return Recogniser(4, size_px=32, width=4, dropout=0.3).eval()


@pytest.fixture(scope="module")
def drawings():
    import torch

    generator = torch.Generator().manual_seed(2)
    return torch.rand(3, 20, 4, generator=generator) * 100, torch.tensor([20, 7, 1])


def test_answers_are_probabilities(recogniser, drawings) -> None:
    probabilities, logits = recogniser(*drawings)
    assert probabilities.shape == logits.shape == (3, 4)
    assert probabilities.sum(dim=1).tolist() == pytest.approx([1, 1, 1])


def test_a_half_turn_of_the_drawing_is_a_half_turn_of_its_views(recogniser, drawings) -> None:
    import torch

    from volano.training.recipes.drawing.network import turned

    segments, count = drawings
    expected = recogniser.views(-segments, count)
    for found, view in zip(turned(recogniser.views(segments, count)), expected, strict=True):
        torch.testing.assert_close(found, view, atol=1e-4, rtol=0)


def test_turning_a_drawing_swaps_what_the_two_readings_say(recogniser, drawings) -> None:
    import torch

    segments, count = drawings
    upright = recogniser.network(*recogniser.views(segments, count))
    upside_down = recogniser.network(*recogniser.views(-segments, count))
    expected = (upright[:, :, :4] + upside_down[:, :, 4:]).mean(dim=0) / 2
    torch.testing.assert_close(recogniser.logits(segments, count), expected, atol=1e-4, rtol=0)


def test_padding_leaves_no_trace(recogniser, drawings) -> None:
    import torch

    segments, count = drawings
    alone = [recogniser.logits(s[None, :n], n[None]) for s, n in zip(segments, count, strict=True)]
    torch.testing.assert_close(recogniser.logits(*drawings), torch.cat(alone), atol=1e-5, rtol=0)


def test_a_higher_temperature_is_less_sure_of_the_same(recogniser, drawings) -> None:
    before, _ = recogniser(*drawings)
    recogniser.temperature.fill_(5.0)
    after, _ = recogniser(*drawings)
    recogniser.temperature.fill_(1.0)
    assert after.argmax(dim=1).tolist() == before.argmax(dim=1).tolist()
    assert (after.max(dim=1).values < before.max(dim=1).values).all()


def test_larger_pictures_go_through_the_same_layers(drawings) -> None:
    from volano.training.recipes.drawing.network import Recogniser

    large = Recogniser(4, size_px=64, width=4, dropout=0.3).eval()
    assert large.logits(*drawings).shape == (3, 4)
