"""Points of metrics, packed and unpacked."""

from hypothesis import given
from hypothesis import strategies as st

from volano.registry.series import by_metric, encode, latest, scalars
from volano.schemas.harness import Point

_values = st.dictionaries(
    st.sampled_from(["loss", "accuracy", "lr"]), st.floats(allow_nan=False, allow_infinity=False)
)
_points = st.lists(
    st.builds(Point, step=st.integers(0, 10**6), at_s=st.floats(0, 1e6), values=_values),
    max_size=20,
)


@given(st.lists(_points, max_size=4))
def test_nothing_is_lost_between_packing_and_series(chunks: list[list[Point]]) -> None:
    series = {one.metric: one for one in by_metric(map(encode, chunks))}
    points = [point for chunk in chunks for point in chunk]
    for metric in {name for point in points for name in point.values}:
        with_it = [point for point in points if metric in point.values]
        assert [p.step for p in with_it] == series[metric].steps
        assert [p.at_s for p in with_it] == series[metric].at_s
        assert [p.values[metric] for p in with_it] == series[metric].values
    assert {one.metric: one.values[-1] for one in series.values()} == latest(points)


def test_figures_are_numbers_also_one_level_down() -> None:
    figures = {
        "accuracy": 0.9,
        "n": 12,
        "passed": True,
        "classes": ["a"],
        "macro": {"f1": 0.8, "notes": "none", "deep": {"x": 1}},
    }
    assert scalars(figures) == {"accuracy": 0.9, "n": 12.0, "macro_f1": 0.8}
