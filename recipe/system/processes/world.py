"""Several processes that train one fold together: who is who, and what they tell each other.

    with joined() as world:             # as the environment says; alone where it says nothing
        world.first(work)               # the first process works, all get the result
        world.agree(work)               # all work; what is refused on one ends all, and is said once
        world.part(rows)                # this process's share of some rows; world.gathered(...) brings them together

Whatever is told travels in an envelope, a value or a refusal: a process that is refused sends its sentence to the
others wherever they are waiting. Nothing here imports torch or numpy before there are several processes.
"""

from __future__ import annotations

import contextlib
import os
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import timedelta
from typing import TYPE_CHECKING, Any, TypeVar

from protocol.errors import UserError
from protocol.language import tr
from recipe.system.processes.envelope import packed, unpacked
from recipe.system.stopping import Stopped

if TYPE_CHECKING:
    import numpy as np
    import torch

T = TypeVar("T")
RENDEZVOUS = "FLYAI_RENDEZVOUS"  # a file by which processes of one machine find each other; torchrun gives an address
PARENT = "FLYAI_PARENT"  # the process that started this one, which is not to outlive it
PATIENCE = timedelta(
    days=1
)  # for one process to wait for another: the dead are noticed at once, the slow are not hurried
HANGUP = 1  # SIGHUP, on every system: what the end of the parent counts as


class LostProcess(UserError, RuntimeError):  # noqa: N818  (says what it is)
    """Another process of the same training has ended."""


