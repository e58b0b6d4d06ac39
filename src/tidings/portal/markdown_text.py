# SPDX-License-Identifier: MIT
"""The few forms of Markdown that instructions have, as HTML: paragraphs, headings, lists, bold, code and links.

Every text is escaped, and links lead to http and https only: organizations write the instructions that customers see.
"""

import re
from collections.abc import Iterator
from itertools import groupby
from typing import Final

from markupsafe import Markup, escape

_INLINE: Final = re.compile(
    r"`(?P<code>[^`\n]+)`|\*\*(?P<bold>[^*\n]+)\*\*|\[(?P<text>[^\]\n]+)\]\((?P<url>https?://[^\s()<>\"]+)\)"
)
_ITEM: Final = re.compile(r" {0,3}(?:(?P<bullet>[-*])|(?P<number>\d{1,9})[.)]) +(?P<text>.*)")
_LISTS: Final = {"ul": Markup("<ul>{}</ul>"), "ol": Markup("<ol>{}</ol>")}
_HEADING: Final = re.compile(r" {0,3}#{1,6} +(?P<text>.*?)(?: #+)?")


def rendered(text: str) -> Markup:
    """Return Markdown as HTML. Text in any other form is shown as it is."""
    blocks = re.split(r"\n[ \t]*\n", text.replace("\r\n", "\n").strip("\n"))
    return Markup("\n").join(part for block in blocks for part in _block(block.split("\n")))


def _block(lines: list[str]) -> Iterator[Markup]:
    for kind, group in groupby(_merged(lines), key=_kind):
        texts = list(group)
        if kind == "p":
            yield Markup("<p>{}</p>").format(Markup("\n").join(map(_inline, texts)))
        elif kind == "h":
            yield from (Markup("<p><strong>{}</strong></p>").format(_inline(_heading(each))) for each in texts)
        else:
            items = Markup("").join(Markup("<li>{}</li>").format(_inline(_item(each))) for each in texts)
            yield _LISTS[kind].format(items)


def _merged(lines: list[str]) -> Iterator[str]:
    """Yield the lines of a block; indented ones continue the item before them."""
    held = ""
    for line in lines:
        if held and line.startswith("  ") and not _ITEM.fullmatch(line):
            held += " " + line.strip()
            continue
        if held:
            yield held
        held = line
    if held:
        yield held


def _kind(line: str) -> str:
    if _HEADING.fullmatch(line):
        return "h"
    item = _ITEM.fullmatch(line)
    return "p" if item is None else "ul" if item["bullet"] else "ol"


def _heading(line: str) -> str:
    match = _HEADING.fullmatch(line)
    return line if match is None else match["text"]


def _item(line: str) -> str:
    match = _ITEM.fullmatch(line)
    return line if match is None else match["text"]


def _inline(text: str) -> Markup:
    found, at = Markup(""), 0
    for match in _INLINE.finditer(text):
        found += escape(text[at : match.start()])
        at = match.end()
        if match["code"]:
            found += Markup("<code>{}</code>").format(match["code"])
        elif match["bold"]:
            found += Markup("<strong>{}</strong>").format(match["bold"])
        else:
            link = Markup('<a href="{}" rel="noopener noreferrer" target="_blank">{}</a>')
            found += link.format(match["url"], match["text"])
    return found + escape(text[at:])
