"""The peers of evaluation/benches/retrieval.rs on the same embeddings, same cores: plain PyTorch, and
pytorch-metric-learning's AccuracyCalculator (torch 2.11, pytorch-metric-learning 2.9 with faiss-cpu, which it needs).

    python3 scripts/bench_retrieval.py EMBEDDINGS.safetensors [THREADS]

Prints a JSON line per tool. Plain PyTorch sorts every row of similarities, which is what full mAP takes without counting.
"""

import json
import resource
import sys
import time

import torch
from safetensors.torch import load_file

path, threads = sys.argv[1], int(sys.argv[2]) if len(sys.argv) > 2 else 2
torch.set_num_threads(threads)
file = load_file(path)
x, brand = torch.nn.functional.normalize(file["embeddings"]), file["brand"]
n, dim = x.shape


def peak_mib():
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024


def sorting(block=512):
    sums = torch.zeros(6, dtype=torch.float64)
    for start in range(0, n, block):
        stop = min(start + block, n)
        scores = x[start:stop] @ x.T
        scores[torch.arange(stop - start), torch.arange(start, stop)] = -torch.inf
        order = scores.sort(dim=1, descending=True, stable=True).indices
        hit = brand[order] == brand[start:stop, None]
        hit[:, -1] = False  # the query itself
        r = hit.sum(1)
        ranks = torch.arange(1, n + 1)
        precision = hit.cumsum(1) / ranks
        within = ranks[None] <= r[:, None]
        gain = torch.where(hit, precision, 0.0).double()
        sums += torch.stack(
            [hit[:, :k].any(1).double().sum() for k in (1, 5, 10)]
            + [((hit & within).sum(1) / r).double().sum()]
            + [((gain * within).sum(1) / r).sum(), (gain.sum(1) / r).sum()]
        )
    names = ["recall_at_1", "recall_at_5", "recall_at_10", "r_precision", "map_at_r", "map"]
    return dict(zip(names, (sums / n).tolist()))


def metric_learning():
    import faiss

    from pytorch_metric_learning.utils.accuracy_calculator import AccuracyCalculator

    faiss.omp_set_num_threads(threads)
    calculator = AccuracyCalculator(
        include=("precision_at_1", "r_precision", "mean_average_precision_at_r"), k="max_bin_count", device=torch.device("cpu")
    )
    found = calculator.get_accuracy(x, brand)
    return {"recall_at_1": found["precision_at_1"], "r_precision": found["r_precision"], "map_at_r": found["mean_average_precision_at_r"]}


for tool, run in [("torch, sorting", sorting), ("pytorch-metric-learning", metric_learning)]:
    begun = time.perf_counter()
    try:
        values = run()
    except ImportError as missing:
        print(json.dumps({"tool": tool, "skipped": str(missing)}))
        continue
    secs = time.perf_counter() - begun
    print(json.dumps({"tool": tool, "n": n, "dim": dim, "threads": threads, "secs": round(secs, 2), "peak_mib": round(peak_mib()), **values}))
