"""The peers of the dataset engine, for `make bench-data`: one process, told line by line by benches/data/ and benches/audit/ what to do.

Reads a JSON request per line and answers with one: {"cpu": s, "wall": s}, {"missing": why}, or a result of its own.
"""

import json
import os
import resource
import shutil
import subprocess
import sys
import time

# Before any library reads it: everything here runs on one thread.
for name in ("OMP_NUM_THREADS", "MKL_NUM_THREADS", "OPENBLAS_NUM_THREADS", "LANCE_CPU_THREADS", "LANCE_IO_THREADS"):
    os.environ[name] = "1"

import numpy as np

ROW = (224, 224, 3)
SCRATCH = sys.argv[1]


def pillow(paths):
    from PIL import Image

    def run(out):
        for path in paths:
            image = Image.open(path).convert("RGB").resize((224, 224), Image.BILINEAR)
            out.write(image.tobytes())

    return run


def opencv(paths, filter):
    import cv2

    cv2.setNumThreads(1)
    flag = getattr(cv2, filter)

    def run(out):
        for path in paths:
            image = cv2.cvtColor(cv2.imread(path, cv2.IMREAD_COLOR), cv2.COLOR_BGR2RGB)
            out.write(cv2.resize(image, (224, 224), interpolation=flag))

    return run


def torchvision(paths):
    import torch
    from torchvision.io import ImageReadMode, decode_jpeg, read_file
    from torchvision.transforms.v2 import InterpolationMode
    from torchvision.transforms.v2.functional import resize

    torch.set_num_threads(1)

    def run(out):
        with torch.inference_mode():
            for path in paths:
                image = decode_jpeg(read_file(path), mode=ImageReadMode.RGB)
                image = resize(image, [224, 224], InterpolationMode.BILINEAR, antialias=True)
                out.write(image.permute(1, 2, 0).contiguous().numpy())

    return run


def decode_alone(paths, name):
    def pillow():
        from PIL import Image

        return lambda path: Image.open(path).convert("RGB")

    def opencv():
        import cv2

        cv2.setNumThreads(1)
        return lambda path: cv2.imread(path, cv2.IMREAD_COLOR)

    def torchvision():
        import torch
        from torchvision.io import ImageReadMode, decode_jpeg, read_file

        torch.set_num_threads(1)
        return lambda path: decode_jpeg(read_file(path), mode=ImageReadMode.RGB)

    one = {"pillow": pillow, "opencv": opencv, "torchvision": torchvision}[name]()

    def run():
        for path in paths:
            one(path)

    return run


def memmap_rows():
    return np.memmap(os.path.join(SCRATCH, "rows.u8"), np.uint8, "r").reshape(-1, *ROW)


def fancy_index():
    rows = memmap_rows()
    return lambda indices, batch: rows[indices]


def take_into():
    rows = memmap_rows()
    return lambda indices, batch: np.take(rows, indices, axis=0, out=batch, mode="clip")


def streaming():
    from streaming import MDSWriter, StreamingDataset

    local = os.path.join(SCRATCH, "mds")
    shutil.rmtree(local, ignore_errors=True)
    with MDSWriter(out=local, columns={"x": "ndarray:uint8:224,224,3"}, size_limit=64 << 20) as writer:
        for row in memmap_rows():
            writer.write({"x": np.array(row)})
    dataset = StreamingDataset(local=local, batch_size=64, shuffle=False)
    return lambda indices, batch: np.stack([dataset[int(i)]["x"] for i in indices], out=batch)


