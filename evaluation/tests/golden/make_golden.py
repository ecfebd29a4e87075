"""Golden numbers for the evaluator: an independent numpy and scikit-learn implementation of the protocol's arithmetic.

    python3 make_golden.py            # writes embeddings.safetensors and golden.json beside itself

Pinned: numpy 2.4.6, scikit-learn 1.9.1, safetensors 0.8.0. The list of episodes is part of the golden file, so that only arithmetic is compared,
never a random generator. Nothing here is shared with the Rust code.
"""

import json
from pathlib import Path

import numpy as np
import safetensors
import sklearn
from safetensors.numpy import save_file
from sklearn.metrics import (
    accuracy_score,
    average_precision_score,
    f1_score,
    precision_score,
    recall_score,
    roc_auc_score,
    roc_curve,
)

PINNED = {"numpy": "2.4.6", "scikit-learn": "1.9.1", "safetensors": "0.8.0"}
FOUND = {"numpy": np.__version__, "scikit-learn": sklearn.__version__, "safetensors": safetensors.__version__}
assert FOUND == PINNED, f"pinned {PINNED}, found {FOUND}"

HERE = Path(__file__).parent
rng = np.random.default_rng(20240607)

# 14 brands of 7 to 12 rows in 12 dimensions (no multiple of 8), not normalised, rows in no order.
sizes = rng.integers(7, 13, 14)
brand = np.repeat(np.arange(14) * 3 + 1, sizes)
centres = rng.normal(size=(14, 12))
raw = (np.repeat(centres, sizes, 0) + rng.normal(scale=1.1, size=(len(brand), 12))) * rng.uniform(0.2, 9, (len(brand), 1))
raw = raw.astype(np.float32)
row = rng.permutation(len(brand) * 2)[: len(brand)]
order = rng.permutation(len(brand))
raw, brand, row = raw[order], brand[order].astype(np.int64), row[order].astype(np.int64)
save_file({"embeddings": raw, "brand": brand, "row": row}, HERE / "embeddings.safetensors")

x = raw.astype(np.float64)
x /= np.linalg.norm(x, axis=1, keepdims=True)


def draw(shots):
    b = rng.choice(np.unique(brand))
    own = rng.permutation(np.flatnonzero(brand == b))
    supports, rest = own[:shots], own[shots:]
    positives = rest[: min(rng.integers(1, 6), len(rest))]
    negatives = rng.permutation(np.flatnonzero(brand != b))[: 50 - len(positives)]
    return supports, rng.permutation(np.concatenate([positives, negatives]))


def distances(supports, queries):
    return np.linalg.norm(x[queries] - x[supports].mean(0), axis=1)


def similarities(supports, queries):
    p = x[supports].mean(0)
    return x[queries] @ p / np.linalg.norm(p)


def recall_at_95(relevant):
    """Brute force: look at every rank, keep the last whose precision is at least 0.95."""
    last = 0.0
    for k in range(1, len(relevant) + 1):
        if relevant[:k].mean() >= 0.95:
            last = relevant[:k].sum() / relevant.sum()
    return float(last)


golden = {"versions": FOUND, "rounds": []}
for shots in (1, 5):
    tuning = [draw(shots) for _ in range(20)]
    pooled_d = np.concatenate([distances(*e) for e in tuning])
    pooled_y = np.concatenate([brand[q] == brand[s[0]] for s, q in tuning])
    taus = np.arange(201) / 100
    curve = [f1_score(pooled_y, pooled_d <= t, zero_division=0) for t in taus]
    tau = taus[int(np.argmax(curve))]

    episodes = []
    all_s, all_y = [], []
    for supports, queries in (draw(shots) for _ in range(25)):
        d, y = distances(supports, queries), brand[queries] == brand[supports[0]]
        ranked = y[np.argsort(d, kind="stable")]
        all_s.append(similarities(supports, queries))
        all_y.append(y)
        episodes.append(
            {
                "brand": int(brand[supports[0]]),
                "supports": row[supports].tolist(),
                "queries": row[queries].tolist(),
                "distances": d.tolist(),
                "accuracy": accuracy_score(y, d <= tau),
                "precision": precision_score(y, d <= tau, zero_division=0),
                "recall": recall_score(y, d <= tau, zero_division=0),
                "f1": f1_score(y, d <= tau, zero_division=0),
                "r_at_95p": recall_at_95(ranked),
                "map": average_precision_score(y, -d),
            }
        )
    s, y = np.concatenate(all_s), np.concatenate(all_y)
    golden["rounds"].append(
        {
            "shots": shots,
            "tuning": [{"supports": row[s].tolist(), "queries": row[q].tolist()} for s, q in tuning],
            "tau": float(tau),
            "f1_curve": curve,
            "episodes": episodes,
            "positives": np.histogram(s[y], 40, (-1, 1))[0].tolist(),
            "negatives": np.histogram(s[~y], 40, (-1, 1))[0].tolist(),
        }
    )

