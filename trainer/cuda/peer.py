"""The training step of `logodex-train bench` in plain PyTorch 2.11.0: ResNet, contrastive head and loss, fused SGD.

Started by `logodex-train bench --python PYTHON`; needs torch alone. Takes its options as one JSON argument, then
answers each JSON line on standard input with one on standard output:

    {"do": "losses", "file": F, "steps": N}   weights, pictures and targets from a safetensors file → {"losses": [..]}
    {"do": "window", "precision": "bf16", "channels_last": true, "freeze": 0, "compiled": false, "seconds": 2.5,
     "warm_up": 6}                            one timed window → {"images_per_sec": .., "peak_memory_bytes": ..}
"""

import contextlib
import json
import struct
import sys
import time

import torch
from torch import nn
from torch.nn import functional as F

DEPTHS = {"resnet18": (2, 2, 2, 2), "resnet34": (3, 4, 6, 3), "resnet50": (3, 4, 6, 3)}
KINDS = {"F32": torch.float32, "I64": torch.int64}
MARGIN, LR, MOMENTUM = 0.2, 1e-2, 0.9


class Block(nn.Module):
    """BasicBlock (expansion 1) or Bottleneck (4), named as torchvision names them; strides in the 3x3 convolution."""

    def __init__(self, channels, width, expansion, stride):
        super().__init__()
        out = width * expansion
        self.bottleneck = expansion == 4
        if self.bottleneck:
            self.conv1 = nn.Conv2d(channels, width, 1, bias=False)
            self.conv2 = nn.Conv2d(width, width, 3, stride, 1, bias=False)
            self.conv3 = nn.Conv2d(width, out, 1, bias=False)
            self.bn3 = nn.BatchNorm2d(out)
        else:
            self.conv1 = nn.Conv2d(channels, width, 3, stride, 1, bias=False)
            self.conv2 = nn.Conv2d(width, width, 3, 1, 1, bias=False)
        self.bn1, self.bn2 = nn.BatchNorm2d(width), nn.BatchNorm2d(width)
        self.relu = nn.ReLU(inplace=True)
        self.downsample = None
        if stride != 1 or channels != out:
            self.downsample = nn.Sequential(nn.Conv2d(channels, out, 1, stride, bias=False), nn.BatchNorm2d(out))

    def forward(self, x):
        around = x if self.downsample is None else self.downsample(x)
        x = self.relu(self.bn1(self.conv1(x)))
        x = self.bn2(self.conv2(x))
        if self.bottleneck:
            x = self.bn3(self.conv3(self.relu(x)))
        x += around
        return self.relu(x)


class Net(nn.Module):
    """ResNet with the contrastive head F -> 1024 -> ReLU -> 256, L2-normalised; the first `frozen` stages stand still."""

    def __init__(self, arch, frozen=0):
        super().__init__()
        expansion = 4 if arch == "resnet50" else 1
        self.conv1, self.bn1 = nn.Conv2d(3, 64, 7, 2, 3, bias=False), nn.BatchNorm2d(64)
        self.relu, self.maxpool = nn.ReLU(inplace=True), nn.MaxPool2d(3, 2, 1)
        channels = 64
        for stage, depth in enumerate(DEPTHS[arch], start=1):
            width, blocks = 64 << (stage - 1), []
            for index in range(depth):
                blocks.append(Block(channels, width, expansion, 2 if stage > 1 and index == 0 else 1))
                channels = width * expansion
            setattr(self, f"layer{stage}", nn.Sequential(*blocks))
        self.fc = nn.Sequential(nn.Linear(channels, 1024), nn.ReLU(inplace=True), nn.Linear(1024, 256))
        self.frozen = frozen
        for module in self.modules():
            if isinstance(module, nn.Conv2d):
                nn.init.kaiming_normal_(module.weight, mode="fan_out", nonlinearity="relu")
        self.train()
        for stage in range(frozen):
            for module in (self.conv1, self.bn1) if stage == 0 else (getattr(self, f"layer{stage}"),):
                module.eval().requires_grad_(False)

    def stem(self, x):
        return self.maxpool(self.relu(self.bn1(self.conv1(x))))

    def forward(self, x):
        for stage in range(5):
            with torch.no_grad() if stage < self.frozen else contextlib.nullcontext():
                x = self.stem(x) if stage == 0 else getattr(self, f"layer{stage}")(x)
        with torch.autocast(x.device.type, enabled=False):
            return F.normalize(self.fc(x.float().mean((2, 3))))


