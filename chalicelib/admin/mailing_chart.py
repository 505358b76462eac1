"""The chart of a mailing, as SVG, drawn by pygal."""

import base64
import hashlib
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Literal
from xml.etree import ElementTree as ET

from pygal import Bar, PluginImportFixer  # type: ignore[import-untyped]
from pygal.style import Style  # type: ignore[import-untyped]

from chalicelib.domain.timezone import resolve_timezone

# It finds plugins with maps, of which there are none here, and makes Python warn at each import that follows.
sys.meta_path[:] = [finder for finder in sys.meta_path if not isinstance(finder, PluginImportFixer)]

_MINUTE = timedelta(minutes=1)
LABELS = 8  # on the axis of time, about
MIN_BARS = 15  # the bar of a lonely minute is not the whole picture
MAX_BARS = 180  # minutes without a message count too

_FONT = "system-ui, 'Segoe UI', Roboto, 'Liberation Sans', sans-serif"
# The colours of app.css, which a picture cannot see.
_COLOURS = {
    "light": {"text": "#1b222c", "dim": "#55606e", "line": "#d5dae1", "bar": "#1f5f8b"},
    "dark": {"text": "#e4e9ef", "dim": "#a3aebb", "line": "#333d49", "bar": "#3b86b8"},
}


@dataclass(frozen=True, slots=True)
class Drawing:
    """A picture, and what a content security policy calls the styles in it."""

    svg: str
    style_hash: str


def sent_per_minute(per_minute: Sequence[tuple[datetime, int]], zone: str, theme: Literal["light", "dark"]) -> Drawing:
    """Draw how many messages were sent in each minute.

    Args:
        per_minute: minutes in order of time, and how many were sent in each.
        zone: of the labels, an IANA name or ±HH:MM.
        theme: the colours.
    """
    bars = _without_gaps(per_minute)
    local = resolve_timezone(zone)
    labels = [f"{minute.astimezone(local):%H:%M}" for minute, _ in bars]
    colours = _COLOURS[theme]
    style = Style(
        background="transparent",
        plot_background="transparent",
        foreground=colours["dim"],
        foreground_strong=colours["text"],
        foreground_subtle=colours["line"],
        guide_stroke_color=colours["line"],
        major_guide_stroke_color=colours["line"],
        colors=(colours["bar"],),
        opacity="1",
        font_family=_FONT,
        label_font_size=13,
        major_label_font_size=13,
    )
    chart = Bar(
        style=style,
        js=(),
        width=960,
        height=240,
        margin=8,
        spacing=4,
        show_legend=False,
        show_minor_x_labels=False,
        disable_xml_declaration=True,
        truncate_label=-1,
        max_scale=5,
        range=(0, max([1, *(sent for _, sent in bars)])),
        formatter=lambda sent: f"{sent:g}",
    )
    chart.uuid = "sent"  # by itself it draws lots, and no two pictures of the same would be the same
    chart.x_labels = labels
    chart.x_labels_major = labels[:: max(1, -(-len(labels) // LABELS))]
    chart.add("", [sent for _, sent in bars])
    return _without_script(chart.render_tree())


def _without_gaps(per_minute: Sequence[tuple[datetime, int]]) -> list[tuple[datetime, int]]:
    """Fill in the minutes in which nothing was sent, some to come too; of what is too long the latest is drawn."""
    if not per_minute:
        return []
    sent = dict(per_minute)
    last = per_minute[-1][0]
    first = max(per_minute[0][0], last - (MAX_BARS - 1) * _MINUTE)
    last = max(last, first + (MIN_BARS - 1) * _MINUTE)
    minutes = (first + index * _MINUTE for index in range((last - first) // _MINUTE + 1))
    return [(minute, sent.get(minute, 0)) for minute in minutes]


def _without_script(svg: ET.Element) -> Drawing:
    """Leave out what makes a chart answer to a mouse: a picture cannot, and scripts have no business in it."""
    for parent in svg.iter():
        for script in [child for child in parent if str(child.tag).rpartition("}")[2] == "script"]:
            parent.remove(script)
    style = next(node.text or "" for node in svg.iter() if str(node.tag).rpartition("}")[2] == "style")
    digest = base64.b64encode(hashlib.sha256(style.encode()).digest()).decode()
    return Drawing(ET.tostring(svg, encoding="unicode"), f"sha256-{digest}")
