"""How the learning rates and the weight of the KL term change over the steps."""

from handvae.base.sections import Loss, Training

LINEAR_END_SHARE = 0.4  # share of the steps in which schedule linear_end falls


def rate_share(step: int, training: Training) -> float:
    """The factor of the learning rates: a linear warm-up, then 1, or 1 and a linear end at 0."""
    if step < training.warmup_steps:
        return (step + 1) / training.warmup_steps
    if training.schedule == "linear_end":
        return min(1.0, (training.steps - step) / (LINEAR_END_SHARE * training.steps))
    return 1.0


def kl_weight(step: int, steps: int, loss: Loss) -> float:
    """The KL's weight: from kl_weight_start to kl_weight, geometrically over the first kl_warmup_share of the steps."""
    warmup_steps = loss.kl_warmup_share * steps
    share = min(1.0, step / warmup_steps) if warmup_steps else 1.0
    return loss.kl_weight_start * (loss.kl_weight / loss.kl_weight_start) ** share
