"""Pages of help: of a command in brief, with all its options, or with those of a model; and of a group of commands."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import Field, fields
from typing import Any, ClassVar

import typer
from typer.core import TyperCommand, TyperGroup

from affectkit.cli.brief import Brief, Description
from affectkit.cli.help_layout import Page, Row
from affectkit.settings.audiovisual import CODES
from affectkit.settings.common import CLIP, DATA, LEARNING, MODEL, REGULAR, RUN, V1
from affectkit.settings.training_folds import FOLDS

ARGUMENTS, CLUSTER, HELP, OPTIONS, OUTPUT = "Arguments", "Cluster", "Help", "Options", "Output"
FIRST = (ARGUMENTS, DATA, MODEL, LEARNING, REGULAR, FOLDS)
LAST = (RUN, CLIP, V1, CODES, OUTPUT, CLUSTER, HELP)
"""Headings that come before and after the others of a command, in order."""
METAVARS = {"integer": "N", "int": "N", "float": "NUMBER", "path": "PATH"}
LONGEST_CHOICES = 20
"""Characters of choices that stand behind an option; longer ones are listed in its text."""
MORE = "More commands"


class Command(TyperCommand):
    """A command made of settings: ``--help`` is brief, ``--help-all`` whole.

    Attributes:
        settings: the class that its options are made of.
        brief: what ``--help`` shows.
        description: of the docstring.
        extra: names of options that are no settings, without those that all commands have.
    """

    settings: ClassVar[type]
    brief: ClassVar[Brief]
    description: ClassVar[Description]
    extra: ClassVar[tuple[str, ...]] = ()

    def collect_usage_pieces(self, ctx: Any) -> list[str]:
        """List what stands behind the command's name in the usage line: arguments, what is required, the rest."""
        required = [item for item in self._shown() if item.name in self.brief.required]
        arguments = [item for item in self._shown() if item.param_type_name == "argument"]
        pieces = [_term(item) if item in required else f"[{_term(item)}]" for item in arguments]
        return [*pieces, *(_term(item) for item in required if item not in arguments), "[OPTIONS]"]

    def format_help(self, ctx: Any, formatter: Any) -> None:
        """Write the brief page; ``formatter`` stays empty, as Typer's does."""
        page, brief = self._begun(ctx, self.brief.paragraphs), self.brief
        known = {item.name: item for item in self._shown()}
        if brief.options is not None:
            chosen = {title: [known[name] for name in names.split()] for title, names in brief.options.items()}
            page.sections((title, self._rows(items)) for title, items in chosen.items())
        else:
            own = {*(entry.name for entry in fields(self.settings)), *self.extra} - {"slurm"}
            page.sections(self._by_heading(item for item in known.values() if item.name in own))
        if "help_model" in known:
            page.line(f"{ctx.command_path} --help-model vca shows what applies to one model.")
        page.line(f"{ctx.command_path} --help-all shows all {len(known)} options.")
        page.show()

    def show_all(self, ctx: Any) -> None:
        """Write the page of all options, by heading."""
        page = self._begun(ctx, len(self.description.paragraphs))
        page.sections(self._by_heading(self._shown(), ctx))
        page.show()

    def show_model(self, ctx: Any, name: str) -> None:
        """Write the page of the options that apply to the model called ``name``, with the defaults that it brings."""
        from affectkit.cli.help_model import ModelOptions

        model = ModelOptions.of(name)
        page = self._begun(ctx, 1, examples=False)
        page.paragraph(model.summary)
        known = {item.name: item for item in self._shown() if model.applies(item.name)}
        defaults = {key: value for key, value in model.defaults.items() if key in known}
        first = {
            f"Options of {name}": [known.pop(key) for key in model.own if key in known],
            f"Defaults that {name} brings": [known.pop(key) for key in defaults if key in known],
        }
        special = [(title, self._rows(items, defaults)) for title, items in first.items()]
        page.sections([*special, *self._by_heading(known.values(), ctx)])
        page.show()

    def _begun(self, ctx: Any, paragraphs: int, *, examples: bool = True) -> Page:
        """Return a page with usage, what the command does, and examples."""
        page = Page()
        page.usage(ctx.command_path, self.collect_usage_pieces(ctx))
        for text in self.description.paragraphs[:paragraphs]:
            page.paragraph(text)
        page.examples(self.description.examples if examples else ())
        return page

    def _shown(self) -> list[Any]:
        return [item for item in self.params if not getattr(item, "hidden", False)]

    def _by_heading(self, items: Iterable[Any], ctx: Any = None) -> list[tuple[str, list[Row]]]:
        """Group parameters by their headings, these in order; with ``ctx`` the option ``--help`` is among them."""
        found: dict[str, list[Any]] = {}
        for item in (*items, *([self.get_help_option(ctx)] if ctx is not None else [])):
            found.setdefault(_heading(item), []).append(item)
        middle = [title for title in found if title not in FIRST and title not in LAST]
        return [(title, self._rows(found[title])) for title in (*FIRST, *middle, *LAST) if title in found]

    def _rows(self, items: Iterable[Any], defaults: Mapping[str, Any] | None = None) -> list[Row]:
        entries = {entry.name: entry for entry in fields(self.settings)}
        texts = {name: described(entries[name], value, changed=True) for name, value in (defaults or {}).items()}
        return [Row(_term(item), texts.get(item.name, item.help or ""), self.brief.mark(item.name)) for item in items]


