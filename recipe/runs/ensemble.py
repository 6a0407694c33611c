"""How a trained run answers: `ensemble.json` in the run folder, written by training and by `python -m recipe tune`.

    {"views": "identity(), hflip()", "test_size": 160, "soup": true, "temperature": 1.2,
     "members": [{"run": ".", "weight": 0.75}, {"run": "members/b6", "weight": 0.25}]}

Every key may be absent; an unknown one is refused.
"""

from __future__ import annotations

from pathlib import Path, PurePosixPath
from typing import Annotated

from annotated_types import Ge, Gt, Le
from pydantic import Field, field_validator, model_validator

from protocol.language import tr
from protocol.plain_files import Unreadable, read_json
from protocol.strict import Strict, checked
from recipe.config import MOST_PIXELS, Temperature
from recipe.system.atomic import CheckpointError, write_json

FILE = "ensemble.json"
HERE = "."  # the run folder itself as a member
WEIGHTS, SOUP = "model.safetensors", "soup.safetensors"


class Weighted(Strict):
    """A run and its share in the answer."""

    run: str = Field(description="folder with the folds, relative to the run folder; . is the run itself")
    weight: Annotated[float, Gt(0), Le(1)] = Field(description="share of its probabilities")
    temperature: Temperature = Field(1.0, description="divides the logarithm of its probabilities before")

    @field_validator("run")
    @classmethod
    def _inside(cls, run: str) -> str:
        if not run or "\\" in run or PurePosixPath(run).is_absolute() or ".." in PurePosixPath(run).parts or ":" in run:
            raise ValueError(tr("name a folder inside the run folder, with forward slashes, such as members/b6"))
        return run


class Answering(Strict):
    """What out-of-fold predictions decided for."""

    views: str = Field("", description="views whose probabilities are averaged; empty takes those of the settings")
    test_size: Annotated[int, Ge(0), Le(MOST_PIXELS)] = Field(
        0, description="side of the crop in pixels; 0 takes that of validation"
    )
    soup: bool = Field(False, description="each fold answers with soup.safetensors instead of model.safetensors")
    temperature: Temperature = Field(1.0, description="divides the logarithm of the averaged probabilities")
    members: tuple[Weighted, ...] = Field((), description="runs that answer together; empty for this run alone")
    runtime: str = Field("auto", description="what answers, where it can and proves equal; auto takes the fastest")

    @model_validator(mode="after")
    def _whole(self) -> Answering:
        total = sum(member.weight for member in self.members)
        if self.members and abs(total - 1) > 1e-6:
            raise ValueError(
                tr("the weights of the members sum to {total:g}; they are shares and sum to 1", total=total)
            )
        if len({member.run for member in self.members}) < len(self.members):
            raise ValueError(tr("a run is named twice among the members; add its weights up"))
        return self

    @property
    def weights_file(self) -> str:
        """The file of a fold that holds the weights to answer with."""
        return SOUP if self.soup else WEIGHTS


def read_answering(folder: Path) -> Answering:
    """How the run in `folder` answers; the defaults where nothing was decided yet.

    Raises:
        ConfigError: an unknown key or a refused value.
        CheckpointError: the file is not JSON.
    """
    path = folder / FILE
    try:
        content = read_json(path)
    except FileNotFoundError:
        return Answering()
    except (OSError, Unreadable) as error:
        raise CheckpointError(
            tr(
                "{path} cannot be read: {error}; restore it, or delete it to answer as the settings say.",
                path=path,
                error=error,
            )
        ) from None
    return checked(Answering, content, str(path))


def read_member(folder: Path) -> Answering:
    """How a member answers within an ensemble.

    Raises:
        CheckpointError: it is itself an ensemble or has a temperature of its own, which only the whole can have.
    """
    serving = read_answering(folder)
    if serving.members or serving.temperature != 1:
        raise CheckpointError(
            tr(
                "{folder}: a member of an ensemble has neither members nor a temperature; delete these keys there.",
                folder=folder / FILE,
            )
        )
    return serving


def write_answering(folder: Path, serving: Answering) -> None:
    """Writes `ensemble.json`, whole or not at all; values left at their default are not written."""
    write_json(folder / FILE, {"views": serving.views} | serving.model_dump(mode="json", exclude_defaults=True))