@dataclass(eq=False)
class World:
    """The processes that train together, as one of them sees it. Limit: alone, nothing is told and nothing awaited."""

    rank: int = 0
    size: int = 1
    asked: Callable[[], int | None] = lambda: None  # the signal that asks this process for an end
    heard: int = 0  # the signal that asks all of them, known to all after the same step
    _ended: bool = field(default=False, repr=False)  # a refusal was told; nobody listens any more

    @property
    def alone(self) -> bool:
        """Whether there is no other process."""
        return self.size == 1

    @property
    def is_first(self) -> bool:
        """Whether this process is the one that judges, prints, saves and keeps the clock."""
        return self.rank == 0

    def gather(self, value: T) -> list[T]:
        """What every process gives, by rank.

        Raises:
            LostProcess: one has ended.
            What another was refused for.
        """
        return self._told((value, None))

    def agree(self, work: Callable[[], T]) -> T:
        """What some work gives here; where it is refused or stopped in one process, it is in all.

        Raises:
            What the work raises in the first process that is refused; in the others the same, marked as said elsewhere.
        """
        try:
            result = work()
        except (UserError, OSError, Stopped) as error:
            if self.alone or self._ended or isinstance(error, LostProcess):
                raise
            self._told((None, error))
            raise
        self._told((None, None))
        return result

    def first(self, work: Callable[[], T]) -> T:
        """What the first process makes of some work, for all. Raises as `agree`."""
        found: list[Any] = [self.agree(work if self.is_first else lambda: None)]
        if not self.alone:
            with self._listening():
                _distributed().broadcast_object_list(found, 0, group=_control())
        return found[0]  # type: ignore[no-any-return]

    def in_turn(self, work: Callable[[], T]) -> T:
        """What some work gives here, done by the first process before the others. Raises as `agree`."""
        done = [self.agree(work if self.is_first else lambda: None)]
        return self.agree(lambda: done[0] if self.is_first else work())  # type: ignore[return-value]

    def part(self, rows: np.ndarray | Sequence[int]) -> np.ndarray:
        """This process's share of some rows: a piece of their order, as long as the others' or one shorter."""
        import numpy as np

        return np.array_split(np.asarray(rows), self.size)[self.rank]

    def gathered(self, work: Callable[[], np.ndarray]) -> np.ndarray:
        """What every process gives for its part of some rows, in order; some may have none. Raises as `agree`."""
        import numpy as np

        if self.alone:
            return work()
        parts = [part for part in self.gather(self.agree(work)) if len(part)]
        return np.concatenate(parts)

    def shard(self, count: int) -> np.ndarray:
        """This process's positions in a batch of `count`, ascending: pairs i and count-1-i stay together.

        Mixing takes the picture count-1-i for the partner of picture i, so the pairs of a shard are those of the whole
        batch. The middle of an odd batch belongs to the first process. Limit: alone, every position.
        """
        import numpy as np

        half = count // 2
        begin, end = (-(-rank * half // self.size) for rank in (self.rank, self.rank + 1))
        front = np.arange(begin, end)
        middle = np.array([half] if count % 2 and self.is_first else [], front.dtype)
        return np.concatenate([front, middle, count - 1 - front[::-1]])

    def sum(self, tensor: torch.Tensor) -> None:
        """Adds what every process has, in place.

        Raises:
            LostProcess: one has ended.
        """
        if not self.alone:
            with self._listening():
                _distributed().all_reduce(tensor)

    def share(self, tensors: Sequence[torch.Tensor]) -> None:
        """Everybody's tensors become those of the first process. Raises as `sum`."""
        if not self.alone:
            with self._listening():
                for tensor in tensors:
                    dense = tensor.contiguous()
                    _distributed().broadcast(dense, 0)
                    tensor.copy_(dense)

    def signals(self) -> list[float]:
        """What this process adds to a sum so that all hear who is asked to stop: one number for each of them."""
        own = [0.0] * self.size
        own[self.rank] = float(self.asked() or (HANGUP if orphaned() else 0))
        return own

    def hear(self, signals: Sequence[float]) -> None:
        """Takes note of the sum of all `signals`."""
        self.heard = self.heard or next((int(number) for number in signals if number), 0)

    def check_stop(self) -> None:
        """Nothing, until all have heard that one is asked to stop.

        Raises:
            Stopped: after the same step in every process.
        """
        if self.heard:
            raise elsewhere(Stopped(self.heard)) if self.rank else Stopped(self.heard)

    def _told(self, own: tuple[Any, BaseException | None]) -> list[Any]:
        """The envelopes of all, opened."""
        if self.alone:
            return [own[0]]
        envelopes: list[Any] = [None] * self.size
        value, error = own
        with self._listening():
            _distributed().all_gather_object(envelopes, (value, error and packed(error)), group=_control())
        self._ended = self._ended or any(refused for _, refused in envelopes)
        for rank, (_, refused) in enumerate(envelopes):
            if refused:
                if rank == self.rank and error is not None:
                    raise error
                raise elsewhere(unpacked(refused))
        return [value for value, _ in envelopes]

    @contextlib.contextmanager
    def _listening(self) -> Iterator[None]:
        try:
            yield
        except RuntimeError as error:
            if isinstance(error, UserError):
                raise
            lost = LostProcess(
                tr(
                    "another of the {size} processes has ended; if it left no sentence of its own, the "
                    "system ended it (out of memory?). What was saved is kept: go on with --resume.",
                    size=self.size,
                )
            )
            raise (lost if self.is_first else elsewhere(lost)) from None


ALONE = World()
_here = ALONE


def here() -> World:
    """The world that this process has joined; alone, if none."""
    return _here


def in_world(environment: Mapping[str, str] = os.environ) -> bool:
    """Whether this process was started as one of several."""
    found = environment.get("RANK"), environment.get("WORLD_SIZE")
    reachable = environment.get(RENDEZVOUS) or environment.get("MASTER_ADDR")
    return bool(reachable) and all(text and text.isdigit() for text in found) and found[1] != "1"


def beside(environment: Mapping[str, str] = os.environ) -> int:
    """How many processes of one training share this machine, its memory and its disk."""
    text = environment.get("LOCAL_WORLD_SIZE", "1")
    return max(1, int(text)) if in_world(environment) and text.isdigit() else 1


def local_rank(environment: Mapping[str, str] = os.environ) -> int:
    """The number of this process on this machine: which GPU is its own."""
    text = environment.get("LOCAL_RANK", "0")
    return int(text) if in_world(environment) and text.isdigit() else 0


def leave() -> None:
    """This process goes on alone: what follows, the others do not take part in."""
    global _here
    _here = ALONE


@contextlib.contextmanager
def joined(environment: Mapping[str, str] = os.environ) -> Iterator[World]:
    """The world of the environment during the block."""
    global _here
    if not in_world(environment):
        yield ALONE
        return
    import torch

    rank, size = int(environment["RANK"]), int(environment["WORLD_SIZE"])
    file = environment.get(RENDEZVOUS)
    # Each kind of device by its own library; CUDA's was never run by this project, which has no two GPUs.
    backend = "cpu:gloo,cuda:nccl" if torch.cuda.is_available() else "gloo"
    _distributed().init_process_group(
        backend, init_method=f"file://{file}" if file else "env://", rank=rank, world_size=size, timeout=PATIENCE
    )
    try:
        _here = World(rank, size)
        yield _here
    finally:
        _here = ALONE
        with contextlib.suppress(RuntimeError, ValueError):
            _distributed().destroy_process_group()


def orphaned(environment: Mapping[str, str] = os.environ) -> bool:
    """Whether the process that started this one is gone."""
    parent = environment.get(PARENT, "")
    return parent.isdigit() and hasattr(os, "getppid") and os.getppid() != int(parent)


def elsewhere(error: Any) -> Any:
    """The error, marked as one that another process tells the user of."""
    error.elsewhere = True
    return error


def _distributed() -> Any:
    import torch.distributed

    return torch.distributed


def _control() -> Any:
    """The group for words: gloo also where gradients go by NCCL."""
    global _words
    distributed = _distributed()
    if _words is None or _words[0] is not distributed.group.WORLD:
        mixed = "nccl" in str(distributed.get_backend_config())
        _words = distributed.group.WORLD, distributed.new_group(backend="gloo") if mixed else distributed.group.WORLD
    return _words[1]


_words: tuple[Any, Any] | None = None
