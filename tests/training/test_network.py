"""The recogniser averages what its readers say, and its temperature moves no rank."""

import pytest


@pytest.fixture(scope="module")
def recogniser():
    import torch

    from volano.training.network import Recogniser

    torch.manual_seed(1)
    return Recogniser(4, size_px=32, width=4).eval()


@pytest.fixture(scope="module")
def drawings():
    import torch

    generator = torch.Generator().manual_seed(2)
    return torch.rand(3, 20, 4, generator=generator) * 100, torch.tensor([20, 7, 1])


def test_answers_are_probabilities(recogniser, drawings) -> None:
    probabilities, logits = recogniser(*drawings)
    assert probabilities.shape == logits.shape == (3, 4)
    assert probabilities.sum(dim=1).tolist() == pytest.approx([1, 1, 1])


def test_the_readers_have_an_equal_say(recogniser, drawings) -> None:
    import torch

    from volano.training.network import placed

    ends, there = placed(*drawings)
    each = [reader(ends, there) for reader in recogniser.readers]
    torch.testing.assert_close(recogniser.logits(*drawings), torch.stack(each).mean(dim=0))


def test_a_drawing_is_read_as_its_own_box_whatever_its_place(recogniser, drawings) -> None:
    import torch

    segments, count = drawings
    moved = recogniser.logits(segments * 3 + 40, count)
    torch.testing.assert_close(recogniser.logits(segments, count), moved, atol=1e-3, rtol=0)


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
    from volano.training.network import Recogniser

    large = Recogniser(4, size_px=64, width=4).eval()
    assert large.logits(*drawings).shape == (3, 4)
