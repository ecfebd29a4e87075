"""The 60-second tour: look at a dataset, judge the colours of its pictures as if they were embeddings, and read what is found:

    python3 examples/tour.py data/logodet3k default runs/tour

Needs logodex alone.
"""

import sys

import numpy as np

import logodex

dataset, name, out = sys.argv[1:4]

d = logodex.open(dataset)
split = d.split(name)
print(d, split, sep="\n")

picture, label = split.test[0]
print(picture.shape, picture.dtype, d.brands[label].key)

rows = np.concatenate([split.fold("val", "both").rows, split.fold("test", "both").rows])
pictures = d[rows]
quarter = d.side // 4
tiles = pictures[:, : 4 * quarter, : 4 * quarter].reshape(len(rows), 4, quarter, 4, quarter, 3)
colours = tiles.mean(axis=(2, 4)).reshape(len(rows), -1) - 127.5

result = logodex.evaluate({"colours": colours}, rows, d, split=split)
print(result)
for metric in ["map", "f1"]:
    value = result.value("colours", metric)
    print(f"{metric}: {value['mean']:.3f} [{value['ci_low']:.3f}, {value['ci_high']:.3f}]")
print(result.report(out))
