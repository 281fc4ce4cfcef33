"""Numbers as people read them."""

import math

#: Powers of ten from which, and below which, a number is written with one.
_HUGE, _TINY = 9, -4


def figure(value: float, digits: int = 3) -> str:
    """Return a number of so many significant digits, at least one.

    >>> [figure(each) for each in (0, -0.25, 14_312.7, 0.000123, 3e12, math.nan)]
    ['0', '-0.25', '14,300', '0.000123', '3e+12', 'nan']
    >>> figure(21_906.4, digits=4), figure(2.0), figure(999.9)
    ('21,910', '2', '1,000')
    """
    if value == 0 or not math.isfinite(value):
        return f"{value:g}"
    power = math.floor(math.log10(abs(value)))
    if not _TINY <= power < _HUGE:
        return f"{value:.{digits}g}"
    places = digits - 1 - power
    text = f"{round(value, places):,.{max(places, 0)}f}"
    return text.rstrip("0").rstrip(".") if "." in text else text
