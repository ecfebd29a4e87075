"""Makes lites.safetensors: EfficientNet-Lite as its published package computes it.

    python3.10 -m pip install torch==1.12.1 efficientnet-lite-pytorch==0.1.0 safetensors==0.4.5 numpy==1.26.4
    python3.10 trainer/tests/golden/make_golden_lites.py [weights/efficientnet_lite0.pth]

The package is of 2020 and pads for the side that a network is made for, so each side has a network of its own. Without the
file, which scripts/fetch_weights.sh fetches, the numbers of the real weights are left as they are.
"""

import sys

import torch
import torch.nn.functional as F
from efficientnet_lite_pytorch import EfficientNet
from fill import HERE, centred, fill_state
from safetensors.torch import load_file, save_file

torch.set_num_threads(1)
FILE = HERE / "lites.safetensors"
# Tag: network, side. 75 is odd at every halving but one, where the padding is another.
LITES = {
    "lite0.64": ("efficientnet-lite0", 64),
    "lite0.75": ("efficientnet-lite0", 75),
    "lite1.64": ("efficientnet-lite1", 64),
    "lite2.64": ("efficientnet-lite2", 64),
}


def network(name: str, side: int) -> EfficientNet:
    # Drop connect is drawn anew at every pass, and not in ours.
    return EfficientNet.from_name(name, image_size=side, drop_connect_rate=0)


def pooled(net: EfficientNet, images: torch.Tensor) -> torch.Tensor:
    return net.extract_features(images).mean((2, 3))


def average_max(net: EfficientNet, images: torch.Tensor) -> torch.Tensor:
    maps = net.extract_features(images)
    return (F.adaptive_avg_pool2d(maps, 1) + F.adaptive_max_pool2d(maps, 1)).flatten(1)


def lites() -> dict[str, torch.Tensor]:
    """Computed in double precision, so that the tolerance is our error alone and not torch's own in fp32."""
    out = {}
    for tag, (name, side) in LITES.items():
        images = centred("images", 4, 3, side, side, scale=2.0).double()
        net = network(name, side)
        net.load_state_dict(fill_state(net.state_dict()))
        net.double().eval()
        with torch.no_grad():
            out[f"{tag}.eval"] = pooled(net, images)
        if tag != "lite0.64":
            continue
        # BatchNorm stands still while the rest trains; and the other pooling.
        still = average_max(net, images)
        out["lite0.still.eval"] = still.detach()
        (still * centred("cotangent", *still.shape).double()).sum().backward()
        grads = dict(net.named_parameters())
        for name in ("_conv_stem.weight", "_bn0.weight", "_blocks.9._bn1.bias", "_conv_head.weight"):
            out[f"lite0.still.grad.{name}"] = grads[name].grad.flatten()[:64].clone()
        net.zero_grad()
        net.train()
        train = pooled(net, images)
        out[f"{tag}.train"] = train.detach()
        (train * centred("cotangent", *train.shape).double()).sum().backward()
        state = net.state_dict()
        for norm in ("_bn0", "_blocks.0._bn1", "_blocks.5._bn0", "_blocks.14._bn2", "_bn1"):
            for stat in ("running_mean", "running_var"):
                out[f"{tag}.stats.{norm}.{stat}"] = state[f"{norm}.{stat}"][:64].clone()
        grads = dict(net.named_parameters())
        for name in ("_conv_stem.weight", "_blocks.3._depthwise_conv.weight", "_blocks.15._bn1.bias", "_bn1.weight"):
            out[f"{tag}.grad.{name}"] = grads[name].grad.flatten()[:64].clone()
    return out


def real(path: str) -> dict[str, torch.Tensor]:
    net = network("efficientnet-lite0", 224)
    net.load_state_dict(torch.load(path, map_location="cpu"))
    net.double().eval()
    with torch.no_grad():
        return {"real.lite0": pooled(net, centred("real", 2, 3, 224, 224, scale=2.0).double())}


if __name__ == "__main__":
    made = lites()
    if len(sys.argv) > 1:
        made |= real(sys.argv[1])
    else:
        made["real.lite0"] = load_file(FILE)["real.lite0"]
    save_file({name: tensor.float().contiguous() for name, tensor in made.items()}, FILE)
    FILE.chmod(0o644)
    print(len(made), "tensors")
