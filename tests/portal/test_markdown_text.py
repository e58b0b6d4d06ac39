# SPDX-License-Identifier: MIT
"""Instructions as HTML: the known forms of Markdown, and everything else as text."""

import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tidings.core import built_in_connectors
from tidings.ids import DEFAULT_ORG
from tidings.portal.markdown_text import rendered


@pytest.mark.parametrize(
    ("text", "html"),
    [
        ("", ""),
        ("One line", "<p>One line</p>"),
        ("One\nparagraph\n\nAnother", "<p>One\nparagraph</p>\n<p>Another</p>"),
        ("# Title #\nText", "<p><strong>Title</strong></p>\n<p>Text</p>"),
        ("Do:\n1. a\n2. b\n- c\n* d", "<p>Do:</p>\n<ol><li>a</li><li>b</li></ol>\n<ul><li>c</li><li>d</li></ul>"),
        ("1. a\n   more", "<ol><li>a more</li></ol>"),
        ("**bold** and `a*b*<c>`", "<p><strong>bold</strong> and <code>a*b*&lt;c&gt;</code></p>"),
        (
            "[a & b](https://example.com/?a=1&b=2)",
            '<p><a href="https://example.com/?a=1&amp;b=2" rel="noopener noreferrer" target="_blank">a &amp; b</a></p>',
        ),
        ("[a](javascript:alert(1))", "<p>[a](javascript:alert(1))</p>"),
        ("[a](javascript:a`1`) [b](//x) [c](/x)", "<p>[a](javascript:a<code>1</code>) [b](//x) [c](/x)</p>"),
        ('[a](https://x"onclick=alert(1))', "<p>[a](https://x&#34;onclick=alert(1))</p>"),
        ("<script>alert(1)</script>", "<p>&lt;script&gt;alert(1)&lt;/script&gt;</p>"),
        ("{} {0} %s", "<p>{} {0} %s</p>"),
    ],
)
def test_a_text_is_rendered(text: str, html: str) -> None:
    assert html == str(rendered(text))


_TAG = re.compile(
    r"</?(?:p|strong|ol|ul|li|code)>|</a>"
    r'|<a href="https?://[^"<>\s]+" rel="noopener noreferrer" target="_blank">'
)


@given(st.text(alphabet="ab<>&\"'`*[]()#-1. \n:/{}https") | st.text())
def test_no_text_becomes_another_tag(text: str) -> None:
    rest = _TAG.sub("", str(rendered(text)))

    assert "<" not in rest
    assert ">" not in rest


def test_many_unfinished_forms_take_no_time_to_speak_of() -> None:
    for text in ("[" * 20_000, "**" * 20_000, "`" * 40_000, "[a](https://" * 4_000, "# " * 20_000, "- " * 20_000):
        assert rendered(text)


def test_the_instructions_of_built_in_connectors_use_known_forms_only() -> None:
    for connector in built_in_connectors.every(DEFAULT_ORG):
        html = str(rendered(connector.instructions))
        assert not re.search(r"\*\*|\]\(|^#", re.sub("<code>.*?</code>", "", html), re.MULTILINE), html
