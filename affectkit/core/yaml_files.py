"""Plain YAML from files of others: size, nesting, count and numbers bounded, in time that grows with the text alone."""

from __future__ import annotations

from collections import Counter
from pathlib import Path
from typing import Any

from affectkit.core.limits import MAX_CONFIG_DIGITS, MAX_CONFIG_NODES, MAX_DEPTH
from affectkit.core.text import list_some
from affectkit.errors import UsageError

YAML_TAG = "tag:yaml.org,2002:"
TIMESTAMP = f"{YAML_TAG}timestamp"
PLAIN = {"str", "int", "float", "bool", "null", "map", "seq", "merge", "value"}
"""What a file may hold, by YAML's names; ``merge`` is the key ``<<``, ``value`` the key ``=``."""
_OF_YAML = (ValueError, OverflowError, LookupError, TypeError, AttributeError)
"""What PyYAML raises of a text that is not what its tag says, as ``!!bool x``."""


class WrittenInt(int):
    """A whole number out of a file, with the text that stands there: ``010`` is 8, and may be a name."""

    text: str


class WrittenFloat(float):
    """A number out of a file, with the text that stands there, as ``1.50``."""

    text: str


def written_text(value: Any) -> str | None:
    """Return the text that a setting of text means by ``value``; None where it is no text and no number.

    >>> written_text("a"), written_text(0.5), written_text(True), written_text(None)
    ('a', '0.5', None, None)
    """
    if isinstance(value, WrittenInt | WrittenFloat):
        return value.text
    if isinstance(value, bool) or not isinstance(value, str | int | float | Path):
        return None
    return str(value)


def load_yaml(text: str, name: str, *, written: bool = False, nodes: int = MAX_CONFIG_NODES) -> Any:
    """Read plain YAML values: no tags but YAML's own, no aliases, no key twice; a date is text.

    Args:
        text: the YAML.
        name: what messages call it.
        written: let numbers keep the text that stands in the file, for ``written_text``.
        nodes: keys, values and list items that are read at most.

    Raises:
        UsageError: it is no such YAML, or has more than ``core.limits`` allows.
    """
    import yaml

    class Loader(yaml.SafeLoader):
        """SafeLoader without aliases (they can explode) and without silent repetition of keys."""

        count = depth = 0

        def compose_node(self, parent: Any, index: Any) -> Any:
            mark = self.peek_event().start_mark
            if self.check_event(yaml.AliasEvent):
                raise yaml.composer.ComposerError(None, None, "aliases are not allowed", mark)
            self.count += 1
            self.depth += 1
            if self.count > nodes:
                most = f"it has more than the {nodes:,} keys and values that are read"
                raise yaml.composer.ComposerError(None, None, most, mark)
            if self.depth > MAX_DEPTH:
                deep = f"it is nested deeper than the {MAX_DEPTH} levels that are read"
                raise yaml.composer.ComposerError(None, None, deep, mark)
            node = super().compose_node(parent, index)
            self.depth -= 1
            if node.tag.removeprefix(YAML_TAG) not in PLAIN:
                other = f"the tag {node.tag!r} is not allowed"
                raise yaml.constructor.ConstructorError(None, None, other, node.start_mark)
            return node

        def construct_mapping(self, node: Any, deep: bool = False) -> Any:
            counts = Counter(key.value for key, _ in node.value if isinstance(key, yaml.ScalarNode))
            twice = sorted(key for key, count in counts.items() if count > 1)
            if twice:
                stands = f"{list_some(twice)} stands twice"
                raise yaml.constructor.ConstructorError(None, None, stands, node.start_mark)
            return super().construct_mapping(node, deep)

        def construct_object(self, node: Any, deep: bool = False) -> Any:
            try:
                return super().construct_object(node, deep)
            except _OF_YAML as error:
                if not isinstance(node, yaml.ScalarNode) or isinstance(error, yaml.YAMLError):
                    raise
                no = f"{node.value[:40]!r} is no {node.tag.removeprefix(YAML_TAG)}"
                raise yaml.constructor.ConstructorError(None, None, no, node.start_mark) from error

        def number(self, node: Any) -> Any:
            """Read a number that has no more digits than are read."""
            if len(node.value) > MAX_CONFIG_DIGITS:
                long = f"a number of {len(node.value):,} characters; at most {MAX_CONFIG_DIGITS} are read"
                raise yaml.constructor.ConstructorError(None, None, long, node.start_mark)
            whole = node.tag.endswith(":int")
            value = self.construct_yaml_int(node) if whole else self.construct_yaml_float(node)
            if not written:
                return value
            found = WrittenInt(value) if whole else WrittenFloat(value)
            found.text = node.value
            return found

    Loader.yaml_implicit_resolvers = {
        first: [(tag, pattern) for tag, pattern in known if tag != TIMESTAMP]
        for first, known in yaml.SafeLoader.yaml_implicit_resolvers.items()
    }
    for kind in ("int", "float"):
        Loader.add_constructor(f"tag:yaml.org,2002:{kind}", Loader.number)
    try:
        return yaml.load(text, Loader=Loader)  # noqa: S506 - a subclass of SafeLoader
    except (yaml.YAMLError, *_OF_YAML) as error:
        raise UsageError(f"{name} is not plain YAML: {' '.join(str(error).split())[:500]}") from error
