"""Runs, what they logged, and versions numbered without a gap."""

import asyncio

import msgspec
import pytest

from tests.registry.versions import MODEL, begun, registered, version_file
from tests.stages import Connect
from volano.core.context import Context
from volano.registry import service
from volano.registry.series import Told
from volano.schemas import registry as schemas
from volano.schemas.accounts import Who
from volano.schemas.errors import Missing
from volano.schemas.harness import Point
from volano.schemas.registry import Failure, Progress


def _points(*steps: int, metric: str = "loss") -> list[Point]:
    return [Point(step=step, at_s=step / 10, values={metric: 1.0 / (1 + step)}) for step in steps]


async def _over(ctx: Context, who: Who, id: str, failure: Failure | None = None) -> bool:
    async with ctx.db.begin(who.workspace) as tx:
        return await service.end_run(tx, id, failure=failure)


async def test_versions_of_a_model_are_numbered_1_2_3(server: Context, boss: Who) -> None:
    for model in ("a", "b", "a", "a"):
        await registered(server, boss, model=model)
    page = await service.versions(server, boss, model="a", after="", limit=9)
    assert [version.number for version in page.items] == [3, 2, 1]
    assert (await service.versions(server, boss, model="b", after="", limit=9)).items[0].number == 1


async def test_numbers_stay_without_gap_or_twin_when_many_register_at_once(
    server: Context, other_process: Context, boss: Who
) -> None:
    contexts = [server, other_process] * 4
    made = await asyncio.gather(*(registered(ctx, boss) for ctx in contexts))
    assert list(range(1, 9)) == sorted(version.number for version in made)


async def test_another_workspace_counts_its_own(server: Context, boss: Who, outsider: Who) -> None:
    first, other = await registered(server, boss), await registered(server, outsider)
    assert (first.number, other.number) == (1, 1)
    with pytest.raises(Missing):
        await service.version(server, outsider, first.id)
    with pytest.raises(Missing):
        await service.file(server, outsider, first.id, "model.onnx")


async def test_a_version_tells_everything_that_made_it(server: Context, boss: Who) -> None:
    made = await registered(server, boss, snapshot="snap_7", params={"width": 9})
    run = await service.run(server, boss, made.run)
    assert (made.id, "finished", "snap_7", {"width": 9}, "src_1", boss.member) == (
        run.version, run.state, made.snapshot, made.params, made.source, made.created_by,
    )  # fmt: skip
    assert await service.file(server, boss, made.id, "model.onnx") == b"graph"
    with pytest.raises(Missing):
        await service.file(server, boss, made.id, "other.onnx")


async def test_equal_files_have_an_equal_digest(server: Context, boss: Who) -> None:
    contents = ({"a": b"1", "b": b"2"}, {"b": b"2", "a": b"1"}, {"a": b"2", "b": b"1"})
    same, again, other = [(await registered(server, boss, files)).digest for files in contents]
    assert (same == again, same == other) == (True, False)


async def test_versions_are_compared_by_metrics_and_differing_parameters(
    server: Context, boss: Who
) -> None:
    one = await registered(
        server, boss, params={"width": 8, "size": 1}, metrics={"accuracy": 0.5, "ece": 0.1}
    )
    two = await registered(server, boss, params={"width": 16, "size": 1}, metrics={"accuracy": 0.9})
    found = await service.compare(server, boss, [two.id, one.id])
    assert [two, one] == found.versions
    assert found.metrics == {"accuracy": [0.9, 0.5], "ece": [None, 0.1]}
    assert found.params == {"width": [16, 8]}


async def test_a_comparison_with_what_is_not_there_is_missing(server: Context, boss: Who) -> None:
    one = await registered(server, boss)
    with pytest.raises(Missing):
        await service.compare(server, boss, [one.id, "ver_none"])


async def test_points_come_back_as_one_series_a_metric(server: Context, boss: Who) -> None:
    run = await begun(server, boss)
    for number, points in enumerate((_points(0, 1), _points(1, metric="accuracy"), _points(2)), 1):
        told = Told(number=number, points=points, progress=Progress(done=1))
        await service.record(server, boss.workspace, run, told)
    loss, accuracy = await service.run_series(server, boss, run.id)
    assert (loss.metric, loss.steps, loss.at_s) == ("loss", [0, 1, 2], [0.0, 0.1, 0.2])
    assert (accuracy.metric, accuracy.steps) == ("accuracy", [1])
    shown = await service.run(server, boss, run.id)
    assert shown.metrics == {"loss": 1 / 3, "accuracy": 0.5}
    assert shown.progress.done == 1.0


