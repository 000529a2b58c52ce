"""The README as its tests read it: the fenced blocks of code, each with its language and section."""

from __future__ import annotations

import re
from typing import NamedTuple

from .serving import ROOT

README = (ROOT / "README.md").read_text("utf-8")


class Block(NamedTuple):
    section: str
    language: str
    code: str


def _code_blocks() -> list[Block]:
    blocks, section = [], "top"
    for match in re.finditer(
        r"^## (?P<section>[^\n]+)$|^```(?P<language>\w*)\n(?P<code>.*?)^```$", README, re.M | re.S
    ):
        if match["section"]:
            section = match["section"]
        else:
            blocks.append(Block(section, match["language"], match["code"]))
    return blocks


BLOCKS = _code_blocks()


def block_of(language: str, text: str = "") -> str:
    """The code of the one block in this language that has this text."""
    (code,) = [block.code for block in BLOCKS if block.language == language and text in block.code]
    return code
