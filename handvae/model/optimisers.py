"""Adam, as in the paper; or Muon on the filters of convolutions and Adam on the rest, which learns in fewer steps.

Muon: K. Jordan et al. 2024, "Muon: An optimizer for hidden layers in neural networks". The step of a matrix is its
momentum with all singular values brought near 1, so that no direction of a filter waits for another.
"""

from collections import defaultdict

import torch
from torch import nn

from handvae.base.sections import Training

MOMENTUM = 0.95
NEWTON_SCHULZ = (3.4445, -4.7750, 2.0315)  # of x, x^3 and x^5: five of them take [0.003, 1] into [0.7, 1.2]
NEWTON_SCHULZ_STEPS = 5


def orthogonalised(matrices: torch.Tensor) -> torch.Tensor:
    """(N, m, n) float32 with the singular vectors of `matrices`, and singular values brought near 1.

    Singular values above 0.003 of the matrix's norm come to between about 0.7 and 1.2.

    Five steps of x <- (a + b g + c g^2) x with g = x x^T. A polynomial of g commutes with g, so the steps are taken on
    g alone, min(m, n) squared, and multiplied onto x once: at (128, 1152) two fifths of the operations.
    """
    if matrices.shape[1] > matrices.shape[2]:
        return orthogonalised(matrices.mT).mT
    a, b, c = NEWTON_SCHULZ
    x = matrices / (matrices.norm(dim=(1, 2), keepdim=True) + 1e-7)
    gram = x @ x.mT
    product = identity = torch.eye(gram.shape[1], device=gram.device).expand_as(gram)
    for step in range(NEWTON_SCHULZ_STEPS):
        factor = torch.baddbmm(a * identity + b * gram, gram, gram, alpha=c)
        product = factor @ product if step else factor
        if step < NEWTON_SCHULZ_STEPS - 1:
            gram = factor @ gram @ factor
    return product @ x


class Muon(torch.optim.Optimizer):
    """Orthogonalised Nesterov momentum of filters, each taken as a matrix (first axis, the others).

    For a convolution that is (out, rest), for a transposed one (in, rest).

    torch.optim.Muon takes matrices alone. Here filters of one shape go through Newton-Schulz together.
    """

    def __init__(self, parameters: list[nn.Parameter], lr: float):
        super().__init__(parameters, {"lr": lr})

    @torch.no_grad()
    def step(self) -> None:
        """One step of every parameter that has a gradient."""
        for group in self.param_groups:
            by_shape = defaultdict(list)
            for parameter in group["params"]:
                if parameter.grad is not None:
                    by_shape[parameter.shape].append(parameter)
            for parameters in by_shape.values():
                self._step(parameters, group["lr"])

    def _step(self, parameters: list[nn.Parameter], lr: float) -> None:
        """One step of parameters of one shape."""
        gradients = [parameter.grad for parameter in parameters]
        for parameter in parameters:
            if not self.state[parameter]:
                self.state[parameter]["momentum"] = torch.zeros_like(parameter)
        momenta = [self.state[parameter]["momentum"] for parameter in parameters]
        torch._foreach_mul_(momenta, MOMENTUM)
        torch._foreach_add_(momenta, gradients)
        ahead = torch._foreach_add(gradients, momenta, alpha=MOMENTUM)
        out, shape = len(parameters[0]), parameters[0].shape
        steps = orthogonalised(torch.stack([filters.reshape(out, -1) for filters in ahead]))
        size = lr * max(1.0, out / steps.shape[2]) ** 0.5
        torch._foreach_add_(parameters, [step.view(shape) for step in steps], alpha=-size)


def build(model: nn.Module, training: Training) -> list[torch.optim.Optimizer]:
    """The optimisers of a run; each group's `initial_lr` is what the schedule multiplies.

    Muon takes the filters of hidden convolutions, not of those that read or paint an image, as Jordan advises.
    """
    filters, others = [], list(model.parameters())
    if training.optimiser == "muon":
        filters = [weight for weight in others if weight.dim() == 4 and min(weight.shape[:2]) > 3]
        of_muon = set(map(id, filters))
        others = [weight for weight in others if id(weight) not in of_muon]
    # fused: one kernel a step on CUDA, one pass over the parameters on the CPU
    optimisers: list[torch.optim.Optimizer] = [torch.optim.Adam(others, lr=training.learning_rate, fused=True)]
    if filters:
        optimisers.append(Muon(filters, lr=training.muon_learning_rate))
    for optimiser in optimisers:
        for group in optimiser.param_groups:
            group["initial_lr"] = group["lr"]
    return optimisers
