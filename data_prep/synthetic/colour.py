"""Colours of objects and scenes; none depends on the class."""

import colorsys

from numpy.random import Generator

Colour = tuple[int, int, int]

INK: Colour = (28, 28, 34)
PAPER: Colour = (238, 238, 234)
RUBBER: Colour = (38, 38, 42)


def hsv(hue: float, saturation: float, value: float) -> Colour:
    """A colour by hue (1 is once round), saturation and value."""
    red, green, blue = colorsys.hsv_to_rgb(hue % 1.0, saturation, value)
    return round(255 * red), round(255 * green), round(255 * blue)


def mix(first: Colour, second: Colour, share: float) -> Colour:
    """`share` of the second colour in the first."""
    red, green, blue = (round(a + (b - a) * share) for a, b in zip(first, second, strict=True))
    return red, green, blue


def lightness(colour: Colour) -> float:
    """Perceived lightness of a colour, 0 to 1 (the weights of Rec. 601)."""
    return (0.299 * colour[0] + 0.587 * colour[1] + 0.114 * colour[2]) / 255


def against(colour: Colour, rng: Generator) -> Colour:
    """A tinted dark colour for a light one and the other way round, so that a mark shows on any ground."""
    hue = rng.random()
    if lightness(colour) > 0.45:
        return hsv(hue, rng.uniform(0.2, 0.8), rng.uniform(0.10, 0.22))
    return hsv(hue, rng.uniform(0.0, 0.25), rng.uniform(0.9, 1.0))


def paint(rng: Generator) -> Colour:
    """The paint of a car or a feather coat: any hue, from white over bright to deep."""
    saturation = rng.uniform(0.02, 0.2) if rng.random() < 0.3 else rng.uniform(0.35, 0.72)
    return hsv(rng.random(), saturation, rng.uniform(0.55, 0.93))
