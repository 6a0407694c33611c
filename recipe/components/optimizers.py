"""The optimizers by name.

    OPTIMIZERS.build("sam(sgd(momentum=0.9), rho=0.05)", param_groups(model, lr=0.1, weight_decay=5e-4), 0.1)

All are torch.optim.Optimizer and step by `step(closure)`: the closure zeroes the gradients, computes those of the whole
effective batch and returns the loss; the optimizer calls it as often as it needs. Weight decay and learning rates come
with the groups.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Literal, TypeVar

import torch
from torch.optim import Optimizer

from protocol.language import tr
from recipe.components.optimizer_wrappers import Lookahead
from recipe.components.sam import ASAM, GSAM, SAM, LookSAM
from recipe.registry import Count, Fraction, NotNegative, Positive, Probability, Registry, Spec, SpecError, parse

Groups = list[dict[str, Any]]
Betas = tuple[Fraction, Fraction]
Component = TypeVar("Component", bound=Callable[..., Optimizer])
OPTIMIZERS = Registry("optimizer", "parameter groups and the learning rate", {"passes": None})


def passes(count: Callable[[dict[str, Any]], float]) -> Callable[[Component], Component]:
    """Registers how often a step calls its closure, by settings; else as often as its base does, or once."""

    def said(component: Component) -> Component:
        component.passes = count  # type: ignore[attr-defined]
        return component

    return said


def passes_per_step(text: str | Spec) -> float:
    """Forward and backward passes that a step of the optimizer costs, by its spec alone: `sam(adamw())` gives 2.

    Raises:
        SpecError: a spec that cannot be used.
    """
    spec = OPTIMIZERS.check(text)
    known = OPTIMIZERS.settings(spec.name)
    settings = {name: each.default for name, each in known.items()} | dict(zip(known, spec.args, strict=False))
    settings |= spec.kwargs
    if (count := OPTIMIZERS[spec.name].passes) is not None:
        return float(count(settings))
    bases = [value for value in settings.values() if isinstance(value, Spec)]
    return passes_per_step(bases[0]) if bases else 1.0


@OPTIMIZERS.register
def sgd(groups: Groups, lr: float, /, momentum: Fraction = 0.9, nesterov: bool = False) -> Optimizer:
    """Stochastic gradient descent with momentum; weight decay is added to the gradient (L2).

    Limit: momentum=0 is plain gradient descent.
    Source: Sutskever et al., "On the importance of initialization and momentum in deep learning", 2013, section 2.
    """
    if nesterov and not momentum:
        raise SpecError(
            tr("sgd: nesterov=True needs a momentum above 0, for example sgd(momentum=0.9, nesterov=True).")
        )
    return torch.optim.SGD(groups, lr=lr, momentum=momentum, nesterov=nesterov)


@OPTIMIZERS.register
def adam(groups: Groups, lr: float, /, betas: Betas = (0.9, 0.999), eps: Positive = 1e-8) -> Optimizer:
    """Adam; weight decay is added to the gradient (L2), for the decoupled one see adamw.

    Limit: betas=(0, 0) steps by the sign of the gradient.
    Source: Kingma, Ba, "Adam: A Method for Stochastic Optimization", 2015, algorithm 1.
    """
    return torch.optim.Adam(groups, lr=lr, betas=betas, eps=eps)


@OPTIMIZERS.register
def adamw(groups: Groups, lr: float, /, betas: Betas = (0.9, 0.999), eps: Positive = 1e-8) -> Optimizer:
    """Adam with decoupled weight decay, lr * weight_decay per step.

    Limit: weight decay 0 is Adam.
    Source: Loshchilov, Hutter, "Decoupled Weight Decay Regularization", 2019, algorithm 2.
    """
    return torch.optim.AdamW(groups, lr=lr, betas=betas, eps=eps)


@OPTIMIZERS.register
def adagrad(groups: Groups, lr: float, /, eps: Positive = 1e-10) -> Optimizer:
    """Adagrad: every weight's rate falls with the sum of its squared gradients.

    Source: Duchi, Hazan, Singer, "Adaptive Subgradient Methods for Online Learning and Stochastic Optimization", 2011,
    section 1.
    """
    return torch.optim.Adagrad(groups, lr=lr, eps=eps)


@OPTIMIZERS.register
def adadelta(groups: Groups, lr: float, /, rho: Fraction = 0.9, eps: Positive = 1e-6) -> Optimizer:
    """Adadelta: steps in the units of the weights, from running means of squares; lr=1 is the paper's.

    Source: Zeiler, "ADADELTA: An Adaptive Learning Rate Method", 2012, algorithm 1.
    """
    return torch.optim.Adadelta(groups, lr=lr, rho=rho, eps=eps)


@OPTIMIZERS.register
def rmsprop(
    groups: Groups, lr: float, /, alpha: Fraction = 0.99, eps: Positive = 1e-8, momentum: Fraction = 0.0
) -> Optimizer:
    """RMSprop: gradients over the root of their running mean square; `eps` is added outside the root, as in torch.

    Limit: alpha=0 and momentum=0 step by the sign of the gradient.
    Source: Tieleman, Hinton, "Neural Networks for Machine Learning", 2012, lecture 6.5.
    """
    return torch.optim.RMSprop(groups, lr=lr, alpha=alpha, eps=eps, momentum=momentum)


@OPTIMIZERS.register
def radam(groups: Groups, lr: float, /, betas: Betas = (0.9, 0.999), eps: Positive = 1e-8) -> Optimizer:
    """Rectified Adam: momentum until the adaptive rate's variance is tractable; decoupled decay, as its authors' code.

    Source: Liu et al., "On the Variance of the Adaptive Learning Rate and Beyond", 2020, algorithm 2.
    """
    return torch.optim.RAdam(groups, lr=lr, betas=betas, eps=eps, decoupled_weight_decay=True)


@OPTIMIZERS.register
def lookahead(
    groups: Groups, lr: float, /, base: Spec = parse("adamw()"), k: Count = 6, alpha: Probability = 0.5
) -> Optimizer:
    """Slow weights that go the share `alpha` towards the base's weights every `k` steps.

    Limit: k=1, alpha=1 is the base.
    Source: Zhang, Lucas, Hinton, Ba, "Lookahead Optimizer: k steps forward, 1 step back", 2019, algorithm 1.
    """
    return Lookahead(OPTIMIZERS.build(base, groups, lr), k, alpha)


@OPTIMIZERS.register
def ranger(
    groups: Groups,
    lr: float,
    /,
    k: Count = 6,
    alpha: Probability = 0.5,
    betas: Betas = (0.95, 0.999),
    eps: Positive = 1e-5,
) -> Optimizer:
    """Lookahead around rectified Adam, with Ranger's own betas and eps; without gradient centralisation.

    Limit: k=1, alpha=1 is radam.
    Source: Wright, "New Deep Learning Optimizer, Ranger: Synergistic combination of RAdam + LookAhead", 2019.
    """
    return Lookahead(radam(groups, lr, betas=betas, eps=eps), k, alpha)


@OPTIMIZERS.register
@passes(lambda settings: 2)
def sam(
    groups: Groups,
    lr: float,
    /,
    base: Spec = parse("sgd()"),
    rho: NotNegative = 0.05,
    only: Literal["all", "norm"] = "all",
) -> Optimizer:
    """Sharpness-aware minimisation: descends by the gradient found `rho` uphill, at the cost of two passes a step.

    only='norm' perturbs normalisation layers alone (Mueller et al., "Normalization Layers Are All That Sharpness-Aware
    Minimization Needs", 2023) and spares the first pass the other gradients.

    Limit: rho=0 is the base.
    Source: Foret et al., "Sharpness-Aware Minimization for Efficiently Improving Generalization", 2021, algorithm 1.
    """
    return _sharpness_aware(SAM, base, groups, lr, rho, only == "norm")


@OPTIMIZERS.register
@passes(lambda settings: 2)
def asam(
    groups: Groups,
    lr: float,
    /,
    base: Spec = parse("sgd()"),
    rho: NotNegative = 0.5,
    eta: NotNegative = 0.01,
    only: Literal["all", "norm"] = "all",
) -> Optimizer:
    """Adaptive SAM: each weight's neighbourhood scales with |w| + eta, so rescaling changes nothing; two passes a step.

    Limit: rho=0 is the base; where all |w|=1 and eta=0 it is SAM.
    Source: Kwon et al., "ASAM: Adaptive Sharpness-Aware Minimization", 2021, algorithm 1.
    """
    return _sharpness_aware(ASAM, base, groups, lr, rho, eta, only == "norm")


@OPTIMIZERS.register
@passes(lambda settings: 2)
def gsam(
    groups: Groups,
    lr: float,
    /,
    base: Spec = parse("sgd()"),
    rho: NotNegative = 0.05,
    alpha: NotNegative = 0.4,
    rho_min: NotNegative | None = None,
) -> Optimizer:
    """Surrogate-gap SAM: also closes the gap between the loss uphill and here, by `alpha`; two passes a step.

    With `rho_min`, the radius follows the learning rate from rho down to rho_min.

    Limit: alpha=0 is SAM.
    Source: Zhuang et al., "Surrogate Gap Minimization Improves Sharpness-Aware Training", 2022, algorithm 1.
    """
    return _sharpness_aware(GSAM, base, groups, lr, rho, alpha, rho_min)


@OPTIMIZERS.register
@passes(lambda settings: 1 + 1 / settings["k"])
def looksam(
    groups: Groups,
    lr: float,
    /,
    base: Spec = parse("sgd()"),
    rho: NotNegative = 0.05,
    k: Count = 5,
    alpha: NotNegative = 0.7,
) -> Optimizer:
    """SAM every `k`-th step, its sharpness direction reused between with weight `alpha`; 1 + 1/k passes a step.

    Limit: k=1 is SAM.
    Source: Liu et al., "Towards Efficient and Scalable Sharpness-Aware Minimization", 2022, algorithm 1.
    """
    return _sharpness_aware(LookSAM, base, groups, lr, rho, k, alpha)


def _sharpness_aware(family: type[SAM], base: Spec, groups: Groups, lr: float, *settings: Any) -> Optimizer:
    try:
        return family(OPTIMIZERS.build(base, groups, lr), *settings)
    except SpecError:
        raise
    except ValueError as error:
        raise SpecError(str(error)) from None
