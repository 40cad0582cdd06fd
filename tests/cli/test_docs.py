"""The documentation of the commands says what the commands are."""

from pathlib import Path
from typing import Any

from typer.core import TyperGroup

from cli import rights, status
from cli.app import VERSION, build
from cli.lifecycle import page
from cli.session import Session
from messages import LANGUAGES, Texts

ROOT = Path(__file__).resolve().parents[2]
COMMANDS = (ROOT / "docs/commands.md").read_text(encoding="utf-8")


def leaves(group: Any, path: str = "dondoc") -> list[tuple[str, Any]]:
    found = []
    for name, command in group.commands.items():
        if isinstance(command, TyperGroup):
            found += leaves(command, f"{path} {name}")
        else:
            found.append((f"{path} {name}", command))
    return found


def every_command(language: str = "en") -> list[tuple[str, Any]]:
    return leaves(build(Session(Texts(language))))


def test_every_command_is_documented() -> None:
    names = [name for name, _ in every_command()]
    assert len(names) > 30
    assert [name for name in names if f"`{name}" not in COMMANDS] == []


def test_every_option_of_every_command_is_documented() -> None:
    options = {
        option
        for _, command in every_command()
        for parameter in command.params
        for option in parameter.opts
        if option.startswith("--")
    }
    assert sorted(option for option in options if f"{option}" not in COMMANDS) == []


def test_every_exit_status_is_documented() -> None:
    numbers = [value for name, value in vars(status).items() if name.isupper()]
    assert [number for number in numbers if f"| {number} |" not in COMMANDS] == []


def test_the_page_of_the_lifecycle_is_current() -> None:
    current = (ROOT / "docs/lifecycle.md").read_text(encoding="utf-8")
    assert current == page(), "dondoc lifecycle --markdown > docs/lifecycle.md"


def test_the_page_of_authority_is_current() -> None:
    current = (ROOT / "docs/authority.md").read_text(encoding="utf-8")
    assert current == rights.page(), "dondoc rights --markdown > docs/authority.md"


def test_every_command_and_option_has_help_in_both_languages() -> None:
    for language in LANGUAGES:
        for name, command in every_command(language):
            assert command.help, name
            assert not command.help.startswith("help_"), name
            for parameter in command.params:
                text = parameter.help or ""
                assert text, (name, parameter.name)
                assert not text.startswith("opt_"), (name, parameter.name)


def test_the_version_is_that_of_the_package() -> None:
    assert f'version = "{VERSION}"' in (ROOT / "pyproject.toml").read_text(encoding="utf-8")
