"""Makes the golden files beside it, which the Rust tests in this folder compare with.

    python3 -m pip install torch==2.11.0 torchvision==0.26.0 pytorch-metric-learning==2.9.0 safetensors==0.8.0 numpy==2.4.6
    python3 trainer/tests/golden/make_golden.py

Weights and inputs come from `fill`, a formula that both sides compute, so only results are stored.
"""

import math
from pathlib import Path

import numpy as np
import pytorch_metric_learning.losses as pml
import torch
import torch.nn.functional as F
import torchvision
from safetensors.torch import save_file
from torchvision.transforms import InterpolationMode
from torchvision.transforms import functional as TF

HERE = Path(__file__).parent
torch.set_num_threads(1)


def fill(name: str, *shape: int) -> torch.Tensor:
    """Numbers in [0, 1): splitmix64 over (FNV-1a of the name) + index, its upper 24 bits."""
    key = 0xCBF29CE484222325
    for byte in name.encode():
        key = ((key ^ byte) * 0x100000001B3) % 2**64
    with np.errstate(over="ignore"):
        z = np.arange(math.prod(shape), dtype=np.uint64) + np.uint64(key)
        z *= np.uint64(0x9E3779B97F4A7C15)
        z = (z ^ (z >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
        z = (z ^ (z >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
        z ^= z >> np.uint64(31)
    return torch.from_numpy(((z >> np.uint64(40)).astype(np.float64) / 2**24)).reshape(shape)


def centred(name: str, *shape: int, scale: float = 1.0) -> torch.Tensor:
    return ((fill(name, *shape) * 2 - 1) * scale).float()


def fill_state(state: dict[str, torch.Tensor]) -> dict[str, torch.Tensor]:
    """A network whose activations neither vanish nor explode."""
    filled = {}
    for name, tensor in state.items():
        shape = tuple(tensor.shape)
        if name.endswith("num_batches_tracked"):
            filled[name] = tensor
        elif tensor.ndim > 1:
            fan_in = math.prod(shape[1:])
            filled[name] = centred(name, *shape, scale=math.sqrt(6 / fan_in))
        elif name.endswith("running_var") or (name.endswith("weight") and "fc" not in name) or name == "fc.1.weight":
            # Small on the residual branch, or the batch statistics of fifty layers amplify the last bit of fp32.
            last = name.endswith(("bn2.weight", "bn3.weight"))
            filled[name] = ((fill(name, *shape) + 0.5) * (0.25 if last else 1.0)).float()
        else:
            filled[name] = centred(name, *shape, scale=0.1)
    return filled


def head(kind: str, features: int) -> torch.nn.Module:
    nn = torch.nn
    if kind == "triplet":
        return nn.Sequential(
            nn.Linear(features, 256), nn.BatchNorm1d(256), nn.ReLU(), nn.Dropout(0.3), nn.Linear(256, 128)
        )
    if kind == "contrastive":
        return nn.Sequential(nn.Linear(features, 1024), nn.ReLU(), nn.Linear(1024, 256))
    return nn.Linear(features, 128)


def resnets() -> dict[str, torch.Tensor]:
    """Computed in double precision, so that the tolerance is our error alone and not torch's own in fp32."""
    out = {}
    images = centred("images", 4, 3, 64, 64, scale=2.0).double()
    for arch, kinds in {"resnet18": ["linear", "triplet", "contrastive"], "resnet50": ["contrastive"]}.items():
        for kind in kinds:
            net = getattr(torchvision.models, arch)(weights=None)
            net.fc = head(kind, net.fc.in_features)
            net.load_state_dict(fill_state(net.state_dict()))
            net.double()
            tag = f"{arch}.{kind}"
            net.eval()
            with torch.no_grad():
                out[f"{tag}.eval"] = net(images)
                out[f"{tag}.eval_normalized"] = F.normalize(net(images))
            if kind == "triplet":
                continue  # dropout
            net.train()
            train = net(images)
            out[f"{tag}.train"] = train.detach()
            (train * centred("cotangent", *train.shape).double()).sum().backward()
            state = net.state_dict()
            stats = ["bn1", "layer1.0.bn1", "layer2.0.downsample.1", "layer3.1.bn2", "layer4.1.bn2"]
            for name in stats:
                for stat in ("running_mean", "running_var"):
                    out[f"{tag}.stats.{name}.{stat}"] = state[f"{name}.{stat}"][:64].clone()
            grads = dict(net.named_parameters())
            for name in ("conv1.weight", "bn1.bias", "layer2.0.conv2.weight", "layer4.1.bn2.weight"):
                out[f"{tag}.grad.{name}"] = grads[name].grad.flatten()[:64].clone()
    return {name: tensor.float() for name, tensor in out.items()}


def losses() -> dict[str, torch.Tensor]:
    out = {}
    batch, dim = 8, 16

    def points(name):
        x = centred(name, batch, dim, scale=0.5)
        return x

    anchor, positive, negative = points("anchor"), points("positive"), points("negative")
    positive[:4] = anchor[:4] + 0.1 * positive[:4]  # near: the margin of 0.2 is kept
    positive[7] = anchor[7]  # identical points
    negative[6] = anchor[6]
    same = torch.tensor([1, 0, 1, 0, 1, 0, 1, 0])
    other = positive.clone()  # rows 0 to 3 and 7 near or equal; same = 0 at 1, 3 and 7

    def record(tag, loss, *leaves):
        out[f"{tag}.value"] = loss.detach().reshape(())
        for index, grad in enumerate(torch.autograd.grad(loss, leaves)):
            out[f"{tag}.grad{index}"] = grad

    def leaves(*tensors):
        return [t.clone().requires_grad_() for t in tensors]

    for margin in (0.2, 1.0, 5.0):
        a, p, n = leaves(anchor, positive, negative)
        record(f"triplet.{margin}", torch.nn.TripletMarginLoss(margin=margin)(a, p, n), a, p, n)
        x, y = leaves(anchor, other)
        d = F.pairwise_distance(x, y)
        loss = (same * d**2 + (1 - same) * (margin - d).clamp(min=0) ** 2).mean()
        record(f"contrastive_euclidean.{margin}", loss, x, y)
    for margin in (-0.5, 0.2, 0.9):
        x, y = leaves(anchor, other)
        loss = torch.nn.CosineEmbeddingLoss(margin=margin)(x, y, same * 2 - 1)
        record(f"contrastive_cosine.{margin}", loss, x, y)
    classes = 5
    labels = torch.tensor([0, 1, 2, 3, 4, 0, 1, 2])
    for temperature in (0.05, 0.5):
        loss_fn = pml.NormalizedSoftmaxLoss(classes, dim, temperature=temperature)
        loss_fn.W.data = centred("classes", classes, dim).t().contiguous()
        (e,) = leaves(anchor)
        loss = loss_fn(e, labels)
        grad_e, grad_w = torch.autograd.grad(loss, (e, loss_fn.W))
        tag = f"norm_softmax.{temperature}"
        out[f"{tag}.value"], out[f"{tag}.grad0"] = loss.detach().reshape(()), grad_e
        out[f"{tag}.grad1"] = grad_w.t().contiguous()
    # The plain distance of the paper, without torch's 1e-6, in double precision.
    a, p, n = anchor.double(), positive.double(), negative.double()
    plain = ((a - p).norm(dim=1) - (a - n).norm(dim=1) + 1.0).clamp(min=0).mean()
    out["triplet_plain.1.0"] = plain.float()
    return out


def optimizers() -> dict[str, torch.Tensor]:
    out = {}
    kinds = {
        "sgd": lambda p: torch.optim.SGD(p, lr=0.1, momentum=0.9, weight_decay=0.01),
        "sgd_plain": lambda p: torch.optim.SGD(p, lr=0.1),
        "adam": lambda p: torch.optim.Adam(p, lr=0.01, weight_decay=0.01),
        "adamw": lambda p: torch.optim.AdamW(p, lr=0.01, weight_decay=0.01),
    }
    for kind, make in kinds.items():
        weight = torch.nn.Parameter(centred("weight", 7, 5))
        bias = torch.nn.Parameter(centred("bias", 7))
        optimizer = make([{"params": [weight]}, {"params": [bias]}])
        optimizer.param_groups[1]["lr"] *= 0.25
        for step in range(5):
            weight.grad = centred(f"grad.weight.{step}", 7, 5)
            # The bias is frozen in step 2: no gradient, no change.
            bias.grad = None if step == 2 else centred(f"grad.bias.{step}", 7)
            optimizer.step()
            out[f"{kind}.{step}.weight"] = weight.detach().clone()
            out[f"{kind}.{step}.bias"] = bias.detach().clone()
    return out


def schedules() -> dict[str, torch.Tensor]:
    """Factors of 20 steps, 4 warm-up steps, 5 steps an epoch, rates × 0.2 from epoch 2."""
    parameter = torch.nn.Parameter(torch.zeros(1))

    def factors(after):
        optimizer = torch.optim.SGD([parameter], lr=1.0)
        warmup = torch.optim.lr_scheduler.LambdaLR(optimizer, lambda step: (step + 1) / 4)
        # SequentialLR restarts the second scheduler at its own step 0.
        schedule = torch.optim.lr_scheduler.SequentialLR(optimizer, [warmup, after(optimizer)], milestones=[4])
        rates = []
        for step in range(20):
            rates.append(optimizer.param_groups[0]["lr"] * (0.2 if step // 5 >= 2 else 1.0))
            optimizer.step()
            schedule.step()
        return torch.tensor(rates, dtype=torch.float64)

    return {
        "constant": factors(lambda o: torch.optim.lr_scheduler.ConstantLR(o, factor=1.0, total_iters=0)),
        "cosine": factors(lambda o: torch.optim.lr_scheduler.CosineAnnealingLR(o, T_max=16)),
    }


# One row each: crop (left, top, width, height as parts of the sides, or none), perspective corner parts (or none), flip,
# degrees, grayscale, order, brightness, contrast, saturation, hue. The Rust test has the same table.
CORNERS_A = [[0.9, 0.1], [0.3, 0.7], [0.5, 0.95], [0.05, 0.6]]
CORNERS_B = [[0.2, 0.8], [0.99, 0.4], [0.0, 0.0], [0.6, 0.3]]
CROP_A = (0.125, 0.25, 0.75, 0.625)
CROP_B = (0.0, 0.375, 0.5, 0.625)
AUGMENTATIONS = {
    "crop": (CROP_A, None, False, 0.0, False, "bcsh", 1.0, 1.0, 1.0, 0.0),
    "crop_corner": (CROP_B, None, False, 0.0, False, "bcsh", 1.0, 1.0, 1.0, 0.0),
    "crop_flip": (CROP_B, None, True, 0.0, False, "bcsh", 1.0, 1.0, 1.0, 0.0),
    "perspective": (None, CORNERS_A, False, 0.0, False, "bcsh", 1.0, 1.0, 1.0, 0.0),
    "perspective_filled": (None, CORNERS_A, False, 0.0, False, "bcsh", 1.0, 1.0, 1.0, 0.0),
    "flip": (None, None, True, 0.0, False, "bcsh", 1.0, 1.0, 1.0, 0.0),
    "rotation": (None, None, False, 12.5, False, "bcsh", 1.0, 1.0, 1.0, 0.0),
    "grayscale": (None, None, False, 0.0, True, "bcsh", 1.0, 1.0, 1.0, 0.0),
    "brightness": (None, None, False, 0.0, False, "bcsh", 1.2, 1.0, 1.0, 0.0),
    "contrast": (None, None, False, 0.0, False, "bcsh", 1.0, 0.7, 1.0, 0.0),
    "saturation": (None, None, False, 0.0, False, "bcsh", 1.0, 1.0, 1.4, 0.0),
    "hue": (None, None, False, 0.0, False, "bcsh", 1.0, 1.0, 1.0, 0.1),
    "hue_back": (None, None, False, 0.0, False, "bcsh", 1.0, 1.0, 1.0, -0.35),
    "jitter": (None, None, False, 0.0, False, "hscb", 0.85, 1.15, 0.8, -0.07),
    "jitter_gray": (None, None, False, 0.0, True, "cbhs", 1.15, 0.85, 1.2, 0.1),
    "perspective_flip": (None, CORNERS_B, True, 0.0, False, "bcsh", 1.0, 1.0, 1.0, 0.0),
    "flip_rotation": (None, None, True, -14.0, False, "bcsh", 1.0, 1.0, 1.0, 0.0),
    "crop_perspective": (CROP_A, CORNERS_A, False, 0.0, False, "bcsh", 1.0, 1.0, 1.0, 0.0),
    "everything": (CROP_A, CORNERS_B, True, -9.0, False, "shbc", 1.1, 0.9, 1.2, 0.05),
}


def picture(height: int, width: int) -> torch.Tensor:
    """Coloured waves: as smooth as a photograph, so that interpolating once or twice is nearly the same."""
    y = torch.arange(height, dtype=torch.float64).view(-1, 1) / height
    x = torch.arange(width, dtype=torch.float64).view(1, -1) / width
    waves = [(2.0, 1.0, 0.3), (1.0, 2.5, 1.1), (1.5, 1.5, 2.9)]
    return torch.stack([0.5 + 0.45 * torch.sin(2 * math.pi * (a * x + b * y) + c) for a, b, c in waves]).float()


def augmentations() -> dict[str, torch.Tensor]:
    out = {}
    for height, width in ((48, 48), (40, 56)):
        for name, (crop, corners, flip, degrees, gray, order, b, c, s, h) in AUGMENTATIONS.items():
            # Both sides begin with bytes.
            image = (picture(height, width) * 255).round() / 255
            if crop:
                left, top, columns, rows = (round(part * side) for part, side in zip(crop, (width, height) * 2))
                image = TF.resized_crop(image, top, left, rows, columns, (height, width), InterpolationMode.BILINEAR)
            if corners:
                right, bottom = width - 1, height - 1
                start = [[0, 0], [right, 0], [right, bottom], [0, bottom]]
                end = []
                for (x, y), (u, v) in zip(start, corners):
                    dx = math.floor(u * (int(0.5 * (width // 2)) + 1))
                    dy = math.floor(v * (int(0.5 * (height // 2)) + 1))
                    end.append([x + dx if x == 0 else x - dx, y + dy if y == 0 else y - dy])
                # RandomPerspective fills with 0, which multiplies the rim by its coverage twice; None leaves that out.
                fill_with = [0.0, 0.0, 0.0] if name == "perspective_filled" else None
                image = TF.perspective(image, start, end, InterpolationMode.BILINEAR, fill_with)
            if flip:
                image = TF.hflip(image)
            if degrees:
                image = TF.rotate(image, degrees, InterpolationMode.BILINEAR)
            if gray:
                image = TF.rgb_to_grayscale(image, 3)
            for letter in order:
                if letter == "b" and b != 1.0:
                    image = TF.adjust_brightness(image, b)
                elif letter == "c" and c != 1.0:
                    image = TF.adjust_contrast(image, c)
                elif letter == "s" and s != 1.0:
                    image = TF.adjust_saturation(image, s)
                elif letter == "h" and h != 0.0:
                    image = TF.adjust_hue(image, h)
            # Stored as bytes: a tenth of the tolerance, a quarter of the size.
            out[f"{height}x{width}.{name}"] = (image * 255).round().clamp(0, 255).to(torch.uint8).contiguous()
    return out


if __name__ == "__main__":
    for make in (resnets, losses, optimizers, schedules, augmentations):
        tensors = {name: tensor.contiguous() for name, tensor in make().items()}
        save_file(tensors, HERE / f"{make.__name__}.safetensors")
        (HERE / f"{make.__name__}.safetensors").chmod(0o644)
        print(make.__name__, len(tensors), "tensors")
