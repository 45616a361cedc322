"""AdamW, without the 2 to 4 s that the first step of a `torch.optim` optimiser spends importing."""

from collections.abc import Iterable

import torch
from torch import Tensor

BETAS = 0.9, 0.999
EPSILON = 1e-8


class AdamW:
    """Adam with weight decay of its own, on matrices and kernels only, not on biases and norms.

    Source: Loshchilov and Hutter, "Decoupled Weight Decay Regularization", ICLR 2019.
    """

    def __init__(self, parameters: Iterable[Tensor], decay: float) -> None:
        self.decay, self.steps = decay, 0
        self._slots = [(p, torch.zeros_like(p), torch.zeros_like(p)) for p in parameters]

    @torch.no_grad()
    def step(self, rate: float) -> None:
        """Move every parameter by its gradient, then forget the gradient."""
        self.steps += 1
        unbias, unbias_square = (1 - beta**self.steps for beta in BETAS)
        for parameter, mean, square in self._slots:
            gradient = parameter.grad
            mean.lerp_(gradient, 1 - BETAS[0])
            square.mul_(BETAS[1]).addcmul_(gradient, gradient, value=1 - BETAS[1])
            if parameter.ndim > 1:
                parameter.mul_(1 - rate * self.decay)
            size = square.div(unbias_square).sqrt_().add_(EPSILON)
            parameter.addcdiv_(mean, size, value=-rate / unbias)
            parameter.grad = None