def lance():
    import lance
    import pyarrow as pa

    uri = os.path.join(SCRATCH, "rows.lance")
    shutil.rmtree(uri, ignore_errors=True)
    rows = memmap_rows()
    type = pa.binary(int(np.prod(ROW)))

    def batches():
        for at in range(0, len(rows), 256):
            part = np.ascontiguousarray(rows[at : at + 256])
            array = pa.FixedSizeBinaryArray.from_buffers(type, len(part), [None, pa.py_buffer(part)])
            yield pa.record_batch([array], ["x"])

    schema = pa.schema([("x", type)])
    lance.write_dataset(pa.RecordBatchReader.from_batches(schema, batches()), uri)
    dataset = lance.dataset(uri)

    def read(indices, batch):
        # A table may come in chunks, each with an offset of its own.
        at = 0
        for chunk in dataset.take(indices, columns=["x"]).column("x").chunks:
            flat = np.frombuffer(chunk.buffers()[1], np.uint8).reshape(-1, *ROW)
            batch[at : at + len(chunk)] = flat[chunk.offset : chunk.offset + len(chunk)]
            at += len(chunk)
        return batch

    return read


RENDER = {
    "pillow": pillow,
    "opencv_area": lambda paths: opencv(paths, "INTER_AREA"),
    "opencv_linear": lambda paths: opencv(paths, "INTER_LINEAR"),
    "torchvision": torchvision,
}
READ = {"memmap": fancy_index, "memmap_take": take_into, "streaming": streaming, "lance": lance}
ready = {}


def prepared(name, make):
    if name not in ready:
        ready[name] = make()
    return ready[name]


def timed(work):
    wall, cpu = time.perf_counter(), time.process_time()
    work()
    return {"cpu": time.process_time() - cpu, "wall": time.perf_counter() - wall}


def render(name, paths):
    run = prepared((name, *paths), lambda: RENDER[name](paths))

    def work():
        with open(os.path.join(SCRATCH, "peer.u8"), "wb") as out:
            run(out)

    answer = timed(work)
    expected = len(paths) * int(np.prod(ROW))
    assert os.path.getsize(os.path.join(SCRATCH, "peer.u8")) == expected, f"{name} wrote another number of bytes"
    return answer


