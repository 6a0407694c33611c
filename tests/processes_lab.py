"""Two processes that train together, forked from the test: the imports are paid once, and a death is a real one."""

from __future__ import annotations

import hashlib
import multiprocessing
import os
import tempfile
import traceback
from pathlib import Path

import torch
from torch import nn

from recipe.system.processes import world as worlds

FORK = multiprocessing.get_context("fork")


def together(work, *words, size=2, **named):
    """What `work(world, *words, **named)` gives in each of `size` processes, by rank; an error it ends with as `Ended`;
    `Died` for a process that the system ended.
    """
    with tempfile.TemporaryDirectory() as folder:
        pipes = [FORK.Pipe(duplex=False) for _ in range(size)]
        children = []
        for rank, (_, mine) in enumerate(pipes):
            told = {"RANK": str(rank), "LOCAL_RANK": str(rank), "WORLD_SIZE": str(size), "LOCAL_WORLD_SIZE": str(size),
                    worlds.RENDEZVOUS: str(Path(folder) / "meeting"), "GLOO_SOCKET_IFNAME": "lo"}  # fmt: skip
            children.append(FORK.Process(target=_child, args=(mine, told, work, words, named)))
            children[-1].start()
            mine.close()
        found = [_received(theirs) for theirs, _ in pipes]
        for child in children:
            child.join(60)
            assert not child.is_alive(), "a process waits for ever"
        return [Died(child.exitcode) if each is LOST else each for each, child in zip(found, children, strict=True)]


def _received(pipe):
    try:
        return pipe.recv() if pipe.poll(60) else AssertionError("nothing came in a minute")
    except EOFError:
        return LOST


def _child(pipe, told, work, words, named):
    os.environ.update(told)
    torch.set_num_threads(1)
    try:
        with worlds.joined() as world:
            result = work(world, *words, **named)
    except BaseException as error:
        error.trace = traceback.format_exc()
        result = Ended(type(error).__name__, str(error), getattr(error, "elsewhere", False), error.trace)
    pipe.send(result)
    pipe.close()
    os._exit(0)


LOST = object()


class Died:
    """A process that could not say how it ended; `code` is negative for a signal."""

    def __init__(self, code):
        self.code = code

    def __repr__(self):
        return f"died, exit code {self.code}"


class Ended:
    """How a process ended, in what a pipe can carry."""

    def __init__(self, kind, text, elsewhere, trace):
        self.kind, self.text, self.elsewhere, self.trace = kind, text, elsewhere, trace

    def __repr__(self):
        return self.trace


def sha256(model: nn.Module) -> str:
    """Of all tensors of a network."""
    total = hashlib.sha256()
    for tensor in model.state_dict().values():
        total.update(tensor.detach().contiguous().numpy().tobytes())
    return total.hexdigest()
