"""AdamW, without the 2 to 4 s that the first step of a `torch.optim` optimiser spends importing."""

from collections.abc import Iterable

import torch
from torch import Tensor

BETAS = 0.9, 0.999
EPSILON = 1e-8


class AdamW:
    """Adam with weight decay of its own, on matrices and kernels only, not on biases and norms.

    All parameters move in one call of each kind: one by one, they would cost more in calls than
    in arithmetic. Source: Loshchilov and Hutter, "Decoupled Weight Decay Regularization", ICLR
    2019.
    """

    def __init__(self, parameters: Iterable[Tensor], decay: float) -> None:
        self.decay, self.steps = decay, 0
        self._parameters = list(parameters)
        self._means = [torch.zeros_like(p) for p in self._parameters]
        self._squares = [torch.zeros_like(p) for p in self._parameters]

    @torch.no_grad()
    def step(self, rate: float) -> None:
        """Move every parameter by its gradient, then forget the gradient."""
        self.steps += 1
        unbias, unbias_square = (1 - beta**self.steps for beta in BETAS)
        gradients = [p.grad for p in self._parameters]
        torch._foreach_lerp_(self._means, gradients, 1 - BETAS[0])
        torch._foreach_mul_(self._squares, BETAS[1])
        torch._foreach_addcmul_(self._squares, gradients, gradients, 1 - BETAS[1])
        kept = [1 - rate * self.decay if p.ndim > 1 else 1.0 for p in self._parameters]
        torch._foreach_mul_(self._parameters, kept)
        sizes = torch._foreach_div(self._squares, unbias_square)
        torch._foreach_sqrt_(sizes)
        torch._foreach_add_(sizes, EPSILON)
        torch._foreach_addcdiv_(self._parameters, self._means, sizes, -rate / unbias)
        for parameter in self._parameters:
            parameter.grad = None
