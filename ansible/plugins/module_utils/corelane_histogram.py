"""Quantiles with bounds of confidence, and how often one distribution is above another.

**Invariants**: a bound is a bound: what a bucket hides is counted against the claim, never for it.

**Source**: order statistics, with the normal approximation of the binomial; Mann and Whitney 1947, with the correction for ties.
"""

from __future__ import annotations

import math


def count(histogram):
    """Samples of a histogram, a list of [upper bound, count]."""
    return sum(found for bound, found in histogram)


def merged(histograms):
    """One histogram of all samples."""
    sums = {}
    for histogram in histograms:
        for bound, found in histogram:
            sums[bound] = sums.get(bound, 0.0) + found
    return [[bound, sums[bound]] for bound in sorted(sums)]


def quantile_bounds(histogram, q, z):
    """(low, high): the quantile is between them with the confidence that ``z`` standard deviations give.

    ``high`` is infinite where there are too few samples above the quantile to say.
    """
    samples = count(histogram)
    if samples < 1:
        return 0.0, math.inf
    spread = z * math.sqrt(samples * q * (1 - q))
    low_rank, high_rank = samples * q - spread, samples * q + spread + 1
    low = _edges(histogram, max(1.0, low_rank))[0] if low_rank >= 1 else 0.0
    high = _edges(histogram, high_rank)[1] if high_rank <= samples else math.inf
    return low, high


def quantile_edge(histogram, q):
    """The upper bound of the bucket that has the quantile, of the samples that there are; endless without samples."""
    return _edges(histogram, max(1.0, count(histogram) * q))[1]


def _edges(histogram, rank):
    """The bounds of the bucket that has the sample of this rank."""
    seen, below = 0.0, 0.0
    for bound, found in histogram:
        seen += found
        if seen >= rank:
            return below, bound
        below = bound
    return below, math.inf


def superiority(ours, theirs):
    """(share, error): how often a sample of ``ours`` is above one of ``theirs``, ties half, and its standard error.

    0.5 where both are alike. Samples of one bucket are ties. Both must have the same bounds, as those of one metric have.
    """
    first, second = dict((b, c) for b, c in ours), dict((b, c) for b, c in theirs)
    n, m = count(ours), count(theirs)
    if n < 1 or m < 1:
        return 0.5, 0.5
    wins, below, ties = 0.0, 0.0, 0.0
    for bound in sorted(set(first) | set(second)):
        a, b = first.get(bound, 0.0), second.get(bound, 0.0)
        wins += a * (below + b / 2.0)
        below += b
        ties += (a + b) ** 3 - (a + b)
    total = n + m
    correction = max(0.0, 1.0 - ties / float(total ** 3 - total)) if total > 1 else 0.0
    return wins / (n * m), math.sqrt(correction * (total + 1) / (12.0 * n * m))
