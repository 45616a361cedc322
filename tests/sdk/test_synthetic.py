"""Synthetic drawings: repeatable, accepted, and as good as a hand's."""

import subprocess
import sys
import uuid
from collections import Counter

import pytest

from volano.data.formats import drawings as wire
from volano.data.formats import quality, strokes
from volano.sdk import synthetic

SHAPES = synthetic.SHAPES


def made(per_shape: int = 20, seed: int = 0) -> list:
    return [found.drawing for found in synthetic.drawings(SHAPES, per_shape, seed)]


def test_every_shape_is_drawn_as_often_as_asked():
    assert dict.fromkeys(SHAPES, 7) == Counter(d.shape for d in made(7))


def test_the_same_seed_gives_the_same_drawings_and_another_does_not():
    assert made(3) == made(3)
    assert made(3)[0].strokes != made(3, seed=1)[0].strokes


def test_ids_are_uuids_of_version_7_and_differ():
    ids = [uuid.UUID(d.id) for d in made()]
    assert {id.version for id in ids} == {7}
    assert len(set(ids)) == len(ids)


def test_every_drawing_is_accepted_without_a_flag():
    assert {tuple(wire.encode(d).flags) for d in made()} == {()}
    assert {d.device for d in made(1)} == {"synthetic"}


def test_the_scorer_takes_them_for_a_hand():
    scores = [quality.score(strokes.decode(wire.encode(d).payload)).score for d in made()]
    assert sum(score >= 0.5 for score in scores) > 0.9 * len(scores)


def test_no_two_replay_each_other():
    times = [tuple(strokes.decode(wire.encode(d).payload).t.tolist()) for d in made()]
    assert len(set(times)) == len(times) > 0


def test_drawers_take_turns():
    found = synthetic.drawings(["line"], 3, seed=0, drawers=2)
    assert [one.contributor for one in found] == ["synthetic-00", "synthetic-01", "synthetic-00"]


def test_an_unknown_shape_is_refused_before_the_first_drawing():
    with pytest.raises(synthetic.UnknownOutline):
        next(synthetic.drawings(["line", "giraffe"], 1, 0))


def test_it_needs_no_numpy():
    check = "import sys, volano.sdk.synthetic; sys.exit('numpy' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", check], check=False).returncode == 0
