"""How a function becomes a command: its help in the reader's language, and the common options.

A command is a plain function ``(session, …) -> int | None``. The help of its options is given as
codes, which are looked up here, once the language is known:

    def show(session: Session, task: TaskId, raw: Annotated[bool, Option("--raw", help="opt_raw")])
"""

import copy
import inspect
import re
from collections.abc import Callable
from pathlib import Path
from typing import Annotated, Any, get_args, get_origin

import typer
from typer.models import ParameterInfo

from cli import status
from cli.helping import Command, Group
from cli.output import ReaderGone
from cli.session import Session
from messages import LANGUAGES

Handler = Callable[..., int | None]

DATA = Annotated[
    Path | None, typer.Option("--data", help="opt_data", metavar="DIR", show_default=False)
]
LANG = Annotated[str | None, typer.Option("--lang", help="opt_lang", metavar="|".join(LANGUAGES))]
JSON = Annotated[bool, typer.Option("--json", help="opt_json")]
_WORD = re.compile(r"[A-Z]{2,}")
_COMMON = {"data_": DATA, "lang_": LANG, "json_": JSON}


def new_group(session: Session, help_code: str, *, completion: bool = False) -> typer.Typer:
    """A group of commands; without a command it shows its help."""
    return typer.Typer(
        cls=Group,
        help=session.texts(help_code),
        no_args_is_help=True,
        add_completion=completion,
        pretty_exceptions_enable=False,
        rich_markup_mode="rich",
        options_metavar=session.texts("usage_options"),
        subcommand_metavar=session.texts("usage_command"),
        context_settings={"obj": session.texts, "help_option_names": ["--help"]},
    )


def adopting(session: Session) -> Callable[..., None]:
    """The callback of a group: the common options may also stand before the command's name."""

    def take(**options: Any) -> None:  # noqa: ANN401 - as Typer read them
        adopt(session, options["lang_"], options["data_"], as_json=options["json_"])

    dress(take, session, _common())
    return take


def add_command(
    app: typer.Typer,
    session: Session,
    name: str,
    handler: Handler,
    *,
    help_text: str | None = None,
    short_help: str | None = None,
    panel: str | None = None,
    parameters: list[inspect.Parameter] | None = None,
) -> None:
    """Add ``handler`` to ``app``.

    Unless given, its help is the text ``help_…``, and its options are those of its signature.
    """
    texts = session.texts
    code = f"help_{handler.__module__.rpartition('.')[2]}_{handler.__name__}"

    def run(**options: Any) -> int:  # noqa: ANN401 - as Typer read them
        adopt(session, options.pop("lang_"), options.pop("data_"), as_json=options.pop("json_"))
        try:
            return handler(session, **options) or status.DONE
        except BrokenPipeError as error:
            # Typer would end the process with status 1 here, which means something else with us.
            raise ReaderGone from error

    dress(run, session, [*(parameters or _parameters(handler)), *_common()])
    app.command(
        name,
        cls=Command,
        help=help_text or texts(code),
        short_help=short_help,
        rich_help_panel=panel,
        options_metavar=texts("usage_options"),
        context_settings={"obj": texts},
    )(run)


def adopt(session: Session, lang: str | None, data: Path | None, *, as_json: bool) -> None:
    """Take over the common options. The language was chosen before the commands were made."""
    if lang is not None and lang not in LANGUAGES:
        raise typer.BadParameter(
            session.texts("misuse_choice", value=lang, choices=", ".join(LANGUAGES)),
            param_hint="--lang",
        )
    session.adopt(data, as_json=as_json)


def dress(
    function: Callable[..., Any], session: Session, parameters: list[inspect.Parameter]
) -> None:
    """Give ``function`` a signature for Typer, with its help codes turned into texts."""
    translated = [_translated(parameter, session) for parameter in parameters]
    function.__signature__ = inspect.Signature(translated)  # type: ignore[attr-defined]  # inspect's own protocol
    function.__annotations__ = {p.name: p.annotation for p in translated}


def keyword(
    name: str, annotation: object, default: object = inspect.Parameter.empty
) -> inspect.Parameter:
    """A parameter of a command made at run time."""
    kind = inspect.Parameter.KEYWORD_ONLY
    return inspect.Parameter(name, kind, annotation=annotation, default=default)


def _parameters(handler: Handler) -> list[inspect.Parameter]:
    declared = list(inspect.signature(handler).parameters.values())[1:]
    return [parameter.replace(kind=inspect.Parameter.KEYWORD_ONLY) for parameter in declared]


def _common() -> list[inspect.Parameter]:
    return [
        keyword(name, annotation, default=False if name == "json_" else None)
        for name, annotation in _COMMON.items()
    ]


def _translated(parameter: inspect.Parameter, session: Session) -> inspect.Parameter:
    annotation = parameter.annotation
    if get_origin(annotation) is not Annotated:
        return parameter
    kind, *extras = get_args(annotation)
    described = [_described(extra, parameter.name, session) for extra in extras]
    annotated: Any = Annotated
    return parameter.replace(annotation=annotated[(kind, *described)])


def _described(extra: object, name: str, session: Session) -> object:
    if not isinstance(extra, ParameterInfo):
        return extra
    info = copy.copy(extra)
    if info.help is not None and info.help in session.texts:
        info.help = session.texts(info.help)
    if info.metavar is not None:
        info.metavar = _WORD.sub(lambda word: _value_name(word[0], session), info.metavar)
    if name in _COMMON:
        info.rich_help_panel = session.texts("panel_common")
    return info


def _value_name(word: str, session: Session) -> str:
    """What stands for a value in the reader's language: FILE, TỆP."""
    return session.texts.template(f"metavar_{word.lower()}") or word
