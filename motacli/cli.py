"""The command line: an app built from what plugins register, and errors turned into one line and an exit code."""

from __future__ import annotations

import errno
import os
import sys
import traceback
from collections.abc import Callable, Sequence
from dataclasses import replace
from difflib import get_close_matches
from typing import Annotated, Any, cast

import typer
import typer.core
import typer.main

from motacli import __version__
from motacli.commands.on_demand import Commands, RootGroup, Waiting, waiting_commands
from motacli.commands.session import Session, add_everywhere_options
from motacli.console import Console
from motacli.errors import MotaError, UsageError
from motacli.plugins import PluginHost, clash, load_plugins
from motacli.processes.launch import is_another_process
from motacli.runs import explain

_EXPLAINED = (errno.ENOSPC, errno.EDQUOT, errno.EACCES, errno.EPERM, errno.EROFS)


def main(argv: Sequence[str] | None = None, *, host: PluginHost | None = None) -> int:
    """Run ``mota`` and return its exit code: 0 ok, 1 failure, 2 usage or configuration, 130 interrupted."""
    # Before torch is imported: OpenMP's threads spin while they wait for each other, so wherever something else runs,
    # one that was interrupted stalls all. Training the tiny model on two busy cores took 5 to 30 times as long as
    # without spinning, which costs it a third of its speed on idle ones, where processes of one thread do better.
    os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")
    if is_another_process():  # or torch warns at length where the first has ended, which has said why
        os.environ.setdefault("TORCH_CPP_LOG_LEVEL", "ERROR")
    arguments = list(sys.argv[1:] if argv is None else argv)
    console = Console(muted=is_another_process())
    try:
        host = host or load_plugins()
        app = build_app(host)
        code = app.main(
            args=arguments,
            prog_name="mota",
            standalone_mode=False,
            auto_envvar_prefix="MOTA",
            obj=Session(host, console),
        )
        sys.stdout.flush()  # here, where a full disk or a reader that left can still be reported
    except BaseException as error:
        return _exit_code(error, console, host)
    if code == 130:  # what Typer makes of Ctrl-C
        console.error("interrupted")
    return code if isinstance(code, int) else 0


def build_app(host: PluginHost) -> typer.core.TyperGroup:
    """The command group: every plugin's commands, each with the options accepted everywhere."""
    # Rich's help takes longer to import than all else together; the list of commands is as good without.
    root = typer.Typer(name="mota", cls=RootGroup, invoke_without_command=True, rich_markup_mode=None)
    root.callback()(_root)
    app: Any = typer.main.get_command(root)
    for param in app.params:
        param.allow_from_autoenv = param.show_envvar = False  # a stray MOTA_VERSION must not print one
    offers: dict[str, list[str]] = {}
    app.commands = Commands()
    for plugin, commands in host.command_apps(lambda filled: list(waiting_commands(filled))):
        for name, command in commands:
            offers.setdefault(name, []).append(plugin)
            if len(offers[name]) > 1:
                command = _ambiguous(name, offers[name])
            app.commands[name] = replace(command, make=_making(host, plugin, name, command.make))
    add_everywhere_options(app)
    return cast(typer.core.TyperGroup, app)


def _making(host: PluginHost, plugin: str, name: str, make: Callable[[], Any]) -> Callable[[], Any]:
    """Makes a command with the options accepted everywhere; one that cannot be made is its plugin's failure."""

    def made() -> Any:
        command = host.guarded(plugin, make)
        if command is None:
            raise MotaError(f"command {name!r} of plugin {plugin!r} cannot be used", "see `mota plugins --strict`")
        add_everywhere_options(command)
        return command

    return made


_Version = Annotated[bool, typer.Option("--version", help="Show the version.")]


def _root(ctx: typer.Context, version: _Version = False) -> None:
    """Zero-shot composed image retrieval: a picture and a sentence about what should change, to a ranked gallery."""
    if version:
        print(f"mota {__version__}")
        raise typer.Exit
    if ctx.invoked_subcommand is None:
        print(ctx.get_help(), end="")
        raise typer.Exit(2)


def _ambiguous(name: str, plugins: list[str]) -> Waiting:
    def command() -> None:
        raise clash(f"command {name!r}", plugins)

    app = typer.Typer(add_completion=False)
    settings = {"ignore_unknown_options": True, "allow_extra_args": True}
    text = f"Offered by more than one plugin: {', '.join(plugins)}."
    app.command(name, help=text, context_settings=settings)(command)
    return Waiting(text, False, lambda: typer.main.get_command(app))


def _exit_code(error: BaseException, console: Console, host: PluginHost | None) -> int:
    """Report an exception on stderr and choose the exit code."""
    # A wrong command line is wrong in all processes; what else goes wrong may be this one's trouble alone.
    console.muted &= isinstance(error, UsageError) or hasattr(error, "format_message")
    if console.debug and not console.muted:
        traceback.print_exception(error)
    if isinstance(error, MotaError):
        console.error(error.message, error.hint)
        return error.exit_code
    if isinstance(error, (KeyboardInterrupt, typer.Abort)):
        console.error("interrupted")
        return 130
    if isinstance(error, SystemExit):
        return error.code if isinstance(error.code, int) else int(error.code is not None)
    if isinstance(error, BrokenPipeError):
        _give_up_stdout()
        return 1
    if isinstance(error, OSError) and (error.filename or error.errno in _EXPLAINED):
        _give_up_stdout()
        known = explain(error)
        console.error(known.message, known.hint)
        return 1
    if hasattr(error, "format_message") and hasattr(error, "exit_code"):
        return _usage_error(error, console, host)
    first = (str(error).strip().splitlines() or [""])[0]
    console.error(f"unexpected {type(error).__name__}: {first}", "rerun with --debug for the traceback")
    return 1


def _give_up_stdout() -> None:
    """Where stdout takes no more, let what is buffered go nowhere, or the interpreter complains when it exits."""
    try:
        sys.stdout.flush()
    except OSError:
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())


def _usage_error(error: Any, console: Console, host: PluginHost | None) -> int:
    """Report a mistake in the command line. Typer carries its own copy of click or uses click's, so none is named."""
    ctx = getattr(error, "ctx", None)
    hint = f"see `{ctx.command_path} --help`" if ctx else ""
    option = getattr(error, "option_name", None)
    if option and hasattr(error, "possibilities"):
        flags = [flag for param in ctx.command.get_params(ctx) for flag in param.opts] if ctx else []
        close = get_close_matches(option, flags, n=1, cutoff=0.5)
        message = f"no such option {option!r}"
        hint = f"did you mean {close[0]!r}?" if close else hint
    else:
        message = " ".join(error.format_message().split()).removesuffix(".")
        if message.startswith("No such command") and host is not None:
            hint = host.failures_hint() or hint
    if message:
        console.error(message[:1].lower() + message[1:], hint)
    return int(error.exit_code)