async def test_points_that_are_recorded_twice_count_once(server: Context, boss: Who) -> None:
    run = await begun(server, boss)
    told = Told(number=1, points=_points(0), progress=Progress())
    for _ in range(2):
        await service.record(server, boss.workspace, run, told)
    assert [one.steps for one in await service.run_series(server, boss, run.id)] == [[0]]


async def test_an_attempt_that_was_overtaken_changes_nothing_that_is_shown(
    server: Context, boss: Who
) -> None:
    old = await begun(server, boss)
    new = await service.begin_attempt(server, boss.workspace, old.id, 2)
    assert new is not None
    for run, step in ((new, 5), (old, 9)):
        told = Told(number=1, points=_points(step), progress=Progress(done=step))
        await service.record(server, boss.workspace, run, told)
    shown = await service.run(server, boss, old.id)
    assert (shown.attempt, shown.progress.done, shown.metrics["loss"]) == (2, 5.0, 1 / 6)
    assert [one.steps for one in await service.run_series(server, boss, old.id)] == [[5]]


async def test_what_a_run_prints_and_warns_of_is_shown_while_it_goes_on(
    server: Context, boss: Who
) -> None:
    run = await begun(server, boss)
    told = Told(number=1, progress=Progress(), warnings=["few"], output=b"half way\n")
    await service.record(server, boss.workspace, run, told)
    assert (await service.run(server, boss, run.id)).warnings == ["few"]
    assert await service.run_log(server, boss, run.id) == b"half way\n"
    await service.begin_attempt(server, boss.workspace, run.id, 2)
    assert (await service.run(server, boss, run.id)).warnings == []
    assert await service.run_log(server, boss, run.id) == b""


async def test_once_a_run_is_over_its_whole_log_is_shown(server: Context, boss: Who) -> None:
    run = await begun(server, boss)
    told = Told(number=1, progress=Progress(), output=b"the end of it\n")
    await service.record(server, boss.workspace, run, told)
    log = await server.blobs.put(boss.workspace, b"all of it\n")
    async with server.db.begin(boss.workspace) as tx:
        await service.end_run(tx, run.id, log=log)
    assert await service.run_log(server, boss, run.id) == b"all of it\n"


async def test_a_run_ends_once(server: Context, boss: Who) -> None:
    run = await begun(server, boss)
    failure = Failure(class_="user.code", message="a bug")
    assert await _over(server, boss, run.id, failure)
    assert not await _over(server, boss, run.id)
    assert await service.begin_attempt(server, boss.workspace, run.id, 2) is None
    shown = await service.run(server, boss, run.id)
    assert ("failed", failure) == (shown.state, shown.failure)
    assert await service.open_runs(server) == []


async def test_a_cancelled_run_is_no_failed_one(server: Context, boss: Who) -> None:
    run = await begun(server, boss)
    await _over(server, boss, run.id, Failure(class_="cancelled", message="asked for"))
    assert (await service.run(server, boss, run.id)).state == "cancelled"


async def test_runs_are_listed_newest_first_by_state_and_model(server: Context, boss: Who) -> None:
    made = [await begun(server, boss, model=model) for model in ("a", "b", "a")]
    await _over(server, boss, made[0].id)

    async def ids(state: str | None = None, model: str | None = None) -> list[str]:
        found, after = [], ""
        for _ in range(9):
            page = await service.runs(server, boss, state=state, model=model, after=after, limit=1)
            found += [run.id for run in page.items]
            if not (after := page.next or ""):
                break
        return found

    newest_first = [run.id for run in made[::-1]]
    assert await ids() == newest_first
    assert newest_first[:2] == await ids(state="running")
    assert [made[2].id, made[0].id] == await ids(model="a")
    assert [made[0].id] == await ids(state="finished", model="a")


async def test_a_run_of_another_workspace_is_missing(
    server: Context, boss: Who, outsider: Who
) -> None:
    run = await begun(server, boss)
    for read in (service.run, service.run_series, service.run_log):
        with pytest.raises(Missing):
            await read(server, outsider, run.id)


async def test_a_version_without_a_graph_cannot_be_served(server: Context, boss: Who) -> None:
    version = await registered(server, boss, {"notes.txt": b"none"})
    with pytest.raises(schemas.ArtefactRefused):
        await service.servable(server, boss.workspace, version.id)


