"""`mota serve`: an index on a local web page, and behind a JSON API."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from motacli.commands import options
from motacli.commands.session import session
from motacli.extras import needed

AUTO = "auto"

IndexPath = Annotated[Path, typer.Argument(metavar="INDEX", help="Index that `mota index` wrote.")]
Host = Annotated[str, typer.Option("--host", help="Address to listen at; others than this machine need --token.")]
Port = Annotated[int, typer.Option("--port", min=0, max=65535, help="Port to listen at; 0: any that is free.")]
Token = Annotated[
    str | None, typer.Option("--token", help="What clients have to know; auto: a new one. Better in MOTA_SERVE_TOKEN.")
]
AllowHost = Annotated[
    list[str] | None, typer.Option("--allow-host", metavar="NAME", help="Name the server goes by; repeatable.")
]
MaxUpload = Annotated[str, typer.Option("--max-upload", metavar="SIZE", help="Most bytes of a request's pictures.")]
MaxPixels = Annotated[int, typer.Option("--max-pixels", min=1, help="Most pixels of a picture.")]
Concurrency = Annotated[int, typer.Option("--concurrency", min=1, help="Requests under way at most.")]
Rate = Annotated[float, typer.Option("--rate", min=0.0, help="Requests per second and client; 0: any number.")]
Timeout = Annotated[float, typer.Option("--timeout", min=0.1, help="Seconds that a client may take to send a request.")]
Plain = Annotated[bool, typer.Option("--plain", help="Leave the adapter out.")]
OpenPage = Annotated[bool, typer.Option("--open", help="Open the page in a browser.")]


def register(app: typer.Typer) -> None:
    """Add the command."""
    app.command("serve")(serve)


def serve(
    ctx: typer.Context,
    index: IndexPath,
    host: Host = "127.0.0.1",
    port: Port = 8000,
    token: Token = None,
    allow_host: AllowHost = None,
    max_upload: MaxUpload = "20MB",
    max_pixels: MaxPixels = 64_000_000,
    concurrency: Concurrency = 64,
    rate: Rate = 50.0,
    timeout: Timeout = 20.0,
    plain: Plain = False,
    open_page: OpenPage = False,
    device: options.Device = "auto",
) -> None:
    """Search an index on a web page of this machine, or through its API (described at /openapi.json).

    It ends on Ctrl-C or SIGTERM, once the requests under way are answered.
    """
    current = session(ctx)
    for module in ("fastapi", "uvicorn", "python_multipart"):
        needed(module, "serve", "mota serve")
    import secrets

    from motacli.search.searcher import Searcher
    from motacli.serve.server import address_of, listen
    from motacli.serve.server import serve as run
    from motacli.serve.settings import Settings, read_size

    settings = Settings(
        host=host,
        token=secrets.token_urlsafe(24) if token == AUTO else token,
        names=tuple(allow_host or ()),
        max_upload=read_size(max_upload),
        max_pixels=max_pixels,
        concurrency=concurrency,
        rate=rate,
        timeout=timeout,
    )
    with Searcher.open(index, host=current.host, device=device, plain=plain) as searcher:
        searcher.search(text="a picture", k=1)  # what cannot be loaded is said now, not to the first who asks
        listening = listen(host, port)
        address = address_of(listening) + (f"#token={settings.token}" if settings.token else "")

        def ready() -> None:
            current.console.log(f"{searcher.index.config.rows} pictures; Ctrl-C ends the server")
            current.console.data({"url": address} if current.console.json else address)
            if open_page:
                import webbrowser

                webbrowser.open(address)

        run(searcher, settings, listening, ready)
