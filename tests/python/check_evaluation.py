"""An evaluation, computed again in numpy from nothing but its lists of episodes and the embeddings:

    check_evaluation.py DATASET OUT EMBEDDINGS.safetensors...

OUT is what `logodex-train evaluate` wrote for the embeddings. Every number of the model over all queries must agree to
1e-6, and under `paper` every episode's; curves.csv, confusion.csv, and the retrievals, confusions and map that are shown,
must be those that the documentation describes. Nothing is shared with the code that is checked but the files.

Unit vectors are float32, and so are similarities in retrieval and open-set identification, summed over the dimensions in
order: two that differ by less than that are ranked as documented, not as a wider float would.
"""

import csv
import json
import sys
from collections import Counter, defaultdict
from pathlib import Path

import numpy as np
import polars as pl
from safetensors.numpy import load_file

import tsne

dataset, out, files = Path(sys.argv[1]), Path(sys.argv[2]), sys.argv[3:]
evaluation = json.loads((out / "evaluation.json").read_text())
model = evaluation["model"]
sets = [load_file(file) for file in files]
row = np.concatenate([s["row"] for s in sets])
x = np.concatenate([s["embeddings"] for s in sets]).astype(np.float64)
x = (x / np.linalg.norm(x, axis=1, keepdims=True)).astype(np.float32)
unit = x
x = x.astype(np.float64)
place = {int(r): i for i, r in enumerate(row)}
catalog = pl.read_parquet(dataset / "catalog.parquet").sort("row")
brand = catalog["brand_index"].to_numpy()[row]
image = catalog["image"].to_numpy()[row]
is_object = catalog["object"].is_not_null().to_numpy()[row]
split = pl.read_csv(dataset / "splits" / f"{evaluation['split']}.csv", schema_overrides={"brand": pl.String})
val_brands = split.filter(pl.col("fold") == "val")["index"].to_numpy()
names = pl.read_csv(dataset / "brands.csv", schema_overrides={"brand": pl.String})["brand"].to_list()
checked = 0


def lines(path):
    with open(path, newline="") as file:
        return list(csv.DictReader(file))


def places(text):
    return np.array([place[int(r)] for r in text.split()], dtype=int)


expected = {}
for line in lines(out / "evaluation.csv"):
    if line["model"] == model and line["slice"] == "all":
        expected[line["region"], line["protocol"], int(line["shots"]), line["metric"]] = float(line["mean"])


def agree(key, value):
    global checked
    checked += 1
    assert abs(expected[key] - value) <= 1e-6, (key, expected[key], value)


curves = defaultdict(list)
for line in lines(out / "curves.csv"):
    if line["model"] == model:
        key = line["region"], line["protocol"], int(line["shots"]), line["curve"]
        curves[key].append((float(line["x"]), float(line["y"])))


def follows(key, points):
    """That curve has these points."""
    global checked
    checked += 1
    said, points = np.array(curves.pop(key)), np.array(points)
    assert said.shape == points.shape, (key, said.shape, points.shape)
    assert np.abs(said - points).max() <= 1e-6, (key, np.abs(said - points).max())


def similarities(a, b):
    sums = np.zeros((len(a), len(b)), dtype=np.float32)
    for k in range(a.shape[1]):
        sums += a[:, k, None] * b[None, :, k]
    return sums


def scores(supports, queries, protocol):
    prototype = x[supports].mean(0)
    if protocol.startswith("paper_cosine"):
        d = 1 - x[queries] @ prototype / np.linalg.norm(prototype) / np.linalg.norm(x[queries], axis=1)
        return np.where(d < 1e-12, 0, d)  # equal directions are at no distance
    return np.linalg.norm(x[queries] - prototype, axis=1)