async def test_what_is_served_is_the_graph_with_its_facts(server: Context, boss: Who) -> None:
    told = version_file("a", golden=[schemas.Golden(input=[1], scores=[1.0])])
    version = await registered(server, boss, told=told)
    assert await service.servable(server, boss.workspace, version.id) == (told, b"graph")


async def test_the_runs_on_a_snapshot_are_found(server: Context, boss: Who) -> None:
    made = [await begun(server, boss, snapshot=name) for name in ("snap_1", "snap_2", "snap_1")]
    found = await service.runs_on(server, boss, "snap_1")
    assert [made[2].id, made[0].id] == [run.id for run in found]
    assert {run.model for run in found} == {MODEL}


async def test_a_run_survives_the_wire(server: Context, boss: Who) -> None:
    run = await begun(server, boss)
    failure = Failure(class_="user.code", message="a bug", frame="model.py:3 train")
    await _over(server, boss, run.id, failure)
    there = await service.run(server, boss, run.id)
    sent = msgspec.json.encode(there)
    assert msgspec.json.decode(sent)["failure"]["class"] == "user.code"
    assert msgspec.json.decode(sent, type=schemas.Run) == there
    assert there.failure == failure


async def test_an_attempt_begins_once_however_often_its_message_comes(
    server: Context, boss: Who
) -> None:
    run = await begun(server, boss)
    assert await service.begin_attempt(server, boss.workspace, run.id, 1) is None
    again = await service.begin_attempt(server, boss.workspace, run.id, 2)
    assert again is not None
    assert again.attempt == 2
    assert await service.begin_attempt(server, boss.workspace, run.id, 1) is None


async def test_a_file_in_a_folder_of_a_version_is_sent_whole_and_in_parts(
    server: Context, boss: Who, connect: Connect
) -> None:
    content = bytes(range(256)) * 12_000
    files = {"weights/layer 1/w.bin": content, "weights/empty.bin": b""}
    made = await registered(server, boss, {"model.onnx": b"graph"} | files)
    http = await connect("developer")
    path = f"/versions/{made.id}/files/weights"

    whole = await http.get(f"{path}/layer%201/w.bin")
    assert whole.status_code == 200
    assert whole.content == content
    assert whole.headers["accept-ranges"] == "bytes"
    quoted = await http.get(f"/versions/{made.id}/files/weights%2Flayer%201%2Fw.bin")
    assert quoted.content == content
    part = await http.get(f"{path}/layer%201/w.bin", headers={"range": "bytes=5-2000004"})
    assert part.status_code == 206
    assert part.headers["content-range"] == f"bytes 5-2000004/{len(content)}"
    assert part.content == content[5:2000005]
    end = await http.get(f"{path}/layer%201/w.bin", headers={"range": "bytes=-7"})
    assert end.content == content[-7:]
    empty = await http.get(f"{path}/empty.bin")
    assert empty.status_code == 200
    assert empty.content == b""


async def test_a_file_or_a_range_that_is_not_there_is_refused(
    server: Context, boss: Who, connect: Connect
) -> None:
    made = await registered(server, boss, {"a/b.bin": b"12345"})
    http = await connect("developer")
    for name in ("a", "a/", "a/b.bin/c", "b.bin", "../model.onnx"):
        answer = await http.get(f"/versions/{made.id}/files/{name}")
        assert answer.status_code == 404
    refused = await http.get(f"/versions/{made.id}/files/a/b.bin", headers={"range": "bytes=5-9"})
    assert refused.status_code == 416
    assert refused.json()["code"] == "range-unsatisfiable"


async def test_a_listing_of_versions_leaves_the_golden_inputs_in_their_file(
    server: Context, boss: Who, connect: Connect
) -> None:
    golden = schemas.Golden(input="a picture in base64", scores=[1.0])
    made = await registered(server, boss, told=version_file("a", golden=[golden]))
    http = await connect("developer")
    listed = await http.get("/versions")
    assert listed.status_code == 200
    assert "a picture in base64" not in listed.text
    assert listed.json()["items"][0]["signature"]["output"] == {"kind": "classes", "classes": ["a"]}
    kept = await http.get(f"/versions/{made.id}/files/version.json")
    assert kept.json()["golden"] == [{"input": "a picture in base64", "scores": [1.0]}]
