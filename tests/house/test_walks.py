"""How many files a reader opens to follow one request."""

from pathlib import Path

from tests.house.walks import walks


async def test_a_request_is_followed_from_the_app_to_its_stage(tmp_path: Path) -> None:
    drawing, prediction = await walks(tmp_path)

    assert {"core/http/app.py", "labeling/api.py"} <= set(drawing.files)
    assert {"core/http/app.py", "serving/api.py"} <= set(prediction.files)
