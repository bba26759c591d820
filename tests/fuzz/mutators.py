"""Small changes of valid files, drawn from one generator: of bytes, of the values in JSON, YAML, tables, tensors and
zip archives, and of the files of a folder."""

from __future__ import annotations

import csv
import io
import json
import os
import random
import re
import struct
from collections.abc import Callable
from pathlib import Path
from typing import Any

from affectkit.core.chained_lines import link_line, unlink_line

DEEP = "@deep@"
"""Becomes lists in lists, which ``json.dumps`` cannot write."""
OUTSIDE = ("../outside/keep.txt", "../outside", "{outside}/keep.txt", "{outside}", "link/keep.txt", "..", "/")
"""Ways out of the folder of a case; ``{outside}`` is the folder beside it, as an absolute path."""
TEXTS = (
    "", " ", "x", "a\x1b[31mb\x07", "\x9b2J", "\u202eabc", "\u0000", "\ud800", "=1+1", "NaN", "1e999", "-0", "null",
    "x" * 5000, "a/../../b", "a\nb", "a\r\nb", "a,b", '"', "CON", "-rf", "{}", "%s%n", "\u00e9" * 200, "0x10", "1_000",
)  # fmt: skip
NUMBERS = (
    0, -1, 1, -0.0, 2, 255, 65535, 2**31, 2**63, -(2**63), 2**64, 10**25, 10**400, 1e308, -1e308, 5e-324, 0.5,
    float("nan"), float("inf"), -float("inf"),
)  # fmt: skip
OTHERS = (None, True, False, [], {}, [None], {"": None}, [[]], DEEP)
YAML = (
    "2020-01-01", "2020-01-01T00:00:00Z", "1:30:00", "1e400", "0o17", "0b1", "0x" + "f" * 90, "9" * 5000, "yes", "~",
    "[" * 5000, "{a: " * 5000, "&a [*a]", "*a", "!!python/object/apply:os.system ['true']", "!!binary aGk=",
    "!!set {a}", "!!float nan", ".inf", "-.inf", ".nan", "|\n  text", ">", "<<: {a: 1}", "? a", "- a", "'",
    '"\\x1b[31m"', "@", "%", "{? [a]: 1}", "1e308", "-0.0", "1_000", "\t", "!!int 'x'", "!!timestamp 'x'",
    "[1, 2, 3]", "{a: 1}", "!!omap [a: 1]",
)  # fmt: skip


def value(rng: random.Random, old: Any = None) -> Any:
    """An extreme value, or one near ``old``."""
    if isinstance(old, int | float) and not isinstance(old, bool) and rng.random() < 0.3:
        return rng.choice([old + 1, old - 1, -old, old * 2, str(old), [old], old * 1e30])
    if isinstance(old, str) and rng.random() < 0.3:
        return rng.choice(
            [old[:-1], old + old, old.upper(), "../" + old, "/" + old, "./" + old, [old], old + "\x1b[2J"]
        )
    return rng.choice(rng.choice([TEXTS, NUMBERS, NUMBERS, OTHERS, OTHERS, OUTSIDE]))


def places(tree: Any) -> list[tuple[Any, Any]]:
    """Every place in dicts and lists: the container and the key or index."""
    found, waiting = [], [tree]
    while waiting:
        one = waiting.pop()
        keys = list(one) if isinstance(one, dict) else range(len(one)) if isinstance(one, list) else ()
        found += [(one, key) for key in keys]
        waiting += [one[key] for key in keys]
    return found


def change(rng: random.Random, tree: Any) -> Any:
    """Change one place of a value made of dicts and lists."""
    found = places(tree)
    if not found or rng.random() < 0.03:
        return value(rng, tree)
    where, key = rng.choice(found)
    action = rng.random()
    if action < 0.6:
        where[key] = value(rng, where[key])
    elif action < 0.75:
        del where[key]
    elif action < 0.85:
        other, its = rng.choice(found)
        where[key] = other[its] if not isinstance(other[its], dict | list) else len(other[its])
    elif isinstance(where, dict):
        where[rng.choice([*TEXTS, *OUTSIDE, str(key) + "x"])] = where[key]
    else:
        where.insert(key, where[key] if rng.random() < 0.5 else value(rng))
    return tree


def dumped(tree: Any, **how: Any) -> bytes:
    text = json.dumps(tree, **how)
    return text.replace(f'"{DEEP}"', "[" * 50_000 + "]" * 50_000).encode("utf-8", "surrogatepass")


