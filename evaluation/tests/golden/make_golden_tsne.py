"""Golden numbers for the map: scikit-learn's exact t-SNE in three dimensions, and its trustworthiness.

    python3 make_golden_tsne.py       # writes tsne.safetensors beside itself

Pinned: numpy 2.1.3, scikit-learn 1.9.1, safetensors 0.8.0. Nothing here is shared with the Rust code.
"""

from pathlib import Path

import numpy as np
import safetensors
import sklearn
from safetensors.numpy import save_file
from sklearn.decomposition import PCA
from sklearn.manifold import TSNE, trustworthiness
from sklearn.manifold._t_sne import _joint_probabilities, _kl_divergence

PINNED = {"numpy": "2.1.3", "scikit-learn": "1.9.1", "safetensors": "0.8.0"}
FOUND = {"numpy": np.__version__, "scikit-learn": sklearn.__version__, "safetensors": safetensors.__version__}
assert FOUND == PINNED, f"pinned {PINNED}, found {FOUND}"

rng = np.random.default_rng(20080801)
# Seven overlapping brands of 5 to 16 unit vectors.
sizes = rng.integers(5, 17, 7)
x = np.repeat(rng.normal(size=(7, 20)), sizes, 0) + rng.normal(scale=0.8, size=(sizes.sum(), 20))
x /= np.linalg.norm(x, axis=1, keepdims=True)
n = len(x)
perplexity = min(30.0, (n - 1) / 3)

squared = ((x[:, None] - x[None]) ** 2).sum(2)
p = _joint_probabilities(squared, perplexity, 0)
start = PCA(3, svd_solver="full").fit_transform(x)
start = np.ascontiguousarray(start * 1e-4 / start[:, 0].std())  # safetensors writes the bytes as they lie
# A map of middling size, so that no term of the gradient vanishes.
at = rng.normal(scale=3.0, size=(n, 3))
kl, gradient = _kl_divergence(at.ravel().copy(), p, 2, n, 3)



def layout(**options):
    """What is left of the divergence, and the trustworthiness."""
    tsne = TSNE(3, method="exact", init="pca", random_state=0, perplexity=perplexity, **options)
    at = tsne.fit_transform(x).astype(np.float64)
    return np.array([tsne.kl_divergence_, trustworthiness(x, at, n_neighbors=10)])


# The automatic learning rate is never below 50, too much for so few points; without that limit it is n / 48.
layouts = {"layout_auto": layout(), "layout": layout(learning_rate=n / 48)}
save_file(
    {
        "points": x,
        "joint_probabilities": p,
        "start": start,
        "at": at,
        "kl": np.array([kl]),
        "gradient": gradient.reshape(n, 3),
        "trustworthiness": np.array([trustworthiness(x, at, n_neighbors=k) for k in (1, 5, 10)]),
        **layouts,
    },
    Path(__file__).parent / "tsne.safetensors",
)
print(n, perplexity, kl, layouts)
