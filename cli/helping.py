"""Help in the reader's language: what Typer itself says in English is said from our texts.

The texts travel in the context's ``obj``. Only a page of help needs them, so only then is Rich's
part of Typer loaded.
"""

from typing import TYPE_CHECKING

from typer.core import TyperCommand, TyperGroup

from messages import Texts

if TYPE_CHECKING:
    # Typer brings Click's classes along under names of its own; only their types are needed.
    from typer._click.core import Context
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


class Command(TyperCommand):
    """A command whose help page is in the reader's language."""

    def get_usage(self, ctx: "Context") -> str:
        return _usage(super().get_usage(ctx), ctx)

    def get_help_option(self, ctx: "Context") -> "TyperOption | None":
        return _translated(super().get_help_option(ctx), ctx)

    def format_help(self, ctx: "Context", formatter: "HelpFormatter") -> None:
        _translate_titles(ctx)
        super().format_help(ctx, formatter)


class Group(TyperGroup):
    """A group of commands whose help page is in the reader's language."""

    def get_usage(self, ctx: "Context") -> str:
        return _usage(super().get_usage(ctx), ctx)

    def get_help_option(self, ctx: "Context") -> "TyperOption | None":
        return _translated(super().get_help_option(ctx), ctx)

    def format_help(self, ctx: "Context", formatter: "HelpFormatter") -> None:
        _translate_titles(ctx)
        for parameter in self.params:
            if parameter.name in {"install_completion", "show_completion"}:
                parameter.help = texts_of(ctx)(f"opt_{parameter.name}")  # type: ignore[attr-defined]  # both are options
        super().format_help(ctx, formatter)


def texts_of(ctx: "Context") -> Texts:
    """The texts of this run."""
    return ctx.obj if isinstance(ctx.obj, Texts) else Texts()


def _usage(line: str, ctx: "Context") -> str:
    return line.replace(_ENGLISH_USAGE, texts_of(ctx)("usage_heading"), 1)


def _translated(option: "TyperOption | None", ctx: "Context") -> "TyperOption | None":
    if option is not None:
        option.help = texts_of(ctx)("opt_help")
    return option


def _translate_titles(ctx: "Context") -> None:
    # Typer reads these names of its module for each page; it has no other way to set them.
    from typer import rich_utils  # noqa: PLC0415 - needed for help only

    for name, code in _TITLES.items():
        setattr(rich_utils, name, texts_of(ctx).template(code))
