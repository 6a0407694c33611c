"""Sharpness-aware minimisation: descend by the gradient found at the worst nearby weights.

    optimizer = SAM(torch.optim.SGD(model.parameters(), lr=0.1, momentum=0.9), rho=0.05)
    loss = optimizer.step(closure)      # calls closure twice, both times on the same batch

The first pass gives the gradient g at the weights w, the second the gradient at w + e, and the base optimizer steps
from w with the latter. The weights are put back from a copy, so they are exactly w again, also when the second pass
raises. Clipping the global gradient norm inside the closure leaves e as it is, for e depends on the direction of g
alone. Parameters without gradient are left out.

Source: Foret, Kleiner, Mobahi, Neyshabur, "Sharpness-Aware Minimization for Efficiently Improving Generalization",
2021, algorithm 1.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any

import torch

from protocol.language import tr
from protocol.strict import ConfigError
from recipe.components.optimizer_wrappers import Closure, Wrapper, chain

Tensors = Sequence[torch.Tensor]
_TINY = 1e-12  # keeps a zero gradient from dividing by zero


class SAM(Wrapper):
    """SAM around any base optimizer; with `only_norm`, normalisation layers alone are perturbed.

    rho=0 is the base optimizer. The learning rate, momentum and weight decay are the base's.

    Source of `only_norm`: Mueller, Vlaar, Rolnick, Hein, "Normalization Layers Are All That Sharpness-Aware
    Minimization Needs", 2023.

    Raises:
        ValueError: the base is itself of the SAM family, or there is no normalisation layer to perturb.
    """

    def __init__(self, base: torch.optim.Optimizer, rho: float = 0.05, only_norm: bool = False) -> None:
        if any(isinstance(optimizer, SAM) for optimizer in chain(base)):
            raise ValueError(tr("SAM cannot wrap SAM: name a plain optimizer as its base, for example sam(sgd())."))
        super().__init__(base)
        self.rho, self.only_norm = rho, only_norm
        if only_norm and not self._perturbed():
            raise ValueError(
                tr(
                    "SAM on normalisation layers found none that is trainable in this model; "
                    "leave the setting only='norm' out."
                )
            )

    @torch.no_grad()
    def step(self, closure: Closure) -> Any:  # type: ignore[override]
        """One step; returns the loss of the first pass, that at the weights themselves."""
        with torch.enable_grad(), self._first_pass():
            loss = closure()
        self._second_pass(closure)
        return self._finish(loss)

    def _finish(self, loss: Any) -> Any:
        self.base.step()
        self.steps += 1
        return loss

    def _second_pass(self, closure: Closure) -> None:
        weights = [p for p in self._perturbed() if p.grad is not None]
        with moved(weights, self._perturbation(weights)), torch.enable_grad():
            closure()

    def _perturbation(self, weights: Tensors) -> list[torch.Tensor]:
        return perturbation(gradients(weights), self._rho())

    def _rho(self) -> float:
        return self.rho

    def _perturbed(self) -> list[torch.Tensor]:
        if not self.only_norm:
            return self.trainable()
        groups = [group for group in self.param_groups if group.get("kind") == "norm"]
        return [p for group in groups for p in group["params"] if p.requires_grad]

    @contextmanager
    def _first_pass(self) -> Iterator[None]:
        """Spares the first pass gradients that only the second needs."""
        kept = {id(p) for p in self._perturbed()}
        spared = [p for p in self.trainable() if id(p) not in kept]
        for p in spared:
            p.requires_grad_(False)
        try:
            yield
        finally:
            for p in spared:
                p.requires_grad_(True)


class ASAM(SAM):
    """Adaptive SAM: the neighbourhood of a weight scales with its size, T = |w| + eta.

    e = rho * T^2 g / ||T g||. Where every |w| is 1 and eta is 0, it is SAM. T applies to every parameter, biases
    included.

    Source: Kwon, Kim, Park, Choi, "ASAM: Adaptive Sharpness-Aware Minimization for Scale-Invariant Learning of Deep
    Neural Networks", 2021, algorithm 1.
    """

    def __init__(
        self, base: torch.optim.Optimizer, rho: float = 0.5, eta: float = 0.01, only_norm: bool = False
    ) -> None:
        super().__init__(base, rho, only_norm)
        self.eta = eta

    def _perturbation(self, weights: Tensors) -> list[torch.Tensor]:
        scale = torch._foreach_abs(list(weights))
        torch._foreach_add_(scale, self.eta)
        steepest = perturbation(torch._foreach_mul(gradients(weights), scale), self._rho())
        return list(torch._foreach_mul(steepest, scale))


class GSAM(SAM):
    """Surrogate-gap SAM: also ascends by g's part orthogonal to the gradient at w + e, which closes the gap.

    alpha=0 is SAM. With `rho_min`, the radius goes from rho down to rho_min as the learning rate goes from its start
    value to 0.

    Source: Zhuang et al., "Surrogate Gap Minimization Improves Sharpness-Aware Training", 2022, algorithm 1.
    """

    def __init__(
        self, base: torch.optim.Optimizer, rho: float = 0.05, alpha: float = 0.4, rho_min: float | None = None
    ) -> None:
        super().__init__(base, rho)
        self.alpha, self.rho_min = alpha, rho if rho_min is None else rho_min
        self._lr = self.param_groups[0]["lr"]

    def _rho(self) -> float:
        share = self.param_groups[0]["lr"] / self._lr if self._lr else 1.0
        return self.rho_min + (self.rho - self.rho_min) * share

    def _second_pass(self, closure: Closure) -> None:
        weights = [p for p in self.trainable() if p.grad is not None]
        plain = copies(gradients(weights))
        super()._second_pass(closure)
        sharp = gradients(weights)
        add_to_gradients(weights, orthogonal_part(plain, sharp), -self.alpha)


class LookSAM(SAM):
    """SAM every k-th step; between, the part of its gradient that is orthogonal to the plain one is reused.

    Other steps descend by g + alpha * ||g|| / ||v|| * v with that part v, at the cost of one pass. k=1 is SAM. The
    state keeps v / ||v||.

    Source: Liu, Mai, Chen, Hsieh, You, "Towards Efficient and Scalable Sharpness-Aware Minimization", 2022, algorithm
    1.
    """

    def __init__(self, base: torch.optim.Optimizer, rho: float = 0.05, k: int = 5, alpha: float = 0.7) -> None:
        super().__init__(base, rho)
        self.k, self.alpha = k, alpha

    def _second_pass(self, closure: Closure) -> None:
        weights = [p for p in self.trainable() if p.grad is not None]
        if self.steps % self.k:
            self._reuse(weights)
            return
        plain = copies(gradients(weights))
        super()._second_pass(closure)
        across = orthogonal_part(gradients(weights), plain)
        torch._foreach_div_(across, norm(across) + _TINY)
        for p, direction in zip(weights, across, strict=True):
            self.state[p]["direction"] = direction

    def _reuse(self, weights: Tensors) -> None:
        known = [p for p in weights if "direction" in self.state[p]]
        if known:
            directions = [self.state[p]["direction"] for p in known]
            add_to_gradients(known, directions, self.alpha * norm(gradients(known)))


def perturbs_alone(optimizer: torch.optim.Optimizer, ranks: str) -> bool:
    """Whether each of several processes perturbs the weights by the gradient of its own share of the batch: m-sharpness
    with m the pictures of a share. By default they are perturbed by that of the whole batch, and a run does not depend
    on the number of processes.

    Args:
        ranks: `together` or `own`.

    Source: Foret et al., 2021, section 4.1 (m-sharpness).

    Raises:
        ConfigError: `own` with an optimizer that has no perturbation, or that uses its gradient a second time.
    """
    if ranks == "together":
        return False
    kinds = [type(each) for each in chain(optimizer) if isinstance(each, SAM)]
    if kinds and kinds[0] in (SAM, ASAM):
        return True
    what = (
        tr("{kinds} uses the first gradient again", kinds=kinds[0].__name__)
        if kinds
        else tr("this optimizer perturbs nothing")
    )
    raise ConfigError(tr("sam_ranks: own is for sam() and asam(); {what}. Set --sam-ranks together.", what=what))


def perturbation(grads: Tensors, rho: float) -> list[torch.Tensor]:
    """e = rho * g / ||g||, the norm taken over all tensors together; 0 where the gradient is 0."""
    return list(torch._foreach_mul(list(grads), rho / (norm(grads) + _TINY))) if grads else []


def orthogonal_part(vectors: Tensors, to: Tensors) -> list[torch.Tensor]:
    """`vectors` less their projection on `to`, both read as one long vector."""
    share = dot(vectors, to) / (dot(to, to) + _TINY**2)
    return list(torch._foreach_sub(list(vectors), torch._foreach_mul(list(to), share)))


def gradients(weights: Tensors) -> list[torch.Tensor]:
    """The gradients, and zeros where the last pass gave none (a block that stochastic depth left out)."""
    return [torch.zeros_like(p) if p.grad is None else p.grad for p in weights]


def copies(tensors: Tensors) -> list[torch.Tensor]:
    """Clones in the same memory format."""
    return [tensor.clone(memory_format=torch.preserve_format) for tensor in tensors]


def add_to_gradients(weights: Tensors, directions: Tensors, factor: float | torch.Tensor) -> None:
    """Gradient += factor * direction, in place, on the gradients that exist."""
    pairs = [(p.grad, direction) for p, direction in zip(weights, directions, strict=True) if p.grad is not None]
    if pairs:
        grads, existing = map(list, zip(*pairs, strict=True))
        torch._foreach_add_(grads, torch._foreach_mul(existing, factor))


def norm(tensors: Tensors) -> torch.Tensor:
    """The Euclidean norm over all tensors together, a 0-d tensor: no wait for the device."""
    return torch.linalg.vector_norm(torch.stack(torch._foreach_norm(list(tensors))))


def dot(left: Tensors, right: Tensors) -> torch.Tensor:
    """The inner product over all tensors together, a 0-d tensor."""
    return torch.stack([(a * b).sum() for a, b in zip(left, right, strict=True)]).sum()


@contextmanager
def moved(weights: Tensors, by: Tensors) -> Iterator[None]:
    """Holds the weights at `weights + by`, and puts them back exactly, whatever happens inside."""
    if not weights:
        yield
        return
    before = copies(weights)
    torch._foreach_add_(list(weights), list(by))
    try:
        yield
    finally:
        with torch.no_grad():
            torch._foreach_copy_(list(weights), before)
