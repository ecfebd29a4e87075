"""Makes the golden files beside it, which the Rust tests in this folder compare with.

    python3 -m pip install torch==2.11.0 torchvision==0.26.0 pytorch-metric-learning==2.9.0 safetensors==0.8.0 numpy==2.4.6
    python3 trainer/tests/golden/make_golden.py [resnets …]

Weights and inputs come from `fill`, a formula that both sides compute, so only results are stored.
"""

import math
import sys

import pytorch_metric_learning.losses as pml
import torch
import torch.nn.functional as F
import torchvision
from fill import HERE, centred, fill, fill_state
from safetensors.torch import save_file
from torchvision.transforms import InterpolationMode
from torchvision.transforms import functional as TF

torch.set_num_threads(1)


def head(kind: str, features: int) -> torch.nn.Module:
    nn = torch.nn
    if kind == "triplet":
        return nn.Sequential(
            nn.Linear(features, 256), nn.BatchNorm1d(256), nn.ReLU(), nn.Dropout(0.3), nn.Linear(256, 128)
        )
    if kind == "contrastive":
        return nn.Sequential(nn.Linear(features, 1024), nn.ReLU(), nn.Linear(1024, 256))
    return nn.Linear(features, 128)


class GeM(torch.nn.Module):
    """Radenović et al. 2018, as in their cirtorch.layers.pooling."""

    def __init__(self):
        super().__init__()
        self.p = torch.nn.Parameter(torch.ones(1) * 3)

    def forward(self, x):
        return F.avg_pool2d(x.clamp(min=1e-6).pow(self.p), (x.size(-2), x.size(-1))).pow(1.0 / self.p)


class Variant(torch.nn.Module):
    """A torchvision ResNet with GeM pooling, a BN-neck or a last stage of stride 1; its names are the state's."""

    def __init__(self, arch: str, kind: str, gem: bool, neck: bool, last_stride: int):
        super().__init__()
        net = getattr(torchvision.models, arch)(weights=None)
        if last_stride == 1:
            block = net.layer4[0]
            (block.conv2 if arch == "resnet50" else block.conv1).stride = (1, 1)
            block.downsample[0].stride = (1, 1)
        features = net.fc.in_features
        for name in ("conv1", "bn1", "relu", "maxpool", "layer1", "layer2", "layer3", "layer4"):
            self.add_module(name, getattr(net, name))
        self.gem = GeM() if gem else None
        self.fc = head(kind, features)
        self.bn_neck = None
        if neck:
            self.bn_neck = torch.nn.BatchNorm1d(256 if kind == "contrastive" else 128)
            self.bn_neck.bias.requires_grad_(False)

    def forward(self, x):
        x = self.maxpool(self.relu(self.bn1(self.conv1(x))))
        x = self.layer4(self.layer3(self.layer2(self.layer1(x))))
        x = (self.gem(x) if self.gem else F.adaptive_avg_pool2d(x, 1)).flatten(1)
        x = self.fc(x)
        return self.bn_neck(x) if self.bn_neck else x


# Tag: architecture, head, GeM, BN-neck, stride of the last stage.
RESNETS = {
    "resnet18.linear": ("resnet18", "linear", False, False, 2),
    "resnet18.triplet": ("resnet18", "triplet", False, False, 2),
    "resnet18.contrastive": ("resnet18", "contrastive", False, False, 2),
    "resnet50.contrastive": ("resnet50", "contrastive", False, False, 2),
    "resnet34.linear": ("resnet34", "linear", False, False, 2),
    "resnet18.gem": ("resnet18", "linear", True, False, 2),
    "resnet18.neck": ("resnet18", "linear", False, True, 2),
    "resnet18.stride": ("resnet18", "linear", False, False, 1),
    "resnet50.all": ("resnet50", "contrastive", True, True, 1),
}


def resnets() -> dict[str, torch.Tensor]:
    """Computed in double precision, so that the tolerance is our error alone and not torch's own in fp32."""
    out = {}
    images = centred("images", 4, 3, 64, 64, scale=2.0).double()
    for tag, (arch, kind, gem, neck, last_stride) in RESNETS.items():
        net = Variant(arch, kind, gem, neck, last_stride)
        net.load_state_dict(fill_state(net.state_dict()))
        net.double()
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
        for name in stats + ["bn_neck"] * neck:
            for stat in ("running_mean", "running_var"):
                out[f"{tag}.stats.{name}.{stat}"] = state[f"{name}.{stat}"][:64].clone()
        grads = dict(net.named_parameters())
        names = ["conv1.weight", "bn1.bias", "layer2.0.conv2.weight", "layer4.1.bn2.weight"]
        for name in names + ["gem.p"] * gem + ["bn_neck.weight"] * neck:
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
        "nesterov": lambda p: torch.optim.SGD(p, lr=0.1, momentum=0.9, weight_decay=0.01, nesterov=True),
        "adam": lambda p: torch.optim.Adam(p, lr=0.01, weight_decay=0.01),
        "adamw": lambda p: torch.optim.AdamW(p, lr=0.01, weight_decay=0.01),
    }
    # No weight decay for the bias.
    kinds |= {f"{kind}_exempt": kinds[kind] for kind in ("sgd", "adam", "adamw")}
    for kind, make in kinds.items():
        weight = torch.nn.Parameter(centred("weight", 7, 5))
        bias = torch.nn.Parameter(centred("bias", 7))
        optimizer = make([{"params": [weight]}, {"params": [bias]}])
        optimizer.param_groups[1]["lr"] *= 0.25
        if kind.endswith("_exempt"):
            optimizer.param_groups[1]["weight_decay"] = 0.0
        for step in range(5):
            weight.grad = centred(f"grad.weight.{step}", 7, 5)
            # The bias is frozen in step 2: no gradient, no change.
            bias.grad = None if step == 2 else centred(f"grad.bias.{step}", 7)
            optimizer.step()
            out[f"{kind}.{step}.weight"] = weight.detach().clone()
            out[f"{kind}.{step}.bias"] = bias.detach().clone()
    # The gradients of step 0 have a norm of about 3.5: below the first limit, above the others.
    for limit in (10.0, 1.0, 0.01):
        weight, bias = torch.nn.Parameter(torch.zeros(7, 5)), torch.nn.Parameter(torch.zeros(7))
        weight.grad, bias.grad = centred("grad.weight.0", 7, 5), centred("grad.bias.0", 7)
        out[f"clip.{limit}.norm"] = torch.nn.utils.clip_grad_norm_([weight, bias], limit).reshape(())
        out[f"clip.{limit}.weight"], out[f"clip.{limit}.bias"] = weight.grad, bias.grad
    return out