def episode_metrics(d, y, tau):
    accepted = d <= tau
    tp, fp, fn = (accepted & y).sum(), (accepted & ~y).sum(), (~accepted & y).sum()
    hits = y[np.argsort(np.round(d, 9), kind="stable")]
    precision = np.cumsum(hits) / np.arange(1, len(y) + 1)
    last = np.flatnonzero(precision >= 0.95)
    return {
        "accuracy": (accepted == y).mean(),
        "precision": tp / (tp + fp) if tp + fp else 0.0,
        "recall": tp / (tp + fn),
        "f1": 2 * tp / (2 * tp + fp + fn) if tp + fp + fn else 0.0,
        "r_at_95p": hits[: last[-1] + 1].sum() / y.sum() if len(last) else 0.0,
        "map": (precision * hits).sum() / y.sum(),
    }


def best_threshold(episodes, protocol, stated):
    asked = [(scores(s, q, protocol), brand[q] == brand[s[0]]) for s, q in episodes]
    d, y = np.concatenate([a for a, _ in asked]), np.concatenate([b for _, b in asked])
    if protocol.startswith("paper_cosine"):
        # Halfway between two neighbours of the sorted distances; those that differ by rounding are taken together.
        order = np.argsort(d, kind="stable")
        d, y = d[order], y[order]
        ends = np.append(np.flatnonzero(np.diff(d) > 1e-12), len(d) - 1)
        best = ends[np.argmax(2 * np.cumsum(y)[ends] / (ends + 1 + y.sum()))]
        tau = d[best : best + 2].mean()
        assert abs(tau - stated) <= 1e-9, (protocol, tau, stated)
        return stated  # to its last bit
    f1 = []
    for step in range(201):
        accepted = d <= step / 100
        f1.append(2 * (accepted & y).sum() / (accepted.sum() + y.sum()))
    tau = int(np.argmax(f1)) / 100
    assert tau == stated, (protocol, tau, stated)
    return tau


def paper(region, shots, path):
    sets = defaultdict(list)
    for line in lines(path):
        sets[line["used_for"]].append((places(line["supports"]), places(line["queries"])))
    stated = {(t["protocol"], t["kind"]): t["tau"] for t in evaluation["thresholds"] if (t["region"], t["shots"]) == (region, shots)}
    by_episode = {(e["protocol"], int(e["episode"])): e for e in lines(out / "episodes.csv") if (e["region"], int(e["shots"])) == (region, shots)}
    for base in ("paper", "paper_cosine"):
        for protocol, kind, used_for in ((base, "transferred", "val_threshold"), (base + "_oracle", "oracle", "oracle_threshold")):
            if used_for not in sets or (region, protocol, shots, "f1") not in expected:
                continue
            tau = best_threshold(sets[used_for], protocol, stated[base, kind])
            found = []
            for number, (supports, queries) in enumerate(sets["test"]):
                y = brand[queries] == brand[supports[0]]
                metrics = episode_metrics(scores(supports, queries, protocol), y, tau)
                found.append(metrics)
                for metric, value in metrics.items():
                    said = float(by_episode[protocol, number][metric])
                    assert abs(said - value) <= 1e-6, (protocol, shots, number, metric, said, value)
            for metric in found[0]:
                if (region, protocol, shots, metric) in expected:
                    agree((region, protocol, shots, metric), np.mean([f[metric] for f in found]))
    if (region, "paper", shots, "map") in expected:
        precision_recall(region, shots, sets["test"])


def precision_recall(region, shots, episodes):
    """Over the queries of all episodes together: precision at the first distance that reaches each percent of recall."""
    d = np.concatenate([scores(s, q, "paper") for s, q in episodes])
    y = np.concatenate([brand[q] == brand[s[0]] for s, q in episodes])
    order = np.argsort(d, kind="stable")
    d, y = d[order], y[order]
    # Queries whose distances differ by rounding are taken together.
    ends = np.append(np.flatnonzero(np.diff(d) > 1e-9), len(d) - 1)
    hits = np.cumsum(y)[ends]
    precision = hits / (ends + 1)
    at = [int(np.argmax(hits * 100 >= percent * y.sum())) for percent in range(1, 101)]
    follows((region, "paper", shots, "precision_recall"), [((i + 1) / 100, precision[e]) for i, e in enumerate(at)])


