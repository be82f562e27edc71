"""The JSON API."""

from __future__ import annotations

from functools import partial
from typing import Annotated, Any

from fastapi import APIRouter, Depends, File, Request, Response, UploadFile
from fastapi.responses import StreamingResponse
from fastapi.routing import APIRoute

from motacli import __version__
from motacli.errors import did_you_mean
from motacli.runs import jsonable
from motacli.serve import models
from motacli.serve.headers import PICTURE_POLICY
from motacli.serve.problems import Json, Refused, documented
from motacli.serve.service import Question, Service
from motacli.serve.settings import Settings

FIELDS = 96
LONGEST_FIELD = 64 * 1024
_PICTURE = {"content": {"image/*": {}}, "description": "The picture."}
_SEARCH_FIELDS = (
    *("image", "upload", "reference", "text", "negative", "k", "alpha", "min_score", "where", "exclude", "adapted"),
)


class FormRoute(APIRoute):
    """A route that reads forms within narrower limits than the framework's own."""

    def get_route_handler(self) -> Any:
        """The handler, with the form read before it looks."""
        handler = super().get_route_handler()

        async def limited(request: Request) -> Response:
            if request.method == "POST":
                await request.form(max_files=models.MOST_REFERENCES, max_fields=FIELDS, max_part_size=LONGEST_FIELD)
            answer: Response = await handler(request)
            return answer

        return limited


def known_fields(*names: str) -> Any:
    """A dependency: `Refused` where a form has a field that nothing would come of."""

    async def check(request: Request) -> None:
        unknown = [name for name in await request.form() if name not in names]
        if unknown:
            raise Refused(422, f"unknown field {unknown[0][:80]!r}", did_you_mean(unknown[0][:80], names))

    return Depends(check)


def make_api(service: Service, settings: Settings) -> APIRouter:
    """The routes below ``/api``."""
    api = APIRouter(prefix="/api", route_class=FormRoute, responses=documented(401, 421, 422, 429))
    large = documented(408, 410, 413)

    @api.post("/search", response_model=models.Answer, responses=large, dependencies=[known_fields(*_SEARCH_FIELDS)])
    async def search(
        image: models.Images = [],  # noqa: B006
        upload: models.Kept = [],  # noqa: B006
        reference: models.References = [],  # noqa: B006
        text: models.Text = "",
        negative: models.Negative = "",
        k: models.Count = 20,
        alpha: models.Alpha = 0.0,
        min_score: models.MinScore = None,
        where: models.Where = [],  # noqa: B006
        exclude: models.Excluded = [],  # noqa: B006
        adapted: models.Adapted = True,
    ) -> Response:
        """The pictures that fit best: like the pictures given, changed as the text says, or like either alone."""
        options = {"text": text, "negative": negative, "k": k, "alpha": alpha, "min_score": min_score}
        options |= {"where": where, "exclude": exclude, "adapted": adapted, "references": reference}
        question = Question([await file.read() for file in image if file.filename or file.size], upload, options)
        work = service.with_pictures if question.images else service.searching
        features = await work(partial(service.features, question))
        found = await service.searching(partial(service.search, question, features))
        return _json(found.record(paths=False))

    @api.post("/uploads", response_model=models.Uploaded, responses=large, dependencies=[known_fields("image")])
    async def keep(image: Annotated[UploadFile, File(description="A picture.")]) -> Response:
        """Keep what is needed of a picture for a while, so that searches can name it."""
        name, small = await service.with_pictures(partial(service.keep, await image.read()))
        return _json({"upload": name, "width": small.width, "height": small.height})

    @api.get("/uploads/{upload}", response_class=Response, responses={200: _PICTURE, **documented(410)})
    async def kept(upload: models.PictureId) -> Response:
        """The thumbnail of a picture that is kept."""
        return _picture(service.kept(upload).data, "image/webp", None, 3600)

    @api.get("/pictures/{id:path}", response_class=Response, responses={200: _PICTURE, **documented(404)})
    async def picture(id: models.PictureId, request: Request) -> Response:
        """A picture of the index."""
        file = await service.searching(partial(service.picture, id))
        if request.headers.get("if-none-match") == file.tag:
            file.file.close()
            return _unchanged(file.tag)
        if file.kind is None:
            data = await service.with_pictures(partial(service.shown, file))
            return _picture(data, "image/webp", file.tag)
        headers = {**_picture_headers(file.tag, 0), "content-length": str(file.size)}
        return StreamingResponse(file.chunks(), headers=headers, media_type=file.kind)

    @api.get("/thumbnails/{id:path}", response_class=Response, responses={200: _PICTURE, **documented(404)})
    async def thumbnail(id: models.PictureId, request: Request) -> Response:
        """A small copy of a picture of the index."""
        data, tag = await service.with_pictures(partial(service.thumbnail, id))
        if request.headers.get("if-none-match") == tag:
            return _unchanged(tag)
        return _picture(data, "image/webp", tag, 60)

    @api.get("/index", response_model=models.About)
    async def about() -> Response:
        """What is searched."""
        examples = await service.searching(service.examples)
        index = service.index()
        config, names = index.config, ("backbone", "inversion", "adapter", "columns", "state")
        said = {"name": index.path.name, "count": config.rows, **{name: getattr(config, name) for name in names}}
        limits = {"max_upload": settings.max_upload, "max_pixels": settings.max_pixels}
        more = {"max_results": models.MOST_RESULTS, "version": __version__, "examples": examples}
        return _json({**said, **limits, **more})

    return api


def _json(value: Any) -> Response:
    return Json(jsonable(value))


def _picture(data: bytes, kind: str, tag: str | None, seconds: int = 0) -> Response:
    return Response(data, media_type=kind, headers=_picture_headers(tag, seconds))


def _unchanged(tag: str) -> Response:
    return Response(status_code=304, headers=_picture_headers(tag, 60))


def _picture_headers(tag: str | None, seconds: int) -> dict[str, str]:
    age = f"private, max-age={seconds}" if seconds else "private, no-cache"
    return {"content-security-policy": PICTURE_POLICY, "cache-control": age, **({"etag": tag} if tag else {})}
