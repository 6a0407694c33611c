"""What the processes of one training tell each other in a pass: one sum of all gradients, and some figures with it.

Every process computes the gradient of its own share of the batch. One flat buffer holds

    gradients * pictures | who has a gradient | loss * pictures, pictures, norm | memory, of each | signal, of each

and its sum over the processes is all that anyone needs: the gradient and the loss of the whole batch, which parameters
took part, who ran out of memory and who is asked to stop, so that all of them go on alike. There is no wrapper around
the network as torch's DistributedDataParallel is: it expects every gradient in every pass, and hangs where a process
has no picture, where memory runs out in one of them, or where SAM spares a pass.

Source: Goyal et al., "Accurate, Large Minibatch SGD: Training ImageNet in 1 Hour", 2017, section 4 (the gradient of a
minibatch as the sum over workers, each weighted by its share).
"""

from __future__ import annotations

from collections.abc import Sequence

import torch

from protocol.language import tr
from recipe.system.out_of_memory import OutOfMemory
from recipe.system.processes.world import World, elsewhere

FINE, SHORT, OUT = 0.0, 1.0, 2.0  # of memory: enough; less is taken in the next try; nothing more can be done
FIGURES = 3  # loss * pictures, pictures, norm
Loss = torch.Tensor | OutOfMemory | None  # None: memory ran out, and the next try takes less


class Exchange:
    """The sums of one optimizer's passes; `parameters` are those that it trains, the same in every process.

    Limit: alone, the loss and the gradients are returned as they are.
    """

    def __init__(self, world: World, parameters: Sequence[torch.nn.Parameter]) -> None:
        self.world, self.parameters = world, list(parameters)
        self._buffer = torch.empty(0)

    def gradient(self, loss: Loss, pictures: int) -> torch.Tensor | None:
        """The loss over all pictures; every gradient then is that of all pictures. None where memory ran out anywhere.

        Args:
            loss: of this process's pictures, whose gradients are there; or what became of them.
            pictures: how many.

        Raises:
            OutOfMemory: it ran out for good in a process.
            LostProcess: one has ended.
        """
        if self.world.alone:
            return _of_one(loss)
        taking = [parameter for parameter in self.parameters if parameter.requires_grad]
        sizes = [parameter.numel() for parameter in taking]
        flat = self._flat(sum(sizes) + len(taking) + self._tail)
        parts = [part.view_as(own) for part, own in zip(flat[: sum(sizes)].split(sizes), taking, strict=True)]
        present = flat[sum(sizes) : sum(sizes) + len(taking)]
        tail = flat[sum(sizes) + len(taking) :]
        self._put(taking, parts, present, pictures if isinstance(loss, torch.Tensor) else 0)
        total, _, fits = self._sum(flat, tail, loss, pictures, None)
        if not fits:
            return None
        flat[: sum(sizes)] /= tail[1]
        self._take(taking, parts, present)
        return total

    def figures(self, loss: Loss, norm: torch.Tensor | None, pictures: int) -> tuple[torch.Tensor, torch.Tensor] | None:
        """The loss over all pictures and the sum of the norms, where every process keeps its own gradient. Raises as
        `gradient`; None likewise.
        """
        tail = self._flat(self._tail)
        total, norms, fits = self._sum(tail, tail, loss, pictures, norm)
        return (total, norms) if fits else None

    @property
    def _tail(self) -> int:
        return FIGURES + 2 * self.world.size

    def _flat(self, length: int) -> torch.Tensor:
        """The buffer, made once for the largest pass."""
        like = self.parameters[0]
        if len(self._buffer) < length:
            self._buffer = torch.empty(length, dtype=like.dtype, device=like.device)
        return self._buffer[:length]

    def _put(
        self, taking: list[torch.nn.Parameter], parts: list[torch.Tensor], present: torch.Tensor, pictures: int
    ) -> None:
        """This process's gradients, each times its pictures."""
        gradients = [parameter.grad if pictures else None for parameter in taking]
        present.copy_(torch.tensor([float(gradient is not None) for gradient in gradients]))
        for part, gradient in zip(parts, gradients, strict=True):
            part.zero_() if gradient is None else torch.mul(gradient, pictures, out=part)

    def _take(self, taking: list[torch.nn.Parameter], parts: list[torch.Tensor], present: torch.Tensor) -> None:
        """The gradients of all pictures; none where no process has one."""
        for parameter, part, count in zip(taking, parts, present.tolist(), strict=True):
            if not count:
                parameter.grad = None
            elif parameter.grad is None:
                parameter.grad = torch.empty_like(parameter).copy_(part)
            else:
                parameter.grad.copy_(part)

    def _sum(
        self, flat: torch.Tensor, tail: torch.Tensor, loss: Loss, pictures: int, norm: torch.Tensor | None
    ) -> tuple[torch.Tensor, torch.Tensor, bool]:  # fmt: skip
        """Loss over all pictures, sum of the norms, and whether memory sufficed everywhere."""
        size, rank = self.world.size, self.world.rank
        tail.zero_()
        if isinstance(loss, torch.Tensor):
            tail[0], tail[1] = loss * pictures, pictures
        if norm is not None:
            tail[2] = norm
        tail[FIGURES + rank] = SHORT if loss is None else OUT if isinstance(loss, OutOfMemory) else FINE
        tail[FIGURES + size :] = torch.tensor(self.world.signals())
        self.world.sum(flat)
        told = tail[FIGURES:].tolist()
        self.world.hear(told[size:])
        for other, memory in enumerate(told[:size]):
            if memory == OUT and other == rank:
                _of_one(loss)
            elif memory == OUT:
                raise elsewhere(
                    OutOfMemory(tr("process {other} of {size} has no memory left.", other=other + 1, size=size))
                )
        return tail[0] / tail[1], tail[2].clone(), not any(told[:size])


def _of_one(loss: Loss) -> torch.Tensor | None:
    if isinstance(loss, OutOfMemory):
        raise loss
    return loss
