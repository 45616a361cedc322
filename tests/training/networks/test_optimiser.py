"""Our AdamW takes the steps that torch's takes."""

import copy
import subprocess
import sys

import pytest


def test_it_steps_as_torch_does() -> None:
    import torch

    from volano.training.networks.optimiser import AdamW

    torch.manual_seed(0)
    ours = torch.nn.Sequential(torch.nn.Linear(6, 8), torch.nn.Tanh(), torch.nn.Linear(8, 2))
    theirs = copy.deepcopy(ours)
    decayed = [p for p in theirs.parameters() if p.ndim > 1]
    others = [p for p in theirs.parameters() if p.ndim <= 1]
    groups = [{"params": decayed, "weight_decay": 0.1}, {"params": others, "weight_decay": 0.0}]
    reference = torch.optim.AdamW(groups)
    optimiser = AdamW(ours.parameters(), decay=0.1)
    for step in range(20):
        rate, given = 0.01 / (1 + step), torch.randn(5, 6)
        ours(given).square().sum().backward()
        optimiser.step(rate)
        reference.zero_grad()
        theirs(given).square().sum().backward()
        for group in reference.param_groups:
            group["lr"] = rate
        reference.step()
    for mine, other in zip(ours.parameters(), theirs.parameters(), strict=True):
        torch.testing.assert_close(mine, other)


@pytest.mark.slow
def test_it_does_without_the_compiler() -> None:
    script = (
        "import sys, torch; from volano.training.networks.optimiser import AdamW;"
        "p = torch.nn.Parameter(torch.ones(2)); p.sum().backward();"
        "AdamW([p], 0.1).step(0.1); sys.exit('torch._dynamo' in sys.modules)"
    )
    assert subprocess.run([sys.executable, "-c", script], check=False).returncode == 0
