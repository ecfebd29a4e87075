"""Makes pairs.safetensors: losses over labelled batches and over classes, miners and the cross-batch memory.

    python3 -m pip install torch==2.11.0 torchvision==0.26.0 pytorch-metric-learning==2.9.0 safetensors==0.8.0 numpy==2.4.6
    python3 trainer/tests/golden/make_golden_pairs.py

Everything is pytorch-metric-learning's own arithmetic but for `contrastive_*`, which has no counterpart there with squared
distances, and is written out here pair by pair. Inputs come from `fill`, as in make_golden.py.
"""

import torch
import torch.nn.functional as F
from make_golden import HERE, centred
from pytorch_metric_learning import distances, losses, miners, reducers
from safetensors.torch import save_file

BATCH, DIM, CLASSES = 24, 16, 8
# Seven brands in the batch, one of them (6) with a single picture, one class (7) without any.
LABELS = torch.tensor([0, 0, 0, 0, 1, 1, 1, 1, 2, 2, 2, 2, 3, 3, 3, 3, 4, 4, 4, 4, 5, 5, 5, 6])
PLAIN = distances.LpDistance(normalize_embeddings=False)
out = {}


def batch(name="batch"):
    """Clusters that overlap: some pairs are hard, none is trivially so."""
    centres = centred("centres", CLASSES, DIM)
    return centres[LABELS] * 0.6 + centred(name, BATCH, DIM)


def record(tag, loss, *leaves):
    out[f"{tag}.value"] = loss.detach().reshape(())
    for index, grad in enumerate(torch.autograd.grad(loss, leaves)):
        out[f"{tag}.grad{index}"] = grad.contiguous()


def leaf(x):
    return x.clone().requires_grad_()


def masks(indices, n_references=BATCH):
    positive = torch.zeros(BATCH, n_references, dtype=torch.bool)
    negative = torch.zeros(BATCH, n_references, dtype=torch.bool)
    if len(indices) == 3:
        a, p, n = indices
        positive[a, p] = True
        negative[a, n] = True
    else:
        a1, p, a2, n = indices
        positive[a1, p] = True
        negative[a2, n] = True
    return positive, negative


MINERS = {
    "none": None,
    "batch_hard": miners.BatchHardMiner(distance=PLAIN),
    "semi_hard": miners.TripletMarginMiner(margin=0.2, type_of_triplets="semihard", distance=PLAIN),
    "multi_similarity": miners.MultiSimilarityMiner(epsilon=0.1),
}
MEAN = reducers.MeanReducer()
PAIR_LOSSES = {
    "multi_similarity": losses.MultiSimilarityLoss(alpha=2, beta=50, base=0.5),
    "sup_con": losses.SupConLoss(temperature=0.1),
    "circle": losses.CircleLoss(m=0.25, gamma=8),
    "circle_80": losses.CircleLoss(m=0.4, gamma=80),
}


def mean_under(values, mask):
    return values[mask].mean() if mask.any() else values.sum() * 0


def contrastive(kind, x, references, positive, negative):
    if kind == "contrastive_euclidean":
        d = (x[:, None] - references[None]).pow(2).sum(2).clamp(min=1e-24).sqrt()
        return mean_under(d**2, positive) + mean_under((1.0 - d).clamp(min=0) ** 2, negative)
    cos = F.normalize(x) @ F.normalize(references).t()
    return mean_under(1 - cos, positive) + mean_under((cos - 0.2).clamp(min=0), negative)


x = F.normalize(batch())
everything = (LABELS[:, None] == LABELS[None]) & ~torch.eye(BATCH, dtype=torch.bool), LABELS[:, None] != LABELS[None]
for name, miner in MINERS.items():
    indices = miner(x, LABELS) if miner else None
    positive, negative = masks(indices) if miner else everything
    out[f"miner.{name}.positive"], out[f"miner.{name}.negative"] = positive, negative
    if name == "semi_hard":
        triplets = torch.zeros(BATCH, BATCH, BATCH, dtype=torch.bool)
        triplets[indices] = True
        out["miner.semi_hard.triplets"] = triplets
    for kind, loss_fn in PAIR_LOSSES.items():
        e = leaf(x)
        pairs = None if miner is None else indices
        record(f"{kind}.{name}", loss_fn(e, LABELS, pairs), e)
    for kind in ("contrastive_euclidean", "contrastive_cosine"):
        e = leaf(x)
        record(f"{kind}.{name}", contrastive(kind, e, e, positive, negative), e)
    for margin in (0.2, 1.0):
        e = leaf(x)
        loss_fn = losses.TripletMarginLoss(margin=margin, distance=PLAIN, reducer=MEAN)
        record(f"triplet.{name}.{margin}", loss_fn(e, LABELS, indices), e)

# Drawing by distance: the probabilities; what is drawn from them is random.
d = torch.cdist(x.double(), x.double()).clamp(min=0.5)
log_weights = (2.0 - DIM) * d.log() - ((DIM - 3) / 2) * (1.0 - 0.25 * d**2).log()
possible = everything[1] & (d < 1.4)
weights = torch.where(possible, (log_weights - log_weights[possible].max()).exp(), 0.0)
out["miner.distance_weighted.weights"] = (weights / weights.sum(1, keepdim=True).clamp(min=1e-300)).float()

# Losses over classes: value, gradient of the embeddings, gradient of the weights.
for sub_centers in (1, 3):
    if sub_centers == 1:
        loss_fn = losses.ArcFaceLoss(num_classes=CLASSES, embedding_size=DIM, margin=28.6, scale=64)
    else:
        loss_fn = losses.SubCenterArcFaceLoss(
            num_classes=CLASSES, embedding_size=DIM, margin=28.6, scale=64, sub_centers=sub_centers
        )
    loss_fn.W.data = centred("centers", CLASSES * sub_centers, DIM).t().contiguous()
    # One embedding opposite to its class, beyond π − m.
    opposite = batch()
    opposite[0] = -centred("centers", CLASSES * sub_centers, DIM)[0] + 0.05 * opposite[0]
    e = leaf(opposite)
    loss = loss_fn(e, LABELS)
    grad_e, grad_w = torch.autograd.grad(loss, (e, loss_fn.W))
    tag = f"arc_face.{sub_centers}"
    out[f"{tag}.value"], out[f"{tag}.grad0"] = loss.detach().reshape(()), grad_e
    out[f"{tag}.grad1"] = grad_w.t().contiguous()
for margin, alpha in ((0.1, 32), (0.3, 4)):
    loss_fn = losses.ProxyAnchorLoss(num_classes=CLASSES, embedding_size=DIM, margin=margin, alpha=alpha)
    loss_fn.proxies.data = centred("centers", CLASSES, DIM)
    e = leaf(batch())
    record(f"proxy_anchor.{margin}.{alpha}", loss_fn(e, LABELS), e, loss_fn.proxies)

# The memory of 60, over four batches of 24: filled in the third, its oldest overwritten.
for kind in ("multi_similarity", "sup_con", "circle"):
    for name in ("none", "multi_similarity"):
        memory = losses.CrossBatchMemory(PAIR_LOSSES[kind], DIM, memory_size=60, miner=MINERS[name])
        for step in range(4):
            e = leaf(F.normalize(batch(f"batch {step}")))
            labels = (LABELS + step) % CLASSES
            record(f"memory.{kind}.{name}.{step}", memory(e, labels), e)

save_file({k: v.float() if v.is_floating_point() else v for k, v in sorted(out.items())}, HERE / "pairs.safetensors")
print(len(out), "tensors")
