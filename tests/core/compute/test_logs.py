"""A bounded log keeps its beginning and its end, and counts what is missing."""

from pathlib import Path

from hypothesis import given
from hypothesis import strategies as st

from volano.core.compute.logs import BoundedLog


def written(path: Path, chunks: list[bytes], limit: int) -> bytes:
    """What the file holds after these chunks."""
    log = BoundedLog(path, limit)
    for chunk in chunks:
        log.write(chunk)
    log.close()
    return path.read_bytes()


def test_a_short_log_is_kept_as_it_is(tmp_path: Path):
    assert written(tmp_path / "log", [b"one\n", b"two\n"], 8) == b"one\ntwo\n"


def test_a_long_log_keeps_both_ends(tmp_path: Path):
    log = written(tmp_path / "log", [b"%04d" % number for number in range(1000)], 40)
    assert log == b"00000001000200030004\n... 3960 bytes cut ...\n09950996099709980999"


def test_the_beginning_is_in_the_file_before_the_end_comes(tmp_path: Path):
    log = BoundedLog(tmp_path / "log", 20)
    log.write(b"x" * 100)
    assert (tmp_path / "log").read_bytes() == b"x" * 10
    log.close()


@given(st.lists(st.binary(min_size=1, max_size=50), max_size=30), st.integers(1, 40))
def test_head_and_tail_and_the_count_always_add_up(
    tmp_path_factory, chunks: list[bytes], half: int
):
    path = tmp_path_factory.getbasetemp() / f"log-{half}"
    whole, log = b"".join(chunks), written(path, chunks, 2 * half)
    if len(whole) <= 2 * half:
        assert whole == log
    else:
        cut = b"\n... %d bytes cut ...\n" % (len(whole) - 2 * half)
        assert whole[:half] + cut + whole[-half:] == log
