"""Help in the reader's language: what Typer itself says in English is said from our texts.

The texts travel in the context's ``obj``. Only a page of help needs them, so only then is Rich's
part of Typer loaded.
"""

import re
from functools import partial
from typing import TYPE_CHECKING

from typer.core import TyperArgument, TyperCommand, TyperGroup

from messages import Texts

if TYPE_CHECKING:
    # Typer brings Click's classes along under names of its own; only their types are needed.
    from collections.abc import Sequence

    from typer._click.core import Context, Parameter
    from typer._click.formatting import HelpFormatter
    from typer.core import TyperOption

_TITLES = {
    "ARGUMENTS_PANEL_TITLE": "panel_arguments",
    "OPTIONS_PANEL_TITLE": "panel_options",
    "COMMANDS_PANEL_TITLE": "panel_commands",
    "DEFAULT_STRING": "help_default",
    "ENVVAR_STRING": "help_envvar",
    "REQUIRED_LONG_STRING": "help_required",
}
_ENGLISH_USAGE = "Usage:"
_BRACED = re.compile(r"\{([^{}]+)\}|\[(\[[^\[\]]+\])\]")
"""How Typer writes an argument in the usage line: {FILE}, or [[BUNDLE]] if it may be left out."""


class Command(TyperCommand):
    """A command whose help page is in the reader's language."""

    def get_usage(self, ctx: "Context") -> str:
        return _usage(super().get_usage(ctx), ctx)

    def get_help_option(self, ctx: "Context") -> "TyperOption | None":
        return _translated(super().get_help_option(ctx), ctx)

    def format_help(self, ctx: "Context", formatter: "HelpFormatter") -> None:
        _translate_titles(ctx)
        _hide_types(self.params, texts_of(ctx))
        super().format_help(ctx, formatter)


class Group(TyperGroup):
    """A group of commands whose help page is in the reader's language."""

    def get_usage(self, ctx: "Context") -> str:
        return _usage(super().get_usage(ctx), ctx)

    def get_help_option(self, ctx: "Context") -> "TyperOption | None":
        return _translated(super().get_help_option(ctx), ctx)

    def format_help(self, ctx: "Context", formatter: "HelpFormatter") -> None:
        _translate_titles(ctx)
        _hide_types(self.params, texts_of(ctx))
        for parameter in self.params:
            if parameter.name in {"install_completion", "show_completion"}:
                parameter.help = texts_of(ctx)(f"opt_{parameter.name}")  # type: ignore[attr-defined]  # both are options
        super().format_help(ctx, formatter)


def texts_of(ctx: "Context") -> Texts:
    """The texts of this run."""
    return ctx.obj if isinstance(ctx.obj, Texts) else Texts()


def _usage(line: str, ctx: "Context") -> str:
    line = _BRACED.sub(lambda found: found[1] or found[2], line)
    return line.replace(_ENGLISH_USAGE, texts_of(ctx)("usage_heading"), 1)


def _hide_types(parameters: "Sequence[Parameter]", texts: Texts) -> None:
    """Say what to write in the place of a value, not of which Python type it is."""
    for parameter in parameters:
        shown = partial(_value_name, parameter, texts)
        parameter.display_type_rich = shown  # type: ignore[attr-defined]  # Typer asks for it by this name


def _value_name(parameter: "Parameter", texts: Texts, ctx: "Context") -> str | None:  # noqa: ARG001 - Typer gives it
    if isinstance(parameter, TyperArgument) or getattr(parameter, "is_flag", False):
        return None
    if parameter.metavar is not None:
        return str(parameter.metavar)
    descriptor = getattr(parameter, "type_descriptor", None)
    is_number = descriptor is not None and descriptor.annotation is int
    return texts("metavar_number" if is_number else "metavar_text")


def _translated(option: "TyperOption | None", ctx: "Context") -> "TyperOption | None":
    if option is not None:
        option.help = texts_of(ctx)("opt_help")
        _hide_types([option], texts_of(ctx))
    return option


def _translate_titles(ctx: "Context") -> None:
    # Typer reads these names of its module for each page; it has no other way to set them.
    from typer import rich_utils  # noqa: PLC0415 - needed for help only

    for name, code in _TITLES.items():
        setattr(rich_utils, name, texts_of(ctx).template(code))
