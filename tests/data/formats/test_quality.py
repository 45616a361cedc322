"""Quality: people pass, scripts do not, and every part explains itself."""

import math

import msgspec
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.data.formats.trees import found
from volano.data.formats import drawings, quality, strokes
from volano.data.formats.strokes import Strokes

SIDE = 100.0


def drawn(xy, t, **changes) -> Strokes:
    t = np.asarray(t, np.int64)
    facts = {
        "xy": np.asarray(xy, np.float32),
        "t": t - t[0],
        "starts": np.array([0, len(t)], np.int32),
        "width": SIDE,
        "height": SIDE,
    }
    return Strokes(**(facts | changes))


def perfect(corners: int, n: int):
    """A regular polygon (a circle from 60 corners on), walked at constant speed."""
    angles = 2 * math.pi * np.arange(corners + 1) / corners + 0.3
    at = np.linspace(0, corners, n)
    return np.stack(
        [50 + 38 * np.interp(at, np.arange(corners + 1), f(angles)) for f in (np.cos, np.sin)], 1
    )


def bots(kind: str, count: int = 200):
    rng = np.random.default_rng(0)
    for _ in range(count):
        n = int(rng.integers(20, 120))
        xy, t = perfect(int(rng.choice([3, 4, 60])), n), np.arange(n) * int(rng.integers(5, 20))
        if kind != "fixed clock":
            t = np.cumsum(np.maximum(1, rng.normal(12, 4, n)))
        if kind == "noise":
            xy = xy + rng.normal(0, 1.5, xy.shape)
        yield drawn(xy, t)


def share_that_passes(found) -> float:
    return float(np.mean([quality.score(drawing).score >= 0.5 for drawing in found]))


@pytest.mark.parametrize(
    ("kind", "most"), [("fixed clock", 0), ("own clock", 0.05), ("noise", 0.35)]
)
def test_scripts_rarely_pass(kind, most):
    assert share_that_passes(bots(kind)) <= most


@pytest.fixture(scope="module")
def people(shared_data) -> list[Strokes]:
    path = shared_data("strokes-omniglot-small1") / "strokes_background_small1.zip"
    items, _ = found(path)
    given = [item.drawing.drawing for item in items if item.drawing]
    return [strokes.decode(drawings.encode(one).payload) for one in given]


def test_people_pass(people):
    assert share_that_passes(people) > 0.98


@st.composite
def any_drawings(draw) -> Strokes:
    n = draw(st.integers(1, 30))
    rng = np.random.default_rng(draw(st.integers(0, 2**32)))
    cuts = draw(st.lists(st.integers(1, n), max_size=4, unique=True))
    scale = draw(st.sampled_from([0.0, 1.0, 30.0, 1e6]))
    return drawn(
        rng.normal(50, scale, (n, 2)),
        np.cumsum(rng.integers(0, draw(st.sampled_from([1, 20, 10**9])), n)),
        starts=np.array(sorted({0, n, *cuts}), np.int32),
        device=draw(st.sampled_from(["mouse", "touch", "unknown"])),
    )


@given(any_drawings())
def test_the_score_is_the_product_of_its_parts(drawing):
    found = quality.score(drawing)
    assert 0 <= found.score <= 1
    assert math.prod(part.value for part in found.parts) == found.score
    assert all(0 <= part.value <= 1 and part.reason for part in found.parts)
    assert len({part.name for part in found.parts}) == len(found.parts)
    msgspec.convert(msgspec.to_builtins(found), type(found))  # within the bounds of the wire


def part(drawing: Strokes, name: str) -> float:
    return next(p.value for p in quality.score(drawing).parts if p.name == name)


def wave(n: int = 60, size: float = 40.0, wait_ms: int = 16) -> Strokes:
    """A hand-like wave: slow at both ends, a little shaky."""
    u = (1 - np.cos(np.linspace(0, math.pi, n))) / 2
    shake = np.random.default_rng(1).normal(0, size / 200, (n, 2))
    xy = np.stack([50 + size * (u - 0.5), 50 + size / 4 * np.sin(9 * u)], 1) + shake
    waits = np.random.default_rng(2).integers(wait_ms // 2, wait_ms * 2, n)
    return drawn(xy, np.cumsum(waits))


def test_a_hand_like_wave_has_nothing_against_it():
    assert quality.score(wave()).score == 1


def test_a_speck_is_too_small():
    assert part(wave(size=1), "size") == 0


def test_a_drawing_far_off_the_canvas_is_misplaced():
    away = wave()
    assert part(drawn(away.xy + 200, away.t), "size") == 0


def test_a_scribble_has_too_much_ink():
    rng = np.random.default_rng(3)
    assert part(drawn(rng.uniform(10, 90, (200, 2)), np.arange(200) * 9), "size") == 0


def test_a_dot_and_a_flash_have_no_structure():
    assert part(drawn([[5, 5]], [0]), "structure") == 0
    assert part(wave(wait_ms=2), "structure") < 1


def test_a_hundred_strokes_have_no_structure():
    crumbs = wave(n=200)
    starts = np.arange(0, 201, 2, dtype=np.int32)
    assert part(drawn(crumbs.xy, crumbs.t, starts=starts), "structure") == 0


def test_a_fixed_clock_is_normal_for_a_touch_screen_only():
    xy, t = wave().xy, np.arange(60) * 8
    assert part(drawn(xy, t, device="touch"), "clock") == 1
    assert part(drawn(xy, t, device="mouse"), "clock") == 0.5


def test_the_jump_between_strokes_is_no_move_of_the_hand():
    left, right = wave(size=20), wave(size=20)
    both = drawn(
        np.concatenate([left.xy - 25, right.xy + 25]),
        np.concatenate([left.t, right.t + left.t[-1] + 700]),
        starts=np.array([0, 60, 120], np.int32),
    )
    assert quality.score(both).score == 1