# The scatter matrices themselves, then their traces.
mu = x.mean(0)
s_b, s_w = np.zeros((12, 12)), np.zeros((12, 12))
for b in np.unique(brand):
    c = x[brand == b]
    s_b += len(c) * np.outer(c.mean(0) - mu, c.mean(0) - mu)
    s_w += (c - c.mean(0)).T @ (c - c.mean(0))
golden["trace_ratio"] = float(np.trace(s_b) / np.trace(s_w))

full = np.linalg.norm(x[:, None] - x[None], axis=2)
i, j = np.triu_indices(len(x), 1)
same = brand[i] == brand[j]
golden["distance_ratio"] = float(full[i, j][~same].mean() / full[i, j][same].mean())

# Retrieval, every row among all others: average precision by scikit-learn, the rest by brute force.
similarity = x @ x.T
golden["retrieval"] = []
for q in np.argsort(row):
    others = np.delete(np.arange(len(x)), q)
    relevant = (brand[others] == brand[q])[np.argsort(-similarity[q, others])]
    r = int(relevant.sum())
    golden["retrieval"].append(
        {
            "row": int(row[q]),
            "map": average_precision_score(brand[others] == brand[q], similarity[q, others]),
            "map_at_r": sum(relevant[:k].mean() for k in range(1, r + 1) if relevant[k - 1]) / r,
            "r_precision": float(relevant[:r].mean()),
            "recall_at_1": float(relevant[:1].any()),
            "recall_at_5": float(relevant[:5].any()),
        }
    )

# Detection and identification with ties, each probe counted as often as its brand's weight: scikit-learn's curves, and
# DIR and OSCR by brute force over its thresholds.
n = 400
probe_brand = rng.integers(0, 12, n)
known = probe_brand < 6
score = np.round(rng.normal(size=n) + 1.2 * known, 1)
named = known & (rng.random(n) < 0.7)
golden["open_set"] = {"score": score.tolist(), "brand": probe_brand.tolist(), "known": known.tolist(), "named": named.tolist(), "cases": []}
for weights in (np.ones(12, int), rng.multinomial(12, np.ones(12) / 12), rng.multinomial(12, np.ones(12) / 12)):
    w = weights[probe_brand]
    fpr, tpr, edges = roc_curve(known, score, sample_weight=w, drop_intermediate=False)
    right = np.array([(w * (named & (score >= t))).sum() / (w * known).sum() for t in edges])
    # Where FPR + TPR = 1, between two vertices.
    excess = fpr + tpr - 1
    i = int(np.argmax(excess >= 0))
    eer = np.interp(0, excess[i - 1 : i + 1], fpr[i - 1 : i + 1])
    case = {
        "weights": weights.tolist(),
        "auroc": roc_auc_score(known, score, sample_weight=w),
        "eer": float(eer),
        "fpr_at_95tpr": float(fpr[tpr >= 0.95].min()),
        "oscr": float(np.trapezoid(right, fpr)),
    }
    for name, far in (("10", 0.1), ("1", 0.01), ("01", 0.001)):
        case[f"tar_at_far_{name}"] = float(tpr[fpr <= far].max())
        case[f"dir_at_far_{name}"] = float(right[fpr <= far].max())
    golden["open_set"]["cases"].append(case)

(HERE / "golden.json").write_text(json.dumps(golden, indent=None, separators=(",", ":")) + "\n")
print(golden["trace_ratio"], golden["distance_ratio"], [r["tau"] for r in golden["rounds"]])
print([np.mean([e["map"] for e in r["episodes"]]) for r in golden["rounds"]], [np.mean([e["r_at_95p"] for e in r["episodes"]]) for r in golden["rounds"]])
