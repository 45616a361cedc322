"""Imports against a real server: folders become records, once, whatever stops them on the way."""

import json
import signal
import subprocess
import time
from collections.abc import Callable

import pytest

from tests.cli.conftest import PROGRAM
from tests.cli.test_server import command, environ, here
from tests.data.formats.trees import folder, picture, zipped
from volano.schemas.datasets import NewItem
from volano.sdk.client import Client
from volano.sdk.uploads import Field, Upload

pytestmark = pytest.mark.slow

__all__ = ["command", "here"]  # fixtures

Command = Callable[..., str]


def on_the_shelf(command: Command, dataset: str, count: int) -> list[dict[str, object]]:
    """The records of a dataset, once they are on the shelf."""
    until = time.monotonic() + 60
    while time.monotonic() < until:
        listed = json.loads(command("data", "ls", "--limit", "0", "--json"))
        records = [one for one in listed if one["dataset"] == dataset]
        if len(records) == count:
            return records
        time.sleep(0.2)
    raise AssertionError(f"{len(records)} of {count} records")


def imported(command: Command, *words: str, code: int = 0) -> dict[str, object]:
    told = command("data", "import", *words, "--json", code=code)
    return json.loads(told) if code == 0 else {}


PETS = {
    f"{split}/{label}/{n}.png": picture(12, 9, grey=n + 60 * number)
    for number, (split, label) in enumerate(
        [("train", "Katze 猫"), ("val", "Katze 猫"), ("test", "Dog 🐶")]
    )
    for n in range(20)
}


def test_a_folder_becomes_records_with_labels_and_splits_once(here, command):
    path = str(folder(here / "Pets 1", PETS))

    first = imported(command, path)
    records = on_the_shelf(command, "pets-1", 60)
    again = imported(command, path)

    assert (first["stored"], first["duplicates"]) == (60, 0)
    assert (again["stored"], again["duplicates"]) == (0, 60)
    assert {one["label"] for one in records} == {"Katze 猫", "Dog 🐶"}
    counts = {split: sum(one["split"] == split for one in records) for split in
              ("train", "valid", "test")}  # fmt: skip
    assert counts == {"train": 20, "valid": 20, "test": 20}
    assert {one["origin"] for one in records} == {"Pets 1"}
    assert all(one["facts"]["width"] == 12 for one in records)


def test_an_archive_and_its_folder_are_the_same_records(here, command):
    members = {f"cat/{n}.png": picture(9, 9, grey=n) for n in range(5)}
    packed = str(zipped(here / "same.zip", members))
    unpacked = str(folder(here / "same", members))

    assert imported(command, packed)["stored"] == 5
    assert imported(command, unpacked)["duplicates"] == 5


def test_what_was_exported_is_imported_again_as_it_was(here, command):
    members = {f"cat/{n}.png": picture(9, 8, grey=n) for n in range(5)}
    imported(command, str(folder(here / "origin", members)))
    before = on_the_shelf(command, "origin", 5)
    lines = command("data", "export").splitlines()
    file = here / "origin.jsonl"
    file.write_text("\n".join(line for line in lines if json.loads(line)["dataset"] == "origin"))

    assert imported(command, str(file))["duplicates"] == 5
    assert imported(command, str(file), "--dataset", "copy")["stored"] == 5

    after = on_the_shelf(command, "copy", 5)
    assert sorted(one["content"] for one in after) == sorted(one["content"] for one in before)
    assert sorted(one["sha256"] for one in after) == sorted(one["sha256"] for one in before)


def test_a_bad_picture_is_refused_by_the_server_with_its_code_and_the_others_are_kept(
    here, command
):
    good = picture(9, 9, grey=200)
    cut = good[:40]  # says that it is a picture, and of which size
    path = str(folder(here / "mixed", {"cat/1.png": good, "cat/2.png": cut}))

    told = command("data", "import", path, code=1)

    assert "✓ 1 image stored" in told
    assert "1 image left out:\n  cat/2.png  " in told


def test_a_dataset_of_another_kind_is_refused(here, command):
    texts = str(folder(here / "words", {"good/1.txt": "fine", "bad/2.txt": "awful"}))
    pictures = str(folder(here / "pics", {"cat/1.png": picture(7, 7)}))
    assert imported(command, texts)["stored"] == 2
    told = command("data", "import", pictures, "--dataset", "words", code=1)
    assert "The dataset words holds text, and image is being imported." in told


def test_boxes_of_the_real_blood_cells_are_attributes_of_their_records(here, command, shared_data):
    told = imported(command, str(shared_data("detection-bccd")), "--dataset", "cells",
                    "--limit", "10")  # fmt: skip
    assert told["stored"] == 10
    assert told["health"]["boxes"] == 181
    assert told["health"]["splits"] == {"test": 1, "train": 7, "valid": 2}
    on_the_shelf(command, "cells", 10)
    file = here / "cells.jsonl"
    file.write_text(command("data", "export", "--dataset", "cells"))
    boxes = [json.loads(line)["attributes"]["boxes"] for line in file.read_text().splitlines()]
    assert sum(map(len, boxes)) == 181
    assert imported(command, str(file), "--dataset", "cells-2")["health"]["boxes"] == 181
    on_the_shelf(command, "cells-2", 10)
    again = command("data", "export", "--dataset", "cells-2").splitlines()
    key = str  # lists of boxes in any order of the records
    assert sorted((json.loads(one)["attributes"]["boxes"] for one in again), key=key) == sorted(
        boxes, key=key
    )


def test_an_import_that_is_killed_is_finished_by_the_same_command(here, bytecode, command):
    members = {f"c{n % 3}/{n}.png": picture(40, 30, grey=n % 250) + bytes([n % 256, n // 256])
               for n in range(1500)}  # fmt: skip
    path = str(zipped(here / "many.zip", members))
    words = [*PROGRAM, "data", "import", path]
    process = subprocess.Popen(
        words, cwd=here, env=environ(here, bytecode), stderr=subprocess.PIPE, text=True
    )
    assert process.stderr is not None
    assert "importing" in process.stderr.readline()
    process.send_signal(signal.SIGKILL)
    process.communicate(timeout=30)

    told = imported(command, path)

    assert told["stored"] + told["duplicates"] == 1500
    assert told["duplicates"] > 0
    ids = {one["id"] for one in on_the_shelf(command, "many", 1500)}
    assert len(ids) == 1500


def test_records_of_several_fields_are_exported_and_imported_again(here, command):
    profile = json.loads((here / ".volano" / "client.json").read_text())
    fields = (Field("photo", picture(9, 9), "image/png"), Field("caption", b"A cat.", "text/plain"))
    with Client(profile["url"], profile["keys"][profile["url"]]) as client:
        client.datasets.create("captioned", {"photo": "image", "caption": "text"})
        new = NewItem(id="00000000-0000-8000-8000-0000000000ff", label="cat")
        (told,) = client.datasets.upload("captioned", [Upload(new, b"", "", fields)])
    assert [one.stored for one in told] == [True]
    (before,) = on_the_shelf(command, "captioned", 1)
    file = here / "captioned.jsonl"
    file.write_text(command("data", "export", "--dataset", "captioned"))

    assert imported(command, str(file))["duplicates"] == 1
    assert imported(command, str(file), "--dataset", "captioned-2")["stored"] == 1

    (after,) = on_the_shelf(command, "captioned-2", 1)
    assert after["content"] == before["content"]
    assert after["fields"].keys() == {"photo", "caption"}
