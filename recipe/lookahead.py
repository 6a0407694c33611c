"""Lookahead: slow weights that follow the fast ones every k steps.

Source: Zhang, Lucas, Hinton, Ba, "Lookahead Optimizer: k steps forward, 1 step back", 2019, algorithm 1.
"""

from __future__ import annotations

from typing import Any

import torch

from recipe.wrapper import Closure, Wrapper


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
