"""What the API takes and gives, for its description."""

from __future__ import annotations

from typing import Annotated

from fastapi import File, Form, Path, UploadFile
from pydantic import BaseModel, StringConstraints

from motacli.search.results import Asked, Background, Kind

MOST_RESULTS, MOST_REFERENCES, MOST_CONDITIONS = 200, 8, 16

Id = Annotated[str, StringConstraints(min_length=1, max_length=4096)]
Text = Annotated[str, Form(max_length=2000, description="What should change; without a picture, what to look for.")]
Negative = Annotated[str, Form(max_length=2000, description="What results should not look like.")]
Images = Annotated[list[UploadFile], File(max_length=MOST_REFERENCES, description="Pictures; one reference together.")]
Kept = Annotated[
    list[Id], Form(max_length=MOST_REFERENCES, description="The same, by names that POST /api/uploads gave.")
]
References = Annotated[list[Id], Form(max_length=MOST_REFERENCES, description="The same, by ids of the index.")]
Excluded = Annotated[list[Id], Form(max_length=64, description="Ids that are left out of the results.")]
Count = Annotated[int, Form(ge=1, le=MOST_RESULTS, description="How many results at most.")]
Alpha = Annotated[
    float, Form(ge=0, lt=1, allow_inf_nan=False, description="From the composition (0) towards the picture alone.")
]
MinScore = Annotated[
    float | None, Form(allow_inf_nan=False, description="Leave out what stands out less; 2 to 4 are of use.")
]
Condition = Annotated[str, StringConstraints(min_length=1, max_length=300)]
Where = Annotated[list[Condition], Form(max_length=MOST_CONDITIONS, description="As price<20 or path~summer/*.")]
Adapted = Annotated[bool, Form(description="False leaves the adapter out.")]
PictureId = Annotated[str, Path(min_length=1, max_length=4096, description="An id of the index.")]


class Found(BaseModel):
    """One result. ``path`` is relative to the folder of pictures."""

    id: str
    path: str
    score: float
    similarity: float
    metadata: dict[str, str | float | None]


class Answer(BaseModel):
    """What ``mota search --json`` prints."""

    results: list[Found]
    kind: Kind
    query: Asked
    total: int
    background: Background
    ms: float


class Uploaded(BaseModel):
    """The name of a picture that is kept for a while, and its size in pixels."""

    upload: str
    width: int
    height: int


class About(BaseModel):
    """The index that is searched."""

    name: str
    count: int
    state: int
    backbone: str
    inversion: str | None
    adapter: str | None
    columns: dict[str, str]
    examples: list[str]
    max_upload: int
    max_pixels: int
    max_results: int
    version: str
