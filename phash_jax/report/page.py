"""A Markdown text as one HTML page that needs nothing else: pictures and style are inside."""

import base64
import html
import itertools
import mimetypes
import re
from pathlib import Path
from urllib.parse import unquote, urlsplit

from markdown_it import MarkdownIt

_STYLE = Path(__file__).with_name("page.css").read_text(encoding="utf-8")


def render(markdown: str, *, folder: Path) -> str:
    """The page.

    Args:
        markdown: CommonMark with tables; HTML in it is shown as text. Its first heading is the
            title, and its second-level headings become the list of contents.
        folder: what the paths of pictures are relative to. Those on the web are not put inside.

    Raises:
        FileNotFoundError: a picture is missing.
    """
    parser = MarkdownIt("commonmark", {"html": False}).enable("table")
    tokens = parser.parse(markdown)
    title, contents, anchors = "", [], []
    for opening, inline in itertools.pairwise(tokens):
        if opening.type != "heading_open":
            continue
        if opening.tag == "h1" and not title:
            title = inline.content
        elif opening.tag == "h2":
            anchor = re.sub(r"\W+", "-", inline.content.lower()).strip("-")
            anchors.append(anchor)
            if anchors.count(anchor) > 1:
                anchor += f"-{anchors.count(anchor)}"
            opening.attrSet("id", anchor)
            contents.append(f'<a href="#{anchor}">{html.escape(inline.content)}</a>')
    parser.add_render_rule("table_open", lambda *_: '<div class="scroll"><table>\n')
    parser.add_render_rule("table_close", lambda *_: "</table></div>\n")

    def picture(renderer, tokens, index, options, env) -> str:
        token = tokens[index]
        address = token.attrGet("src")
        # One on the web, in a user's own words, stays there.
        if not urlsplit(address).scheme:
            path = folder / unquote(address)
            kind = mimetypes.guess_type(path)[0] or "image/png"
            address = f"data:{kind};base64,{base64.b64encode(path.read_bytes()).decode()}"
        caption = html.escape(renderer.renderInlineAsText(token.children or [], options, env))
        return (
            f'<figure><img alt="{caption}" src="{html.escape(address)}">'
            f"<figcaption>{caption}</figcaption></figure>"
        )

    parser.add_render_rule("image", picture)
    body = parser.renderer.render(tokens, parser.options, {})
    # A figure is not part of a paragraph.
    body = re.sub(r"<p>(<figure>(?:(?!</p>).)*</figure>)</p>", r"\1", body, flags=re.DOTALL)
    navigation = f"<nav>{' '.join(contents)}</nav>" if len(contents) > 1 else ""
    body = body.replace("</h1>", f"</h1>\n{navigation}", 1)
    return (
        '<!DOCTYPE html>\n<html lang="en">\n<head>\n<meta charset="utf-8">\n'
        '<meta name="viewport" content="width=device-width, initial-scale=1">\n'
        # Nothing is fetched: not even an icon.
        '<link rel="icon" href="data:,">\n'
        f"<title>{html.escape(title)}</title>\n<style>{_STYLE}</style>\n</head>\n"
        f"<body>\n<main>\n{body}</main>\n</body>\n</html>\n"
    )
