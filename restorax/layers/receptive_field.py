"""How far a chain of layers sees."""


def receptive_field(*steps: tuple[str, int]) -> int:
    """Side of the square of input pixels that an output pixel sees at most.

    Args:
        *steps: what lies between output and input, in this order (the last layer first), as pairs:
            ``("conv", r)`` looks ``r`` pixels further on every side, ``("blocks", s)`` sees ``s`` x ``s`` input pixels
            per pixel (pooling, pixel unshuffle, a convolution of size and stride ``s``), ``("skip", s)`` sees every
            ``s``-th pixel only, ``("grow", s)`` makes ``s`` x ``s`` pixels of one (pixel shuffle, repetition).

    Returns:
        Pixels; exact for the worst alignment of the output pixel to the coarser grids.

    Example:
        >>> receptive_field(*[("conv", 1)] * 17)
        35
        >>> receptive_field(("grow", 2), ("conv", 15), ("blocks", 2))
        62
    """
    period = 1
    for kind, size in steps:
        period *= size if kind == "grow" else 1
    widest = 0
    for pixel in range(period):
        first = last = pixel
        for kind, size in steps:
            if kind == "conv":
                first, last = first - size, last + size
            elif kind == "blocks":
                first, last = first * size, last * size + size - 1
            elif kind == "skip":
                first, last = first * size, last * size
            else:
                first, last = first // size, last // size
        widest = max(widest, last - first + 1)
    return widest