def contrastive(embeddings, same):
    first, second = embeddings.chunk(2)
    cosine = F.cosine_similarity(first, second)
    return (same * (1 - cosine) + (1 - same) * (cosine - MARGIN).clamp_min(0)).mean()


class Step:
    def __init__(self, options, precision, channels_last, frozen, compiled, state=None):
        self.device = torch.device(options["device"])
        self.bf16 = precision == "bf16"
        self.layout = torch.channels_last if channels_last else torch.contiguous_format
        self.net = Net(options["arch"], frozen)
        if state is not None:
            self.net.load_state_dict(state, strict=True)
        self.net.to(self.device, memory_format=self.layout)
        trained = [p for p in self.net.parameters() if p.requires_grad]
        self.optimizer = torch.optim.SGD(trained, lr=LR, momentum=MOMENTUM, fused=True)
        self.forward = torch.compile(self.net) if compiled else self.net

    def __call__(self, images, same):
        with torch.autocast(self.device.type, torch.bfloat16, enabled=self.bf16):
            embeddings = self.forward(images.to(memory_format=self.layout))
        loss = contrastive(embeddings, same)
        self.optimizer.zero_grad(set_to_none=True)
        loss.backward()
        self.optimizer.step()
        return loss


def set_arithmetic(precision):
    # As ours: TensorFloat-32 in the convolutions.
    torch.backends.cudnn.allow_tf32 = precision == "tf32"
    torch.backends.cudnn.benchmark = True


def synchronize(device):
    if device == "cuda":
        torch.cuda.synchronize()


def read_safetensors(path):
    with open(path, "rb") as file:
        (length,) = struct.unpack("<Q", file.read(8))
        header, data = json.loads(file.read(length)), bytearray(file.read())
    tensors = {}
    for name, entry in header.items():
        if name != "__metadata__":
            (begin, end), kind = entry["data_offsets"], KINDS[entry["dtype"]]
            tensors[name] = torch.frombuffer(data[begin:end], dtype=kind).reshape(entry["shape"])
    return tensors


def losses(options, request):
    state = read_safetensors(request["file"])
    images, same = state.pop("images").to(options["device"]), state.pop("targets").float().to(options["device"])
    set_arithmetic("fp32")
    step = Step(options, "fp32", False, 0, False, state)
    return {"losses": [step(images, same).item() for _ in range(request["steps"])]}


def window(options, request):
    device, batch, side = options["device"], options["batch"], options["side"]
    set_arithmetic(request["precision"])
    if device == "cuda":
        torch.cuda.empty_cache()
        torch.cuda.reset_peak_memory_stats()
    torch.manual_seed(1)
    images = torch.randn(batch, 3, side, side).to(device)
    same = (torch.arange(batch // 2) % 2).float().to(device)
    step = Step(options, request["precision"], request["channels_last"], request["freeze"], request["compiled"])
    before = None
    for _ in range(request["warm_up"]):
        before = step(images, same)
    synchronize(device)
    began, steps = time.perf_counter(), 0
    while steps == 0 or time.perf_counter() - began < request["seconds"]:
        # As ours, which reads each step's loss one step later.
        loss = step(images, same)
        before.item()
        before = loss
        steps += 1
    synchronize(device)
    rate = steps * batch / (time.perf_counter() - began)
    peak = torch.cuda.max_memory_allocated() if device == "cuda" else None
    return {"images_per_sec": rate, "peak_memory_bytes": peak}


def main():
    options = json.loads(sys.argv[1])
    if options["threads"]:
        torch.set_num_threads(options["threads"])
    for line in sys.stdin:
        request = json.loads(line)
        try:
            answer = {"losses": losses, "window": window}[request["do"]](options, request)
        except Exception as error:  # told to the other side, which goes on without this row
            answer = {"error": f"{type(error).__name__}: {error}".splitlines()[0][:300]}
        print(json.dumps(answer), flush=True)


if __name__ == "__main__":
    main()
