"""Makes pairs.safetensors: losses over labelled batches and over classes, miners and the cross-batch memory.

    python3 -m pip install torch==2.11.0 torchvision==0.26.0 pytorch-metric-learning==2.9.0 safetensors==0.8.0 numpy==2.4.6
    python3 trainer/tests/golden/make_golden_pairs.py

Everything is computed by pytorch-metric-learning's own functions with their defaults, but for what is named where it is:
the margins and reducers of the triplet and contrastive losses (ours are means over all pairs, each once, or triplets that
were selected, theirs by default over those whose loss is not 0), distances of embeddings as they are, and the one loss that it
has not: the Euclidean contrastive loss with squared distances is written out here pair by pair. Inputs come from `fill`, as
in make_golden.py.
"""

from unittest import mock

import torch
import torch.nn.functional as F
from fill import HERE, centred
from pytorch_metric_learning import distances, losses, miners, reducers
from pytorch_metric_learning.utils import loss_and_miner_utils
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
    "batch_hard": miners.BatchHardMiner(),
    "semi_hard": miners.TripletMarginMiner(type_of_triplets="semihard"),
    "multi_similarity": miners.MultiSimilarityMiner(),
}
MEAN = reducers.MeanReducer()
PAIR_LOSSES = {
    "multi_similarity": losses.MultiSimilarityLoss(),
    "sup_con": losses.SupConLoss(),
    "circle": losses.CircleLoss(m=0.25, gamma=8),
    "circle_80": losses.CircleLoss(),
    "contrastive_cosine": losses.ContrastiveLoss(
        pos_margin=1, neg_margin=0.2, distance=distances.CosineSimilarity(), reducer=MEAN
    ),
}


def mean_under(values, mask):
    return values[mask].mean() if mask.any() else values.sum() * 0


def contrastive_euclidean(x, references, positive, negative):
    d = (x[:, None] - references[None]).pow(2).sum(2).clamp(min=1e-24).sqrt()
    return mean_under(d**2, positive) + mean_under((1.0 - d).clamp(min=0) ** 2, negative)


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
        if kind == "contrastive_cosine":
            # A pair that several triplets share counts once with us, and with them as often as triplets share it.
            pairs = *positive.nonzero(as_tuple=True), *negative.nonzero(as_tuple=True)
        record(f"{kind}.{name}", loss_fn(e, LABELS, pairs), e)
    e = leaf(x)
    record(f"contrastive_euclidean.{name}", contrastive_euclidean(e, e, positive, negative), e)
    for margin in (0.2, 1.0):
        e = leaf(x)
        loss_fn = losses.TripletMarginLoss(margin=margin, distance=PLAIN, reducer=MEAN)
        record(f"triplet.{name}.{margin}", loss_fn(e, LABELS, indices), e)

# Drawing by distance: the probabilities that its miner hands to its draw; what is drawn from them is random. An anchor
# without a negative near enough has 0 / 0 there, and draws none.
original = loss_and_miner_utils.get_random_triplet_indices
with mock.patch.object(loss_and_miner_utils, original.__name__, wraps=original) as draw:
    miners.DistanceWeightedMiner()(x, LABELS)
weights = draw.call_args.kwargs["weights"]
assert weights.shape == (BATCH, BATCH)
out["miner.distance_weighted.weights"] = weights.nan_to_num(0.0)

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
