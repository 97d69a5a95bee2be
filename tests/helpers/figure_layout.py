"""Faults in the layout of a printed figure, measured on the renderer's own boxes."""

from itertools import combinations

from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure
from matplotlib.patches import FancyBboxPatch
from matplotlib.text import Text
from matplotlib.transforms import Bbox

SMALLEST = 6.5
"""Points that are still read in print."""
SLACK = 1.0
"""Pixels, at 200 to the inch: less than the white around a letter."""


def problems(figure: Figure) -> list[str]:
    """Each text that is too small, beyond the figure's edge, on another text, or out of the box it stands in."""
    figure.set_dpi(200)
    FigureCanvasAgg(figure).draw()
    boxes = {text: text.get_window_extent() for text in texts(figure)}
    faults = [f"{_quoted(text)} is too small" for text in boxes if text.get_fontsize() < SMALLEST]
    faults += [f"{_quoted(text)} is clipped" for text, box in boxes.items() if not _inside(box, figure.bbox)]
    faults += [
        f"{_quoted(a)} is on {_quoted(b)}"
        for (a, first), (b, second) in combinations(boxes.items(), 2)
        if _overlap(first, second)
    ]
    frames = [patch.get_window_extent() for patch in figure.findobj(FancyBboxPatch)]
    for text, box in boxes.items():
        around = [frame for frame in frames if frame.contains((box.x0 + box.x1) / 2, (box.y0 + box.y1) / 2)]
        if around and not _inside(box, min(around, key=lambda frame: frame.width * frame.height)):
            faults.append(f"{_quoted(text)} is wider than its box")
    return faults


def texts(figure: Figure) -> list[Text]:
    """Every text that is drawn. Ticks beyond an axis' limits have labels, too, which are not."""
    hidden = set[Text]()
    for ax in figure.axes:
        for axis in (ax.xaxis, ax.yaxis):
            low, high = sorted(axis.get_view_interval())
            margin = 1e-6 * (high - low)
            for tick in (*axis.get_major_ticks(), *axis.get_minor_ticks()):
                if not ax.axison or not low - margin <= tick.get_loc() <= high + margin:
                    hidden |= {tick.label1, tick.label2}
            if not ax.axison:
                hidden |= set(axis.findobj(Text))
    artists = figure.findobj(lambda artist: isinstance(artist, Text) and bool(artist.get_text().strip()))
    return [text for text in artists if text.get_visible() and text not in hidden]


def _quoted(text: Text) -> str:
    return repr(text.get_text())


def _inside(box: Bbox, frame: Bbox) -> bool:
    return (
        box.x0 >= frame.x0 - SLACK
        and box.x1 <= frame.x1 + SLACK
        and box.y0 >= frame.y0 - SLACK
        and box.y1 <= frame.y1 + SLACK
    )


def _overlap(first: Bbox, second: Bbox) -> bool:
    across = min(first.x1, second.x1) - max(first.x0, second.x0)
    down = min(first.y1, second.y1) - max(first.y0, second.y0)
    return across > SLACK and down > SLACK