class Group(TyperGroup):
    """A group of commands, whose help is a line for each."""

    def listed(self) -> Iterable[tuple[str, str, str]]:
        """Return heading, name and summary of each command, in order."""
        for name, command in self.commands.items():
            if not command.hidden:
                yield command.rich_help_panel or "Commands", name, _first_sentence(command.help or "")

    def collect_usage_pieces(self, ctx: Any) -> list[str]:
        """List what stands behind the group's name in the usage line."""
        return ["COMMAND", "[OPTIONS]"]

    def format_help(self, ctx: Any, formatter: Any) -> None:
        """Write the page; ``formatter`` stays empty, as Typer's does."""
        page = Page()
        page.usage(ctx.command_path, self.collect_usage_pieces(ctx))
        page.paragraph(self.help or "")
        sections: dict[str, list[Row]] = {}
        for title, name, summary in self.listed():
            sections.setdefault(title, []).append(Row(name, summary[:1].upper() + summary[1:].removesuffix(".")))
        page.sections(sections.items())
        self.end(ctx, page)
        page.show()

    def end(self, ctx: Any, page: Page) -> None:
        """Add what stands below the commands."""
        page.line(f"{ctx.command_path} COMMAND --help shows what a command takes, with examples.")


def command_group(app: typer.Typer, name: str, help: str) -> typer.Typer:
    """Add a group of commands to ``app`` and return it."""
    made = typer.Typer(cls=Group, help=help, no_args_is_help=True, context_settings=HELP_NAMES)
    app.add_typer(made, name=name)
    return made


HELP_NAMES = {"help_option_names": ["--help", "-h", "--help-all"]}
"""Of groups, and of commands of others; those of affectkit have a ``--help-all`` of their own."""


def page_option(name: str, help: str, show: Callable[..., None], **given: Any) -> Any:
    """Declare an option that shows a page of help and ends.

    Args:
        name: of the option.
        help: of the option.
        show: is called with the command, its context and the option's value.
        given: further arguments of ``typer.Option``.
    """

    def called(ctx: typer.Context, value: Any) -> None:
        if value and not ctx.resilient_parsing:
            show(ctx.command, ctx, value)
            typer.echo()
            raise typer.Exit

    return typer.Option(given.pop("default", None), name, help=help, callback=called, is_eager=True,
                        rich_help_panel=HELP, show_default=False, **given)  # fmt: skip


def described(entry: Field[Any], default: Any, *, changed: bool = False) -> str:
    """Write the text of an option with its default behind it.

    Args:
        entry: a field of a settings class.
        default: that is named.
        changed: whether it is another than the field's own, whose ``default_text`` then says nothing.
    """
    text, choices = entry.metadata["help"], entry.metadata["choices"]
    if choices and not _short(choices) and not all(choice in text for choice in choices):
        text += f" One of {', '.join(choices)}."
    shown = "" if changed else entry.metadata["default_text"]
    if not shown and default is not None and default is not False and default != ():
        shown = _written(default)
    elif changed and not shown:
        shown = "no" if default is False else "none"
    return text + (f" Default: {shown}." if shown else "")


def _written(value: Any) -> str:
    if isinstance(value, tuple):
        return ",".join(map(str, value))
    return "yes" if value is True else f"{value:g}" if isinstance(value, float) else str(value)


def _short(choices: Iterable[str]) -> bool:
    return len("|".join(choices)) <= LONGEST_CHOICES


def _heading(item: Any) -> str:
    if item.param_type_name == "argument":
        return ARGUMENTS
    return item.rich_help_panel or (HELP if "--help" in item.opts else OPTIONS)


def _term(item: Any) -> str:
    """Write an option or argument as it is typed, with the placeholder of its value."""
    if item.param_type_name == "argument":
        return item.metavar or item.name.upper()
    names = sorted(item.opts, key=len)
    if item.secondary_opts:
        return f"{names[0]} / {item.secondary_opts[0]}"
    return ", ".join(names) if item.is_flag else f"{', '.join(names)} {_metavar(item)}"


def _metavar(item: Any) -> str:
    choices = getattr(item.type, "choices", None)
    if item.metavar:
        return item.metavar
    if choices:
        return "|".join(choices) if _short(choices) else "NAME"
    return METAVARS.get(item.type.name, "TEXT")


def _first_sentence(text: str) -> str:
    head = text.strip().split("\n\n")[0]
    end = head.find(". ")
    return head[: end + 1] if end > 0 else head
