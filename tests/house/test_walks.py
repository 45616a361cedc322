"""How many files a reader opens to follow one request."""

from pathlib import Path

from tests.house.walks import walks

MOST_OF_A_DRAWING, MOST_OF_A_PREDICTION, MOST_OF_STAGES = 17, 14, 8
"""What was reached so far; lower it with whatever lowers the walks."""


async def test_a_request_is_followed_from_the_app_to_its_stage(tmp_path: Path) -> None:
    drawing, prediction = await walks(tmp_path)

    assert {"core/http/app.py", "labeling/api.py"} <= set(drawing.files)
    assert {"core/http/app.py", "serving/api.py"} <= set(prediction.files)
    assert len(drawing.files) <= MOST_OF_A_DRAWING, str(drawing)
    assert len(drawing.of_stages) <= MOST_OF_STAGES, str(drawing)
    assert len(prediction.files) <= MOST_OF_A_PREDICTION, str(prediction)
    assert len(prediction.of_stages) <= MOST_OF_STAGES, str(prediction)