def schedules() -> dict[str, torch.Tensor]:
    """Factors of 20 steps, 4 warm-up steps, 5 steps an epoch, rates × 0.2 from epoch 2 and × 0.5 from epoch 3."""
    parameter = torch.nn.Parameter(torch.zeros(1))
    lr_scheduler = torch.optim.lr_scheduler

    def factors(after):
        optimizer = torch.optim.SGD([parameter], lr=1.0)
        # 1/4 at step 0 and 1 at step 3: what LinearLR gives from a start of 1/4 over 3 of its steps.
        warmup = lr_scheduler.LinearLR(optimizer, start_factor=0.25, total_iters=3)
        # SequentialLR restarts the second scheduler at its own step 0.
        schedule = lr_scheduler.SequentialLR(optimizer, [warmup, after(optimizer)], milestones=[4])
        rates = []
        for step in range(20):
            unfrozen = (0.2 if step // 5 >= 2 else 1.0) * (0.5 if step // 5 >= 3 else 1.0)
            rates.append(optimizer.param_groups[0]["lr"] * unfrozen)
            optimizer.step()
            schedule.step()
        return torch.tensor(rates, dtype=torch.float64)

    def stepped():
        optimizer = torch.optim.SGD([parameter], lr=1.0)
        schedule = lr_scheduler.StepLR(optimizer, step_size=3, gamma=0.3)
        rates = []
        for _ in range(10):
            rates.append(optimizer.param_groups[0]["lr"])
            optimizer.step()
            schedule.step()
        return torch.tensor(rates, dtype=torch.float64)

    return {
        "constant": factors(lambda o: lr_scheduler.ConstantLR(o, factor=1.0, total_iters=0)),
        "cosine": factors(lambda o: lr_scheduler.CosineAnnealingLR(o, T_max=16)),
        "step": stepped(),  # by epoch
    }


def pth() -> None:
    """Files that torch.save writes. What is in them is in the Rust test."""
    numbers = torch.arange(12, dtype=torch.float32).reshape(3, 4)
    odd = {
        "whole": numbers,
        "transposed": numbers.t(),  # of the same storage
        "every_second": numbers[1:, ::2],  # of the same storage
        "parameter": torch.nn.Parameter(torch.tensor([1.5, -2.0])),
        "half": torch.tensor([0.5, 65504.0], dtype=torch.float16),
        "bfloat16": torch.tensor([1.0, -3.0e38], dtype=torch.bfloat16),
        "double": torch.tensor([1e-300], dtype=torch.float64),
        "count": torch.tensor(2**40),
        "empty": torch.zeros(0, 3),
        "flags": torch.tensor([True, False]),
    }
    torch.save(odd, HERE / "odd.pth")
    torch.save(odd, HERE / "legacy.pth", _use_new_zipfile_serialization=False)
    torch.save({"epoch": 3, "model": odd}, HERE / "checkpoint.pth")
    # A whole state dict in a few KB: each tensor is one number, the place of its name, seen at every index.
    state = torchvision.models.resnet18(weights=None).state_dict()
    floats, counts = torch.arange(len(state), dtype=torch.float32), torch.arange(len(state))
    for place, name in enumerate(sorted(state)):
        source = counts if name.endswith("num_batches_tracked") else floats
        state[name] = source[place].expand(state[name].shape)
    torch.save(state, HERE / "resnet18.pth")


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
    # At the size that networks are trained at, what differs most: all of it together.
    for height, width, names in ((48, 48, AUGMENTATIONS), (40, 56, AUGMENTATIONS), (224, 224, ["everything"])):
        for name in names:
            crop, corners, flip, degrees, gray, order, b, c, s, h = AUGMENTATIONS[name]
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
    for make in (resnets, losses, optimizers, schedules, augmentations, pth):
        if len(sys.argv) > 1 and make.__name__ not in sys.argv[1:]:
            continue
        made = make()
        if made is None:
            continue
        tensors = {name: tensor.contiguous() for name, tensor in made.items()}
        save_file(tensors, HERE / f"{make.__name__}.safetensors")
        (HERE / f"{make.__name__}.safetensors").chmod(0o644)
        print(make.__name__, len(tensors), "tensors")