def n_way(region, ways, shots, path):
    episodes = defaultdict(list)
    for line in lines(path):
        episodes[line["episode"]].append((places(line["supports"]), places(line["queries"])))
    right = []
    for shown in episodes.values():
        prototypes = np.stack([x[s].mean(0) for s, _ in shown])
        for number, (_, queries) in enumerate(shown):
            d = np.linalg.norm(x[queries][:, None] - prototypes[None], axis=2)
            right += list(np.argmin(np.round(d, 9), axis=1) == number)
    agree((region, "n_way_k_shot", shots, f"accuracy_{ways}_way"), np.mean(right))


def retrieval(region, protocol, path):
    roles = lines(path)
    gallery = np.array([place[int(l["row"])] for l in roles if l["role"] != "query"])
    queries = [place[int(l["row"])] for l in roles if l["role"] != "gallery"]
    found, asked = defaultdict(list), []
    for q, of_query in zip(queries, similarities(unit[queries], unit)):
        searched = gallery[image[gallery] != image[q]]
        order = searched[np.argsort(-of_query[searched], kind="stable")]
        hits = brand[order] == brand[q]
        r = hits.sum()
        precision = np.cumsum(hits) / np.arange(1, len(hits) + 1)
        for k in (1, 5, 10):
            found[f"recall_at_{k}"].append(hits[:k].any())
        found["r_precision"].append(hits[:r].mean())
        found["map_at_r"].append((precision * hits)[:r].sum() / r)
        found["map"].append((precision * hits).sum() / r)
        if protocol == "retrieval":
            asked.append((q, np.sum(precision * hits) / r, int(r), order[:10], of_query[order[:10]]))
    for metric, values in found.items():
        agree((region, protocol, 0, metric), np.mean(values))
    if protocol == "retrieval":
        # In the gallery's order, which decides among equals.
        rank = {int(g): i for i, g in enumerate(gallery)}
        asked.sort(key=lambda a: rank[a[0]])
        confusion(region, asked)
        if region == evaluation["regions"][0]["region"]:
            shown_retrievals(asked)
            shown_confusions(asked)


def confusion(region, asked):
    counts = Counter((int(brand[q]), int(brand[near[0]])) for q, _, _, near, _ in asked)
    said = [line for line in lines(out / "confusion.csv") if line["region"] == region]
    expected = [(b, n, counts[b, n], names[b], names[n]) for b, n in sorted(counts)]
    assert [(int(l["brand"]), int(l["nearest"]), int(l["queries"]), l["brand_name"], l["nearest_name"]) for l in said] == expected
    assert sum(counts.values()) == len(asked)


def is_shown(picture, position):
    assert picture == {"row": int(row[position]), "brand": names[int(brand[position])], "picture": f"pictures/row-{row[position]}.jpg"}, picture


def first_of_brands(asked, count=3):
    kept = {}
    for a in asked:
        kept.setdefault(int(brand[a[0]]), a)
    return list(kept.values())[:count]


def shown_retrievals(asked):
    many = [a for a in asked if a[2] >= 3]
    pool = many if len(first_of_brands(many)) == 3 else asked
    # Sorting is stable. Two averages that differ by rounding are equal.
    best = first_of_brands(sorted(pool, key=lambda a: -round(a[1], 12)))
    worst = first_of_brands(sorted(asked, key=lambda a: round(a[1], 12)))
    said = {choice: [s for s in evaluation["retrievals"] if s["choice"] == choice] for choice in ("best", "worst", "random")}
    assert [s["query"]["row"] for s in said["best"]] == [row[a[0]] for a in best], (said["best"], best)
    assert [s["query"]["row"] for s in said["worst"]] == [row[a[0]] for a in worst], (said["worst"], worst)
    assert len({s["query"]["brand"] for s in said["random"]}) == len(said["random"]) == len(first_of_brands(asked))
    of_row = {int(row[a[0]]): a for a in asked}
    for shown in evaluation["retrievals"]:
        q, ap, positives, near, similar = of_row[shown["query"]["row"]]
        is_shown(shown["query"], q)
        assert shown["positives"] == positives and abs(shown["map"] - ap) < 1e-9, shown
        assert len(shown["found"]) == min(6, len(near)), shown
        for found, position, similarity in zip(shown["found"], near, similar):
            is_shown(found["picture"], position)
            assert found["similarity"] == float(similarity), (found, similarity)


