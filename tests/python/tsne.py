"""How well a map of embeddings keeps them: both numbers from their definitions, in numpy alone."""

import numpy as np


def squared(a):
    return ((a[:, None] - a[None]) ** 2).sum(2)


def kl_divergence(x, at, perplexity):
    """Of t-SNE with two degrees of freedom: x in [n, d], their places `at` in [n, 2]."""
    d, n, apart = squared(x), len(x), ~np.eye(len(x), dtype=bool)
    p = np.zeros((n, n))
    # Gaussians of the stated perplexity, by bisection in the logarithm of their precision.
    for i in range(n):
        low, high = -50.0, 50.0
        farther = np.where(apart[i], d[i] - d[i][apart[i]].min(), np.inf)
        for _ in range(200):
            weight = np.exp(-np.exp((low + high) / 2) * farther)
            p[i] = weight / weight.sum()
            entropy = -(p[i][p[i] > 0] * np.log(p[i][p[i] > 0])).sum()
            low, high = ((low + high) / 2, high) if entropy > np.log(perplexity) else (low, (low + high) / 2)
    p = ((p + p.T) / (2 * n))[apart]
    q = ((1 + squared(at) / 2) ** -1.5)[apart]
    q /= q.sum()
    return (p * np.log(np.maximum(p, 1e-300) / q)).sum()


def trustworthiness(x, at):
    """Of the ten nearest of each place, or of half of all: how few lie farther among the embeddings (Venna and Kaski, 2001)."""
    d, near, n = squared(x), squared(at), len(x)
    k = min(10, (n - 1) // 2)
    beyond = 0
    for i in range(n):
        others = np.delete(np.arange(n), i)
        for j in others[np.argsort(near[i, others], kind="stable")][:k]:
            beyond += max(0, int((d[i, others] < d[i, j]).sum()) + 1 - k)
    return 1 - beyond * 2 / (n * k * (2 * n - 3 * k - 1))
