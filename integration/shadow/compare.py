"""Compares variants: quantiles of times, and their ratios with intervals."""

import dataclasses
import math
import random

from variants import ALGORITHMS, CIRCFLOW, NO_CONFLUX, STOCK

RESAMPLES = 1000
NEVER = math.inf  # the time of what a download that failed did not come to
ORDER = [STOCK, NO_CONFLUX, CIRCFLOW, *ALGORITHMS]
# What is compared with the base: field of a download, quantile.
RATIOS = (("first", 0.5), ("last", 0.5), ("last", 0.95))


def quantile(values, share):
    """Of sorted values, by linear interpolation; None of none."""
    if not values:
        return None
    place = share * (len(values) - 1)
    low = int(place)
    part = place - low
    if part == 0:
        return values[low]
    if values[low + 1] == NEVER:
        return NEVER
    return values[low] + (values[low + 1] - values[low]) * part


def ratio_of(above, below):
    """None where it has no meaning."""
    if above is None or below is None or below in (0, NEVER):
        return None
    return above / below


@dataclasses.dataclass
class Ratio:
    """Of quantiles of two variants, with a 95 % interval."""
    value: float
    low: float
    high: float


def compare_groups(ours, base, share):
    """The ratio of a quantile to that of the base. Values come as {(seed, host): times}, of the same clients in both.

    Clients are drawn anew for the interval, not single downloads, as those of one client are alike; and in pairs, as
    both have the same guards, sizes and pauses."""
    keys = sorted(set(ours) & set(base))
    chance, found = random.Random(1), []

    def of(drawn):
        above, below = ([value for key in drawn for value in groups[key]] for groups in (ours, base))
        return ratio_of(quantile(sorted(above), share), quantile(sorted(below), share))
    for _ in range(RESAMPLES if keys else 0):
        drawn = of(chance.choices(keys, k=len(keys)))
        found += [] if drawn is None else [drawn]
    value = of(keys)
    if value is None or not found:
        return None
    found.sort()
    return Ratio(value, quantile(found, 0.025), quantile(found, 0.975))


@dataclasses.dataclass
class Part:
    """What a variant did with downloads of one size."""
    variant: str
    size: int
    downloads: list  # pairs of seed and download
    ratios: dict = dataclasses.field(default_factory=dict)

    def times(self, what):
        """Sorted. What did not come is NEVER."""
        return sorted(time_of(one, what) for _, one in self.downloads)

    def groups(self, what):
        """The same by seed and client."""
        found = {}
        for seed, one in self.downloads:
            found.setdefault((seed, one.host), []).append(time_of(one, what))
        return found

    @property
    def failed(self):
        """How many."""
        return sum(bool(one.error) for _, one in self.downloads)

    @property
    def linked(self):
        """The part of those that did not fail that went over linked sets."""
        good = [one for _, one in self.downloads if not one.error]
        return sum(one.linked for one in good) / len(good) if good else None

    @property
    def second_leg(self):
        """The median part of what two legs have read that came over the smaller one, as far as it was watched."""
        shares = [one.legs[1] / sum(one.legs[:2]) for _, one in self.downloads
                  if not one.error and len(one.legs) > 1 and sum(one.legs[:2])]
        return quantile(sorted(shares), 0.5)


def differences(runs):
    """Settings and programs that are not the same in all runs, which is no good comparison."""
    found = {}
    for run in runs:
        for name, value in run.facts["settings"].items():
            found.setdefault(name, set()).add(str(value))
    return sorted(name for name, values in found.items() if len(values) > 1)


def time_of(one, what):
    """Of a download."""
    value = getattr(one, what)
    return NEVER if value is None or what == "last" and one.error else value


def order_of(base):
    """Sorts variants: the base first, then as they are listed everywhere, then by name."""
    def key(name):
        kind = name.partition("@")[0]
        return (name != base, ORDER.index(kind) if kind in ORDER else len(ORDER), name)
    return key


def compare(runs, base):
    """Size -> parts, in order of variants. Runs in which Shadow has failed are left out."""
    good = [run for run in runs if not run.facts["code"]]
    sizes = sorted({one.size for run in good for one in run.downloads})
    found = {}
    for size in sizes:
        parts = {}
        for run in good:
            mine = [(run.seed, one) for one in run.downloads if one.size == size]
            parts.setdefault(run.variant, Part(run.variant, size, [])).downloads += mine
        found[size] = [parts[name] for name in sorted(parts, key=order_of(base)) if parts[name].downloads]
        _add_ratios(found[size], base)
    return found


def _add_ratios(parts, base):
    stock = next((part for part in parts if part.variant == base), None)
    for part in parts if stock else []:
        if part is not stock:
            for what, share in RATIOS:
                part.ratios[what, share] = compare_groups(part.groups(what), stock.groups(what), share)
