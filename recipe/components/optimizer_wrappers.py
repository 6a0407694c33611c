"""What optimizers around an optimizer share, and Lookahead: slow weights that follow the fast ones every k steps.

Source: Zhang, Lucas, Hinton, Ba, "Lookahead Optimizer: k steps forward, 1 step back", 2019, algorithm 1.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch

Closure = Callable[[], Any]  # zeroes the gradients, computes those of the whole effective batch, returns the loss


class Wrapper(torch.optim.Optimizer):
    """An optimizer that adds something to the steps of another, on the same parameter groups.

    The groups are the very dictionaries of the base, so a learning rate set on either is seen by both. `state_dict`
    holds the base's moments, the wrapper's own state and the number of finished steps: a run that is loaded goes on bit
    for bit.
    """

    def __init__(self, base: torch.optim.Optimizer) -> None:
        super().__init__(base.param_groups, defaults=base.defaults)
        self.base = base
        self.param_groups = base.param_groups
        self.steps = 0

    def state_dict(self) -> dict[str, Any]:
        """Own state under torch's keys, the base's under `base`, finished steps under `steps`."""
        return super().state_dict() | {"base": self.base.state_dict(), "steps": self.steps}

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        """Takes over what `state_dict` gave; groups stay shared with the base."""
        super().load_state_dict({key: state_dict[key] for key in ("state", "param_groups")})
        self.base.load_state_dict(state_dict["base"])
        self.param_groups = self.base.param_groups
        self.steps = state_dict["steps"]

    def trainable(self) -> list[torch.Tensor]:
        """The parameters that are not frozen."""
        return [p for group in self.param_groups for p in group["params"] if p.requires_grad]


def chain(optimizer: torch.optim.Optimizer) -> list[torch.optim.Optimizer]:
    """The optimizer, its base, the base of that, and so on."""
    found = [optimizer]
    while isinstance(found[-1], Wrapper):
        found.append(found[-1].base)
    return found


class Lookahead(Wrapper):
    """Every `k` steps of the base: slow += alpha * (fast - slow), and fast starts again from slow.

    Between two such steps the model holds the fast weights. k=1 with alpha=1 is the base optimizer.
    """

    def __init__(self, base: torch.optim.Optimizer, k: int, alpha: float) -> None:
        super().__init__(base)
        self.k, self.alpha = k, alpha

    @torch.no_grad()
    def step(self, closure: Closure | None = None) -> Any:  # type: ignore[override]
        """One step of the base; returns its loss."""
        self._remember_slow_weights()
        loss = self.base.step(closure)  # type: ignore[arg-type]
        self.steps += 1
        if self.steps % self.k == 0:
            self._synchronise()
        return loss

    def _remember_slow_weights(self) -> None:
        for p in self.trainable():
            if "slow" not in self.state[p]:
                self.state[p]["slow"] = p.detach().clone(memory_format=torch.preserve_format)

    def _synchronise(self) -> None:
        fast = self.trainable()
        slow = [self.state[p]["slow"] for p in fast]
        torch._foreach_lerp_(slow, fast, self.alpha)
        torch._foreach_copy_(fast, slow)
