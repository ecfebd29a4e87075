"""The peers of recognizer/benches/search.rs on the same vectors and cores: faiss's IndexFlatIP and usearch's exact search.

    python3 scripts/bench_gallery.py OUT THREADS ROUNDS

Prints a JSON line per tool and number of queries asked at once; `same` is the share of the nearest that ours finds, too.
"""

import json
import sys
import time

import faiss
import numpy as np
from usearch.index import MetricKind, search

out, threads, rounds = sys.argv[1], int(sys.argv[2]), int(sys.argv[3])
gallery, queries = np.load(f"{out}/gallery.npy"), np.load(f"{out}/queries.npy")
k = 10
ours = np.load(f"{out}/found.npy").reshape(len(queries), k)

faiss.omp_set_num_threads(threads)
index = faiss.IndexFlatIP(gallery.shape[1])
index.add(gallery)


def by_faiss(asked):
    return index.search(asked, k)[1]


def by_usearch(asked):
    return np.atleast_2d(search(gallery, asked, k, MetricKind.IP, exact=True, threads=threads).keys)


for tool, run in [("faiss IndexFlatIP", by_faiss), ("usearch exact", by_usearch)]:
    found = run(queries)
    same = np.mean([len(set(a) & set(b)) / k for a, b in zip(found.tolist(), ours.tolist())])
    for batch in (1, 8, 64, len(queries)):
        ms = []
        for round_ in range(rounds * (20 if batch == 1 else 1)):
            first = round_ * batch % (len(queries) - batch + 1)
            asked = queries[first : first + batch]
            begun = time.perf_counter()
            run(asked)
            ms.append((time.perf_counter() - begun) * 1e3)
        p50, p99 = np.percentile(ms, [50, 99])
        line = {"tool": tool, "n": len(gallery), "dim": gallery.shape[1], "threads": threads, "k": k, "batch": batch}
        print(json.dumps({**line, "searches": len(ms), "p50_ms": round(p50, 3), "p99_ms": round(p99, 3), "same": round(same, 5)}))