def layouts(paths):
    """The tree's pictures as cjpeg writes them in real layouts, in files."""
    import io

    from PIL import Image

    if not shutil.which("cjpeg"):
        return {"missing": "cjpeg is not installed (Debian: libjpeg-turbo-progs)"}
    pictures = [Image.open(path).convert("RGB") for path in paths[:64]]
    mosaics = []
    for first in range(3):
        mosaic = Image.new("RGB", (4000, 3000))
        for i in range(64):
            picture = pictures[(first + (2 * first + 1) * i) % len(pictures)].resize((500, 375))
            mosaic.paste(picture, (i % 8 * 500, i // 8 * 375))
        mosaics.append(mosaic)

    def written(name, images, *options):
        folder = os.path.join(SCRATCH, "layouts", name.replace(" ", "_").replace(":", ""))
        os.makedirs(folder, exist_ok=True)
        files = []
        for i, image in enumerate(images):
            ppm = io.BytesIO()
            image.save(ppm, "PPM")
            files.append(os.path.join(folder, f"{i}.jpg"))
            jpeg = subprocess.run(["cjpeg", *options], input=ppm.getvalue(), stdout=subprocess.PIPE, check=True).stdout
            with open(files[-1], "wb") as file:
                file.write(jpeg)
        return {"name": name, "paths": files}

    half, progressive = ("-sample", "2x2"), "-progressive"
    return {
        "layouts": [
            written("4:4:4", pictures, "-sample", "1x1"),
            written("4:2:0", pictures, *half),
            written("4:2:2", pictures, "-sample", "2x1"),
            written("4:2:2 at quality 95", pictures, "-sample", "2x1", "-quality", "95"),
            written("4:4:0", pictures, "-sample", "1x2"),
            written("progressive 4:2:0", pictures, *half, progressive),
            written("progressive 4:4:4", pictures, "-sample", "1x1", progressive),
            written("4:2:0 of 4000 × 3000", mosaics, *half),
            written("progressive 4:2:0 of 4000 × 3000", mosaics, *half, progressive),
        ]
    }


def decode(name, paths):
    return timed(prepared(f"decode {name}", lambda: decode_alone(paths, name)))


def read(name, batches):
    def make():
        size = 64 * int(np.prod(ROW))
        space = np.empty(size + 64, np.uint8)
        aligned = -space.ctypes.data % 64  # as ours
        run, batch = READ[name](), space[aligned : aligned + size].reshape(64, *ROW)
        got = run(np.array(batches[0]), batch)
        assert (got == memmap_rows()[batches[0]]).all(), f"{name} reads other bytes"
        return run, batch, [np.array(indices) for indices in batches]

    run, batch, indices = prepared(name, make)
    return timed(lambda: [run(some, batch) for some in indices])


def pixels(images):
    """Ours (decoded and resized, in files) against Pillow's: of the same pixels, and from the file on."""
    from PIL import Image

    def compare(pairs):
        psnr, medians, counts = [], [], np.zeros(256, np.int64)
        for ours, theirs in pairs:
            difference = np.abs(ours.astype(np.int16) - np.asarray(theirs, np.int16))
            error = np.mean(difference.astype(np.float64) ** 2)
            psnr.append(10 * np.log10(255**2 / error) if error else 99.0)
            counts += np.bincount(difference.ravel(), minlength=256)
        median = int(np.searchsorted(np.cumsum(counts), counts.sum() / 2))
        return {
            "psnr_median": float(np.median(psnr)),
            "psnr_min": float(np.min(psnr)),
            "median_difference": median,
            "max_difference": int(np.max(np.nonzero(counts))),
            "equal_percent": float(100 * counts[0] / counts.sum()),
        }

    ours = np.fromfile(os.path.join(SCRATCH, "ours.u8"), np.uint8).reshape(-1, *ROW)
    decoded = np.memmap(os.path.join(SCRATCH, "decoded.u8"), np.uint8, "r")
    same, whole, decoding, at = [], [], [], 0
    for row, (path, width, height) in zip(ours, images):
        pixels = np.array(decoded[at : at + width * height * 3]).reshape(height, width, 3)
        at += pixels.size
        theirs = Image.open(path).convert("RGB")
        same.append((row, Image.fromarray(pixels).resize((224, 224), Image.BILINEAR)))
        whole.append((row, theirs.resize((224, 224), Image.BILINEAR)))
        decoding.append((pixels, theirs))
    return {"resize": compare(same), "decode": compare(decoding), "decode_resize": compare(whole)}


def cleanvision(paths):
    """CleanVision's default checks: quality, copies and near copies."""
    import contextlib
    import io
    import warnings

    from cleanvision import Imagelab

    warnings.filterwarnings("ignore")

    def work():
        with contextlib.redirect_stdout(io.StringIO()), contextlib.redirect_stderr(io.StringIO()):
            Imagelab(filepaths=paths).find_issues(n_jobs=1, verbose=False)

    return timed(work)


def idle():
    """Seconds that the machine's cores had nothing to do, since it started."""
    with open("/proc/stat") as stat:
        fields = stat.readline().split()
    return (int(fields[4]) + int(fields[5])) / os.sysconf("SC_CLK_TCK")


def build(command, out):
    """Runs a build of a dataset that is not there, and says what it cost and what of the machine was left unused."""
    shutil.rmtree(out, ignore_errors=True)
    before, unused, began = resource.getrusage(resource.RUSAGE_CHILDREN), idle(), time.perf_counter()
    subprocess.run(command, check=True, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    wall, after = time.perf_counter() - began, resource.getrusage(resource.RUSAGE_CHILDREN)
    unused = idle() - unused
    return {"wall": wall, "idle": unused, "cpu": after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime}


def main():
    tasks = {
        "render": render,
        "layouts": layouts,
        "decode": decode,
        "read": read,
        "pixels": pixels,
        "build": build,
        "cleanvision": cleanvision,
    }
    for line in sys.stdin:
        request = json.loads(line)
        try:
            answer = tasks[request.pop("task")](**request)
        except ImportError as error:
            answer = {"missing": str(error)}
        answers.write(json.dumps(answer) + "\n")
        answers.flush()


# Libraries that chat on stdout must not talk into the answers.
answers = os.fdopen(os.dup(1), "w")
os.dup2(2, 1)
main()