def shown_confusions(asked):
    pairs, of = {}, Counter()
    for q, _, _, near, similar in asked:
        b, n = int(brand[q]), int(brand[near[0]])
        of[b] += 1
        if b != n:
            pairs.setdefault((b, n), []).append((q, near[0], float(similar[0])))
    ranked = sorted(pairs.items(), key=lambda pair: (-len(pair[1]), -max(p[2] for p in pair[1]), pair[0]))[:12]
    assert len(evaluation["confusions"]) == len(ranked)
    for said, ((b, _), found) in zip(evaluation["confusions"], ranked):
        q, near, similarity = max(found, key=lambda p: p[2])
        assert (said["queries"], said["of"], said["found"]["similarity"]) == (len(found), of[b], similarity), (said, found)
        is_shown(said["query"], q)
        is_shown(said["found"]["picture"], near)


def shown_map(drawn_from):
    images = {int(b): np.unique(image[drawn_from[brand[drawn_from] == b]]) for b in np.unique(brand[drawn_from])}
    enough = [b for b in images if len(images[b]) >= 5]
    said = evaluation["map"]
    assert (said is not None) == (len(enough) >= 3), (said, enough)
    if said is None:
        return
    points = np.array([place[p["picture"]["row"]] for p in said["points"]])
    shown = [int(b) for b in np.unique(brand[points])]
    assert len(shown) == min(10, len(enough)) and set(shown) <= set(enough), shown
    assert list(brand[points]) == [b for b in shown for _ in range(min(30, len(images[b])))]
    assert len(set(image[points])) == len(points)
    for point, position in zip(said["points"], points):
        is_shown(point["picture"], position)
    at, n = np.array([p["at"] for p in said["points"]]), len(points)
    assert np.abs(at.mean(0)).max() < 1e-6 * max(1, np.abs(at).max())
    assert abs(said["perplexity"] - min(30, (n - 1) / 3)) < 1e-12

    kl = tsne.kl_divergence(x[points], at, said["perplexity"])
    assert abs(kl - said["kl_divergence"]) < 1e-3, (kl, said["kl_divergence"])
    kept = tsne.trustworthiness(x[points], at)
    assert abs(kept - said["trustworthiness"]) < 1e-9, (kept, said["trustworthiness"])


def draws_of(used_for, path):
    draws = defaultdict(list)
    for line in lines(path):
        if line["used_for"] == used_for:
            draws[line["draw"]].append((int(line["brand"]), places(line["supports"])))
    return list(draws.values())


def probes(gallery, of_fold):
    prototypes = np.stack([x[s].mean(0) for _, s in gallery])
    prototypes /= np.linalg.norm(prototypes, axis=1, keepdims=True)
    asked = of_fold[~np.isin(image[of_fold], image[np.concatenate([s for _, s in gallery])])]
    s = similarities(unit[asked], prototypes.astype(np.float32))
    names = np.array([b for b, _ in gallery])
    return s.max(1).astype(np.float64), np.isin(brand[asked], names), names[s.argmax(1)] == brand[asked]


def trapezoid(y, x):
    return float(((y[1:] + y[:-1]) / 2 * np.diff(x)).sum())