def change_bytes(rng: random.Random, data: bytes) -> bytes:
    """Flip bits, cut, and duplicate, remove, swap or overwrite pieces; numbers in text become others."""
    data, size = bytearray(data), len(data)
    if not size:
        return rng.randbytes(rng.choice([1, 10, 1000]))
    at, length = rng.randrange(size), rng.choice([1, 2, 4, 8, 64, 512])
    if rng.random() < 0.5:  # headers stand at the beginning and the end
        at = rng.choice([rng.randrange(min(size, 64)), max(0, size - 1 - rng.randrange(min(size, 64)))])
    numbers = list(re.finditer(rb"\d+", bytes(data[:100_000])))
    match rng.randrange(9 if numbers else 7):
        case 0:
            for _ in range(rng.choice([1, 1, 3, 20])):
                data[rng.randrange(size) if rng.random() < 0.5 else at] ^= 1 << rng.randrange(8)
        case 1:
            del data[at:]
        case 2:
            data[at:at] = data[at : at + length] * rng.choice([1, 2, 50])
        case 3:
            del data[at : at + length]
        case 4:
            other = rng.randrange(size)
            data[at : at + length], data[other : other + length] = data[other : other + length], data[at : at + length]
        case 5:
            data[at : at + length] = rng.choice([b"\0", b"\xff", b"\x7f", b"\x80"]) * length
        case 6:
            data[at : at + 4] = struct.pack(rng.choice("<>") + "i", rng.choice([0, -1, 1, 2**31 - 1, -(2**31), 65536]))
        case _:
            one = rng.choice(numbers)
            new = rng.choice([b"0", b"-1", b"9" * 25, b"1e308", b"-0", b"NaN", b"9" * len(one[0]), b"2147483648", b""])
            data[one.start() : one.end()] = new
    return bytes(data)


def change_json(rng: random.Random, data: bytes) -> bytes:
    """Change a place of a JSON file."""
    return dumped(change(rng, json.loads(data)), indent=1 if rng.random() < 0.5 else None)


def change_lines(rng: random.Random, data: bytes) -> bytes:
    """Change lines of JSON; a chain of hashes is mended most of the time, as one would who knows the rule."""
    bodies, chain = [], ""
    for line in data.splitlines(keepends=True):
        found = unlink_line(line, chain)
        body, chain = found or (line.rstrip(b"\n"), chain)
        bodies.append(body)
    if not bodies:
        return change_bytes(rng, data)
    chained = bool(chain) and rng.random() < 0.8
    at, other = rng.randrange(len(bodies)), rng.randrange(len(bodies))
    match rng.randrange(8):
        case 0:
            del bodies[at]
        case 1:
            bodies.insert(other, bodies[at])
        case 2:
            bodies[at], bodies[other] = bodies[other], bodies[at]
        case 3:
            bodies[at] = change_bytes(rng, bodies[at])
        case _:
            try:
                bodies[at] = dumped(change(rng, json.loads(bodies[at])), separators=(",", ":"))
            except (ValueError, RecursionError):  # changed before
                bodies[at] = change_bytes(rng, bodies[at])
    if not chained:
        return b"\n".join(bodies) + b"\n"
    lines, chain = [], ""
    for body in bodies:
        line, chain = link_line(body.decode("utf-8", "replace"), chain)
        lines.append(line.encode())
    return b"".join(lines)


def change_yaml(rng: random.Random, data: bytes) -> bytes:
    """Change a line of a YAML file: its value, its key, its place; or aliases that grow without end."""
    lines = data.decode("utf-8", "replace").split("\n")
    at = rng.randrange(len(lines))
    key, colon, _ = lines[at].partition(":")
    match rng.randrange(10):
        case 0:
            del lines[at]
        case 1:
            lines.insert(rng.randrange(len(lines)), lines[at])
        case 2:
            lines[at] = " " * rng.choice([1, 2, 7]) + lines[at]
        case 3:
            lines = ["a0: &a0 [x, x]", *(f"a{n}: &a{n} [*a{n - 1}, *a{n - 1}]" for n in range(1, 40)), *lines]
        case 4:
            lines[at] = f"{rng.choice(YAML + TEXTS)}:{lines[at].partition(':')[2]}"
        case 5:
            lines[at] = f"{key}{colon} {json.dumps(value(rng), default=str)}"
        case _:
            lines[at] = f"{key}{colon or ':'} {rng.choice(YAML)}"
    return "\n".join(lines).replace(DEEP, "[" * 5000).encode("utf-8", "surrogatepass")


def change_table(rng: random.Random, data: bytes) -> bytes:
    """Change cells, columns, rows or the form of a CSV table."""
    rows = list(csv.reader(io.StringIO(data.decode("utf-8", "replace").replace("\0", ""))))
    rows = [row for row in rows if row] or [["filename"]]
    at = 0 if rng.random() < 0.3 else rng.randrange(len(rows))
    column = rng.randrange(len(rows[at]))
    match rng.randrange(12):
        case 0:
            rows = [row[:column] + row[column + 1 :] for row in rows]
        case 1:
            rows = [[*row[: column + 1], *row[column:]] for row in rows]
        case 2:
            rows.insert(rng.randrange(len(rows) + 1), list(rows[at]))
        case 3:
            del rows[at]
        case 4:
            rows[at] += ["x"] * rng.choice([1, 20_000])
        case 5:
            del rows[at][column]
        case 6:
            other = rng.choice(rows)
            rows[at][column] = other[column % len(other)] if other else ""
        case _:
            rows[at][column] = str(value(rng, rows[at][column]))[:20_000]
    text = io.StringIO()
    csv.writer(text, delimiter=rng.choice(",,,,,,;\t"), lineterminator="\n").writerows(rows)
    coded = rng.choice(["utf-8"] * 12 + ["utf-16", "utf-8-sig", "latin-1", "utf-32"])
    data = text.getvalue().encode(coded, "surrogatepass" if coded.startswith("utf") else "replace")
    return data if rng.random() < 0.85 else change_bytes(rng, data)


