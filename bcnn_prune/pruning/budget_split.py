"""From the share that a user asks for to whole channels: fractions stop here."""

from itertools import pairwise


def drop_counts(total: int, fraction: float, steps: int = 1) -> tuple[int, ...]:
    """Channels of `total` that each of `steps` cuts drops: whole, as even as can be, `fraction` of them in the end.

    drop_counts(total=4224, fraction=0.4, steps=4) = (422, 423, 422, 423)."""
    if not 0 <= fraction < 1:
        raise ValueError(f"the share to prune is {fraction}: take 0 or more and less than 1, such as 0.4")
    if steps < 1:
        raise ValueError(f"{steps} steps prune nothing: take 1 or more")
    drop = round(total * fraction)
    ends = [drop * step // steps for step in range(steps + 1)]
    return tuple(end - start for start, end in pairwise(ends))