def open_set(region, shots, path, folds):
    fars = {"10": 0.1, "1": 0.01, "01": 0.001}
    found = defaultdict(list)
    grid = np.concatenate([[0, 0.001, 0.002, 0.005], np.arange(1, 101) / 100])
    staircases = defaultdict(list)
    stated = [t for t in evaluation["open_set_thresholds"] if (t["region"], t["shots"]) == (region, shots)]
    val_draws, transfer = draws_of("val_threshold", path), draws_of("transfer", path)
    assert len(stated) == (len(fars) if val_draws else 0) and len(val_draws) == len(transfer)
    # A threshold is set and tried on galleries of one size.
    assert {len(g) for g in val_draws + transfer} == {t["enrolled"] for t in stated}
    for gallery in draws_of("test", path):
        score, known, named = probes(gallery, folds["test"])
        edges = np.concatenate([[np.inf], np.unique(score)[::-1]])
        far = np.array([(score[~known] >= t).mean() for t in edges])
        tar = np.array([(score[known] >= t).mean() for t in edges])
        right = np.array([((score >= t) & named)[known].mean() for t in edges])
        found["auroc"].append(trapezoid(tar, far))
        found["oscr"].append(trapezoid(right, far))
        last = [np.flatnonzero(far <= x)[-1] for x in grid]
        staircases["roc"].append(tar[last])
        staircases["dir"].append(right[last])
        i = int(np.argmax(far >= 1 - tar))
        a, b = far[i - 1] + tar[i - 1] - 1, far[i] + tar[i] - 1
        found["eer"].append(far[i - 1] + (far[i] - far[i - 1]) * -a / (b - a))
        found["fpr_at_95tpr"].append(far[np.argmax(tar >= 0.95)])
        for name, limit in fars.items():
            last = np.flatnonzero(far <= limit)[-1]
            found[f"tar_at_far_{name}"].append(tar[last])
            found[f"dir_at_far_{name}"].append(right[last])
    strangers = [score[~known] for score, known, _ in (probes(g, folds["val"]) for g in val_draws)]
    for tau in (t for t in stated if strangers):
        # No more of them are accepted than the rate allows, and one more would be too many.
        score = np.concatenate(strangers)
        assert (score >= tau["similarity"]).mean() <= tau["far"], tau
        assert (score >= np.nextafter(tau["similarity"], -2)).mean() > tau["far"] or tau["similarity"] == -1, tau
    for gallery in transfer:
        score, known, named = probes(gallery, folds["test"])
        for tau in stated:
            name = next(name for name, limit in fars.items() if limit == tau["far"])
            accepted = score >= tau["similarity"]
            found[f"far_at_val_far_{name}"].append(accepted[~known].mean())
            found[f"far_error_at_val_far_{name}"].append(accepted[~known].mean() - tau["far"])
            found[f"dir_at_val_far_{name}"].append((accepted & named)[known].mean())
    for metric, values in found.items():
        agree((region, "open_set", shots, metric), np.mean(values))
    for curve, draws in staircases.items():
        follows((region, "open_set", shots, curve), list(zip(grid, np.mean(draws, axis=0))))


for region in [judged["region"] for judged in evaluation["regions"]]:
    listed = out / "episodes" / region
    test = np.array([place[int(l["row"])] for l in lines(listed / "retrieval.csv")])
    val = np.flatnonzero((is_object == (region == "object")) & np.isin(brand, val_brands))
    for path in sorted(listed.glob("*.csv")):
        protocol, _, number = path.stem.rpartition("_")
        if protocol == "paper":
            paper(region, int(number), path)
        elif protocol.startswith("n_way_k_shot"):
            n_way(region, protocol.rpartition("_")[2], int(number), path)
        elif path.stem.startswith("retrieval"):
            retrieval(region, path.stem, path)
        else:
            open_set(region, int(number), path, {"test": test, "val": val})
    if region == evaluation["regions"][0]["region"]:
        shown_map(test)
assert not curves, list(curves)
assert checked >= 20, checked
print(f"{checked} numbers agree")
