"""Broken inputs made of whole ones: of bytes, and of the values of YAML and JSON.

A mutation changes bytes (flipped, cut, repeated, spliced with another input), or a value of the tree (another
type, a huge number, deep nesting, text of every alphabet, a key too many or too few).
"""

from __future__ import annotations

import copy
import json
import random
from collections.abc import Iterator, Sequence
from typing import Any, Literal

import yaml

#: What the inputs of a reader are: a document, a JSON document a line, or bytes.
Kind = Literal["yaml", "json", "lines", ""]

NASTY: tuple[Any, ...] = (
    None, True, False, 0, -1, 1, 10**30, -(2**63), 2**64, 0.5, -0.0, 1e308, float("inf"), float("nan"), "", " ",
    "\x00", "x" * 5000, "1e999", "NaN", "null", "a\nb", "\u202e\U0001f4a5é", "{{ save.id }}", "{{ 9**9**9 }}",
    "{{", "%s%n", "../../etc/passwd", "http://[", "2026-13-45T99:99", [], {}, [[]], {"": ""}, [None] * 50,
    "-", "²", "٣", "1_0", "*", "{tenant}", "${x}", "\ud800", "2026-11-25T16:18:01Z", "0001-01-01T00:00:00Z",
)  # fmt: skip
#: Texts that have been trouble to some reader somewhere.
WORDS = (
    b"1e999", b"NaN", b"-Infinity", b"\xff\xfe", b"\xef\xbb\xbf", b"\x00", b"[" * 200, b"&a *a", b"<<: ",
    b"!!binary ", b"!!timestamp x", b"!!int x", b"2026-13-45", b"0x_", b"1:9_", b"\r\n", b"\x1f\x8b",
    b"99999999999999999999", b"9" * 4500, b'<!DOCTYPE a [<!ENTITY b "cc">]>',
    b"!!python/object/apply:os.system [ls]",
)  # fmt: skip
#: Beyond what Python nests; in YAML a bracket a line, since PyYAML takes seconds for as many on one.
DEEP: dict[Kind, bytes] = {"yaml": b"[\n" * 700, "json": b'{"a":[' * 600, "lines": b"[" * 1200, "": b"[" * 3000}
DEPTHS: dict[Kind, tuple[int, ...]] = {"yaml": (3, 70), "json": (3, 70, 400), "lines": (3, 70, 400)}


def mutate_bytes(rng: random.Random, seeds: Sequence[bytes], kind: Kind) -> bytes:
    """A few changes of the bytes of one of the inputs."""
    words = (*WORDS, DEEP[kind])
    data = bytearray(rng.choice(seeds))
    for _ in range(rng.choice((1, 1, 2, 4, 8))):
        place = rng.randrange(len(data) + 1)
        length = rng.choice((1, 2, 8, 64))
        match rng.randrange(6):
            case 0 if data:
                data[place % len(data)] ^= 1 << rng.randrange(8)
            case 1:
                del data[place : place + length]
            case 2:
                data[place:place] = data[place : place + length] * rng.choice((1, 2, 50))
            case 3:
                data[place:place] = rng.choice(words)
            case 4:
                other = rng.choice(seeds)
                begin = rng.randrange(len(other) + 1)
                data[place:] = other[begin:]
            case _:
                data[place : place + length] = rng.randbytes(length)
    return bytes(data)


def mutate_values(rng: random.Random, data: bytes, kind: Kind) -> bytes | None:
    """A few changes of the values of an input; None where it holds none, or they cannot be written."""
    try:
        return _dump(_mutate_tree(rng, _load(data, kind), DEPTHS[kind]), kind)
    except (RecursionError, ValueError, TypeError, AttributeError, MemoryError, yaml.YAMLError):
        return None


def _mutate_tree(rng: random.Random, tree: Any, depths: Sequence[int]) -> Any:
    """A few values of the tree replaced, added or taken away."""
    for _ in range(rng.choice((1, 1, 1, 2, 5))):
        places = list(_places(tree))
        if not places:
            return rng.choice(NASTY)
        holder, key = rng.choice(places)
        match rng.randrange(5):
            case 0:
                del holder[key]
            case 1 if isinstance(holder, dict):
                holder[rng.choice(("surplus", "", "a b", "name", "é"))] = rng.choice(NASTY)
            case 2:
                donor, other = rng.choice(places)
                holder[key] = copy.deepcopy(donor[other])
            case 3:
                deep: Any = rng.choice(NASTY)
                for _ in range(rng.choice(depths)):
                    deep = [deep] if rng.random() < 0.5 else {"a": deep}
                holder[key] = deep
            case _:
                holder[key] = copy.deepcopy(rng.choice(NASTY))
    return tree


def _places(tree: Any) -> Iterator[tuple[Any, Any]]:
    """Everything in a tree: what holds it, and its key there."""
    items = tree.items() if isinstance(tree, dict) else enumerate(tree) if isinstance(tree, list) else ()
    for key, value in items:
        yield tree, key
        yield from _places(value)


def _load(data: bytes, kind: Kind) -> Any:
    if kind == "yaml":
        return yaml.load(data.decode("utf-8", "replace"), Loader=yaml.CSafeLoader)
    return [json.loads(line) for line in data.splitlines()] if kind == "lines" else json.loads(data)


def _dump(tree: Any, kind: Kind) -> bytes:
    if kind == "yaml":
        text = yaml.dump(tree, Dumper=yaml.CSafeDumper, allow_unicode=True, sort_keys=False)
        return str(text).encode("utf-8", "surrogatepass")
    lines = tree if kind == "lines" and isinstance(tree, list) else [tree]
    return b"\n".join(json.dumps(line).encode() for line in lines) + b"\n"