def change_tensors(rng: random.Random, data: bytes) -> bytes:
    """Change the header of a .safetensors file, the JSON in its metadata, or bytes of it."""
    length = struct.unpack("<Q", data[:8])[0] if len(data) > 8 else 0
    if not 0 < length < len(data) or rng.random() < 0.15:
        return change_bytes(rng, data)
    try:
        header = json.loads(data[8 : 8 + length])
        meta = header.get("__metadata__", {})
        inner = [key for key in meta if meta[key][:1] in ("{", "[")]
        if inner and rng.random() < 0.7:
            key = rng.choice(inner)
            meta[key] = dumped(change(rng, json.loads(meta[key]))).decode("utf-8", "replace")
        else:
            header = change(rng, header)
        new = dumped(header)
    except (ValueError, TypeError, AttributeError, RecursionError):  # changed before
        return change_bytes(rng, data)
    stated = len(new) if rng.random() < 0.95 else rng.choice([0, 2**40, 2**63, len(new) + 1, len(new) - 1])
    return struct.pack("<Q", stated) + new + data[8 + length :]


def change_zip(rng: random.Random, data: bytes) -> bytes:
    """Change the name of an entry, a number of its headers, or bytes anywhere."""
    marks = [one.start() for one in re.finditer(rb"PK(?:\x01\x02|\x03\x04|\x05\x06|\x06\x06)", data)]
    if not marks or rng.random() < 0.4:
        return change_bytes(rng, data)
    at, new = rng.choice(marks), bytearray(data)
    if rng.random() < 0.5:
        place = at + rng.randrange(4, 46)
        new[place : place + 2] = struct.pack("<H", rng.choice([0, 1, 255, 65535, 8, 99]))
    else:
        begin = at + (46 if data[at + 2 : at + 3] == b"\x01" else 30)
        word = rng.choice([b"../../x", b"/etc/x", b"\x1b[31m", b"\xff\xfe", b"\0\0\0"])
        new[begin : begin + len(word)] = word
    return bytes(new)


def change_names(rng: random.Random, data: bytes) -> bytes:
    """Change lines of a list of names."""
    lines = data.split(b"\n")
    at = rng.randrange(len(lines))
    lines[at] = rng.choice(
        [rng.choice([*TEXTS, *OUTSIDE]).encode("utf-8", "surrogatepass"), change_bytes(rng, lines[at]), lines[at] * 2]
    )
    return rng.choice([b"\n", b"\n", b"\n", b"\r\n", b"\0", b"\r", b"\n\n"]).join(lines)


CHANGES: dict[str, Callable[[random.Random, bytes], bytes]] = {
    "bytes": change_bytes, "json": change_json, "lines": change_lines, "yaml": change_yaml, "table": change_table,
    "tensors": change_tensors, "zip": change_zip, "names": change_names,
}  # fmt: skip


def change_file(rng: random.Random, path: Path, form: str, outside: Path) -> str:
    """Change the file ``path`` by one to five changes of its form; what was done, in words."""
    if rng.random() < 0.06:
        return change_entry(rng, path, outside)
    data, count = path.read_bytes(), rng.choice([1, 1, 1, 1, 2, 2, 3, 5])
    for _ in range(count):
        try:
            data = CHANGES["bytes" if rng.random() < 0.08 else form](rng, data)
        except (ValueError, RecursionError):  # no longer of its form
            data = change_bytes(rng, data)
    path.write_bytes(data.replace(b"{outside}", os.fsencode(outside)))
    return f"{form} of {path.name}"


def change_entry(rng: random.Random, path: Path, outside: Path) -> str:
    """Put something else in the place of a file: nothing, a link, a folder, a pipe, an empty file, another name."""
    kind = rng.choice(["none", "link", "loop", "folder", "pipe", "empty", "name", "zeros", "outer folder"])
    if kind == "name":
        path.rename(path.with_name(f"{rng.choice(['a', '-', '='])}\x1b[31m\n{path.name}"))
        return f"control characters in the name of {path.name}"
    # A folder in which the command is told to work may be a link, as to another disk; what lies deeper is ours.
    if kind == "outer folder" and "case" not in (path.parent.name, path.parent.parent.name):
        path.parent.rename(path.parent.with_name(path.parent.name + ".moved"))
        path.parent.symlink_to(outside / "folder")
        return f"the folder of {path.name} is a link"
    size = path.stat().st_size
    path.unlink()
    if kind == "link":
        path.symlink_to(outside / rng.choice(["keep.txt", "folder", "none"]))
    elif kind == "loop":
        path.symlink_to(path.name)
    elif kind == "folder":
        path.mkdir()
    elif kind == "pipe":
        os.mkfifo(path)
    elif kind in ("empty", "zeros"):
        path.write_bytes(b"\0" * (size if kind == "zeros" else 0))
    return f"{kind} in place of {path.name}"
