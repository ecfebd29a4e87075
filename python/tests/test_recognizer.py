"""The recogniser's answers are those of the program `logodex`."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import numpy as np
import pytest
from conftest import run

import logodex


@pytest.fixture(scope="module")
def pictures(work: Path) -> dict[str, list[Path]]:
    """Pictures by brand, of the raw tree."""
    folders = sorted(folder for folder in (work / "raw/LogoDet-3K").glob("*/*") if folder.is_dir())
    return {folder.name: sorted(folder.glob("*.jpg")) for folder in folders}


@pytest.fixture(scope="module")
def enrolled(work: Path, model: Path, pictures: dict[str, list[Path]]) -> logodex.Recognizer:
    recognizer = logodex.Recognizer(model, gallery=work / "gallery")
    for brand, paths in list(pictures.items())[:6]:
        enrolment = recognizer.enrol(brand, paths[:3], duplicates=True)
        assert (enrolment.added, enrolment.pictures, enrolment.duplicates) == (3, 3, [])
    return recognizer


def asked(pictures: dict[str, list[Path]]) -> list[Path]:
    return [path for paths in pictures.values() for path in paths[4:6]]


def test_identify_answers_as_the_program(work: Path, enrolled: logodex.Recognizer, pictures: dict[str, list[Path]]) -> None:
    paths = asked(pictures)
    for typed, given in [([], {}), (["--far", 0.1, "--top", 3], {"far": 0.1, "top": 3}), (["--threshold", 0.5], {"threshold": 0.5})]:
        lines = run("logodex", "identify", "--gallery", work / "gallery", "--json", *typed, *paths).splitlines()
        expected = [json.loads(line) for line in lines]
        with pytest.warns(UserWarning) if not given else _nothing():
            found = enrolled.identify(paths, **given)  # type: ignore[arg-type]
        assert len(found) == len(expected)
        for one, line in zip(found, expected):
            top = [{"brand": candidate.brand, "similarity": candidate.similarity} for candidate in one.top]
            assert {**vars(one), "top": top} == line
    assert {one.verdict for one in enrolled.identify(paths, threshold=0.9)} <= {"known", "unknown"}


class _nothing:
    def __enter__(self) -> None: ...
    def __exit__(self, *_: object) -> None: ...


def test_arrays_and_bytes_are_what_their_files_are(enrolled: logodex.Recognizer, pictures: dict[str, list[Path]]) -> None:
    image = pytest.importorskip("PIL.Image")
    path = asked(pictures)[0]
    of_file = enrolled.embed(path)
    assert of_file.shape == (enrolled.dim,) and of_file.dtype == np.float32
    assert np.linalg.norm(of_file) == pytest.approx(1, abs=1e-5)
    assert np.array_equal(enrolled.embed(path.read_bytes()), of_file)
    assert np.array_equal(enrolled.embed(str(path)), of_file)
    picture = image.open(path)
    box = (10, 20, 60, 90)
    boxed = enrolled.embed([path], boxes=[box])
    assert not np.allclose(boxed[0], of_file)
    # Of a box the file is decoded whole, and its pixels are Pillow's.
    assert np.array_equal(enrolled.embed([picture], boxes=[box]), boxed)
    assert np.array_equal(enrolled.embed([np.asarray(picture)], boxes=[box]), boxed)
    assert np.array_equal(enrolled.embed(np.asarray(picture), boxes=box), boxed[0])  # type: ignore[arg-type]
    grey = np.asarray(picture.convert("L"))
    assert np.array_equal(enrolled.embed(grey), enrolled.embed(np.stack([grey] * 3, axis=2)))
    assert enrolled.embed(picture.convert("P")).shape == (enrolled.dim,)
    assert enrolled.embed([]).shape == (0, enrolled.dim)


def test_embed_and_verify_answer_as_the_program(
    tmp_path: Path, model: Path, enrolled: logodex.Recognizer, pictures: dict[str, list[Path]]
) -> None:
    paths = asked(pictures)
    run("logodex", "embed", "--model", model, "--out", tmp_path / "embeddings.npy", *paths)
    assert np.array_equal(logodex.Recognizer(model).embed(paths), np.load(tmp_path / "embeddings.npy"))
    for a, b in [(paths[0], paths[1]), (paths[0], paths[5])]:
        line = json.loads(run("logodex", "verify", "--model", model, "--json", "--far", 0.2, a, b))
        found = enrolled.verify(a, b, far=0.2)
        assert (found.same, found.threshold, found.false_accept_rate) == (line["same"], line["threshold"], line["false_accept_rate"])
        assert found.similarity == pytest.approx(line["similarity"], abs=1e-6)


def test_enrolled_is_what_the_program_finds(work: Path, model: Path, pictures: dict[str, list[Path]]) -> None:
    image = pytest.importorskip("PIL.Image")
    gallery = work / "second"
    recognizer = logodex.Recognizer(model, gallery=gallery)
    assert recognizer.brands == {}
    (a, paths), (b, others) = list(pictures.items())[:2]
    recognizer.enrol(a, [paths[0], image.open(paths[1])])
    again = recognizer.enrol(a, paths[0])
    assert again.added == 0 and again.duplicates[0].same_file and again.duplicates[0].brand == a
    second = recognizer.enrol(b, others[:2], duplicates=True)
    assert second.nearest is not None and second.nearest.brand == a and second.margin is not None
    assert recognizer.brands == {a: 2, b: 2}
    listed = run("logodex", "list", "--gallery", gallery)
    assert a in listed and b in listed
    # Somebody else changes the gallery, and the next answer knows.
    run("logodex", "enrol", "--gallery", gallery, "--brand", "Third", "--duplicates", others[3])
    assert "Third" in recognizer.brands
    found = recognizer.identify(others[3], threshold=0.5)
    assert found.verdict == "known" and found.similarity == pytest.approx(1, abs=1e-5)
    # What was an array is kept, and can be embedded again.
    run("logodex", "reembed", "--gallery", gallery, "--model", model)
    # The gallery has its own model by now.
    assert logodex.Recognizer(gallery=gallery).brands == recognizer.brands


def test_what_cannot_be_used_is_told(
    tmp_path: Path, model: Path, enrolled: logodex.Recognizer, pictures: dict[str, list[Path]]
) -> None:
    paths = asked(pictures)
    torn = tmp_path / "torn.jpg"
    torn.write_bytes(paths[0].read_bytes()[:2000])
    before = enrolled.brands
    for ask in [
        lambda given: enrolled.identify(given),
        lambda given: enrolled.embed(given),
        lambda given: enrolled.enrol("New", given),
    ]:
        for wrong in [torn, tmp_path / "missing.jpg"]:
            with pytest.raises(logodex.PictureError, match=wrong.name) as raised:
                ask([paths[0], wrong])
            assert raised.value.path == wrong
        for wrong, said in [(np.zeros((4, 4, 7), np.uint8), "picture 1"), (np.zeros((4, 4, 3)), "float64"), (None, "picture 1")]:
            with pytest.raises(logodex.UsageError, match=said):
                ask([paths[0], wrong])
    assert enrolled.brands == before
    with pytest.raises(logodex.PictureError, match="does not lie in the picture"):
        enrolled.embed(paths[:1], boxes=[(0, 0, 9000, 9000)])
    for boxes, said in [([None], "1 boxes for 2 pictures"), ([None, (1, 2, 3)], "no box"), ([None, (-1, 0, 3, 3)], "no box")]:
        with pytest.raises(logodex.UsageError, match=said):
            enrolled.embed(paths[:2], boxes=boxes)
    with pytest.raises(logodex.UsageError, match="no gallery"):
        logodex.Recognizer(model).identify(paths)
    with pytest.raises(logodex.UsageError, match="needs a model, a gallery, or both"):
        logodex.Recognizer()
    with pytest.raises(logodex.UsageError, match="none.onnx"):
        logodex.Recognizer(tmp_path / "none.onnx")
    with pytest.raises(logodex.UsageError, match="false-accept|rate"):
        enrolled.identify(paths, far=2)
    with pytest.raises(logodex.UsageError, match="top"):
        enrolled.identify(paths, top=0)
    broken = tmp_path / "broken"
    shutil.copytree(Path(str(model)).parent / "gallery", broken)
    (broken / "gallery.json").write_text("{}")
    with pytest.raises(logodex.LogodexError, match="gallery.json"):
        logodex.Recognizer(gallery=broken)
