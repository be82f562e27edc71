"""The server as an ASGI app."""

from __future__ import annotations

import asyncio
import contextlib
import logging
from collections.abc import AsyncIterator
from functools import partial

from fastapi import FastAPI

from motacli import __version__
from motacli.errors import MotaError
from motacli.search.searcher import Searcher
from motacli.serve.api import make_api
from motacli.serve.guard import Guard
from motacli.serve.pages import make_pages
from motacli.serve.problems import add_handlers
from motacli.serve.service import Service
from motacli.serve.settings import Settings
from motacli.serve.tokens import Tokens

log = logging.getLogger(__name__)


def create_app(searcher: Searcher, settings: Settings | None = None) -> FastAPI:
    """The page and the API of an index. The searcher stays the caller's, to be closed when the app is done."""
    settings = settings or Settings()
    service, tokens = Service(searcher, settings), Tokens(settings.token)
    app = FastAPI(
        title="mota",
        version=__version__,
        summary="Composed search over the pictures of an index.",
        docs_url=None,  # their pages load scripts from elsewhere
        redoc_url=None,
        redirect_slashes=False,
        lifespan=partial(_lifespan, service=service, settings=settings),
    )
    add_handlers(app)
    app.include_router(make_pages(tokens))
    app.include_router(make_api(service, settings))
    app.add_middleware(Guard, settings=settings, tokens=tokens)
    return app


@contextlib.asynccontextmanager
async def _lifespan(app: FastAPI, service: Service, settings: Settings) -> AsyncIterator[None]:
    service.start()
    watching = asyncio.create_task(_watch(service, settings.watch_seconds))
    try:
        yield
    finally:
        watching.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await watching
        await asyncio.to_thread(service.close)


async def _watch(service: Service, seconds: float) -> None:
    """Go over to newer states of the index as they come."""
    told = ""
    while True:
        await asyncio.sleep(seconds)
        try:
            if await service.searching(service.refresh):
                log.warning("the index was updated: %d pictures", service.index().config.rows)
            told = ""
        except (MotaError, OSError) as error:
            if str(error) != told:  # once, not every few seconds
                log.error("the index cannot be read again, the old state goes on: %s", error)
            told = str(error)
