"""A network learns in bfloat16 where the processor multiplies it, and nowhere else."""

from pathlib import Path

import pytest


@pytest.mark.parametrize(
    ("flags", "expected"),
    [
        ("flags : fpu avx2 avx512f avx512_bf16 avx512bw", True),
        ("flags\t\t: fpu amx_bf16 amx_tile", True),
        ("flags : fpu avx2 avx512f avx512_bf160", False),
        ("Features : fp asimd bf16", False),
    ],
)
def test_the_processor_says_whether_it_multiplies_bfloat16(
    tmp_path: Path, flags: str, expected: bool
) -> None:
    from volano.training.networks import precision

    cpuinfo = tmp_path / "cpuinfo"
    cpuinfo.write_text(f"processor : 0\n{flags}\n")
    assert precision.has_bfloat16(cpuinfo) is expected
    assert precision.has_bfloat16(tmp_path / "none") is False


def test_weights_stay_as_precise_as_they_are() -> None:
    import torch

    from volano.training.networks.precision import fastest

    layer = torch.nn.Conv2d(1, 2, 3)
    with fastest():
        answer = layer(torch.ones(1, 1, 4, 4))
    answer.float().sum().backward()
    assert layer.weight.dtype == torch.float32
    assert layer.weight.grad is not None
    assert layer.weight.grad.dtype == torch.float32
