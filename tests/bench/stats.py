# SPDX-License-Identifier: Apache-2.0
"""Order statistics, and ratios with the uncertainty that a shared machine leaves in them."""

import math
import random


def quantile(ordered, q):
    """Linear interpolation between the closest ranks of a sorted list."""
    at = q * (len(ordered) - 1)
    low = math.floor(at)
    high = math.ceil(at)
    return ordered[low] + (ordered[high] - ordered[low]) * (at - low)


def median(values):
    return quantile(sorted(values), 0.5)


def ratio_interval(blocks, other_blocks, statistic=median, rounds=1000, seed=1):
    """(ratio, low, high): statistic(a) / statistic(b) and its 95 % bootstrap interval.

    Each argument is a dict {block number: values}. Whole blocks are drawn, the same ones for both
    arms: neighbours in time share whatever else the machine was doing, so single runs are not
    independent, and a disturbance that hit a block hit both arms.
    """
    common = sorted(set(blocks) & set(other_blocks))
    if not common:
        return None
    rng = random.Random(seed)

    def ratio(chosen):
        return (statistic([v for b in chosen for v in blocks[b]]) /
                statistic([v for b in chosen for v in other_blocks[b]]))

    drawn = sorted(ratio(rng.choices(common, k=len(common))) for _ in range(rounds))
    return ratio(common), quantile(drawn, 0.025), quantile(drawn, 0.975)


def slope(points):
    """Least-squares slope of [(x, y), ...]."""
    n = len(points)
    mean_x = sum(x for x, _ in points) / n
    mean_y = sum(y for _, y in points) / n
    return (sum((x - mean_x) * (y - mean_y) for x, y in points) /
            sum((x - mean_x) ** 2 for x, _ in points))
