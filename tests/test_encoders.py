"""The encoders of the package: the contract, and what each promises of its own."""

from __future__ import annotations

import csv
import io
import json
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import onnxruntime
import pytest
from PIL import Image

pytest.register_assert_rewrite("tests.encoder_contract")

from tests.encoder_contract import EncoderContract  # noqa: E402

from pixseek.encoders import (  # noqa: E402  # after the line above
    DEFAULT_MODEL,
    RUNTIMES,
    Encoder,
    Runtime,
    load_encoder,
    resolve,
)
from pixseek.encoders.catalog import MODELS, Model  # noqa: E402
from pixseek.encoders.palette import COLOURS, PaletteEncoder  # noqa: E402
from pixseek.encoders.pocket import FOLDER, PocketEncoder  # noqa: E402
from pixseek.errors import MissingExtra, ModelUnavailable, UnknownModel  # noqa: E402
from pixseek.records import Vectors  # noqa: E402

SAMPLES = Path(__file__).parent.parent / "samples"


def stripes(*colours: str | tuple[int, int, int], size: tuple[int, int] = (64, 64)) -> Image.Image:
    image = Image.new("RGB", size)
    for i, colour in enumerate(colours):
        edges = [j * size[0] // len(colours) for j in (i, i + 1)]
        image.paste(colour, (edges[0], 0, edges[1], size[1]))
    return image


class TestPalette(EncoderContract):
    @staticmethod
    def make() -> PaletteEncoder:
        return PaletteEncoder()

    def test_blue_and_white_flag_finds_the_half_blue_half_white_picture(self) -> None:
        encoder = PaletteEncoder()
        blue, white, red = (30, 80, 200), (255, 255, 255), (210, 20, 30)
        flags = [
            stripes(blue),
            stripes(blue, red),
            stripes(blue, white),
            stripes(blue, white, red),
            stripes(white),
            stripes(red),
        ]
        (query,) = encoder.encode_texts(["blue and white flag"])
        scores = encoder.encode_images(flags) @ query
        assert scores.argmax() == 2
        assert scores[2] == pytest.approx(1, abs=1e-5)
        assert scores[5] == pytest.approx(0, abs=1e-5)

    def test_pictures_are_ranked_by_their_share_of_the_colour(self) -> None:
        encoder = PaletteEncoder()
        green, grey = (40, 150, 50), (128, 128, 128)
        shares = [stripes(*[green] * n, *[grey] * (8 - n)) for n in range(9)]
        (query,) = encoder.encode_texts(["green"])
        scores = encoder.encode_images(shares) @ query
        assert (np.diff(scores) > 0).all()
        assert (scores[0], scores[8]) == (pytest.approx(0), pytest.approx(1))

    def test_every_colour_is_nearest_to_its_own_word(self) -> None:
        encoder = PaletteEncoder()
        images = encoder.encode_images([stripes(colour) for colour in COLOURS.values()])
        texts = encoder.encode_texts([f"something {word}" for word in COLOURS])
        np.testing.assert_allclose(texts @ images.T, np.eye(len(COLOURS)), atol=1e-6)

    @pytest.mark.parametrize(
        ("text", "same"),
        [
            ("RED", "red"),
            ("a gray cat", "grey"),
            ("violet", "purple"),
            ("white and blue", "blue, white"),
            ("blue-white", "blue and white"),
        ],
    )
    def test_words_of_one_meaning_have_one_vector(self, text: str, same: str) -> None:
        one, other = PaletteEncoder().encode_texts([text, same])
        np.testing.assert_array_equal(one, other)

    def test_a_colour_named_twice_weighs_twice(self) -> None:
        (row,) = PaletteEncoder().encode_texts(["red red blue"])
        names = list(COLOURS)
        assert row[names.index("red")] == pytest.approx(2 * row[names.index("blue")])
        assert np.count_nonzero(row) == 2

    @pytest.mark.parametrize("text", ["", "a dog", "رمادي", "a hundred sheep", "boredom"])
    def test_a_text_without_colour_words_is_all_colours_alike(self, text: str) -> None:
        (row,) = PaletteEncoder().encode_texts([text])
        np.testing.assert_allclose(row, np.full(11, 11**-0.5), atol=1e-6)

    def test_colours_are_told_apart_as_people_see_them(self) -> None:
        encoder = PaletteEncoder()
        named = {
            "navy": "blue", "gold": "yellow", "maroon": "brown", "orchid": "pink",
            "snow": "white", "lime": "green", "crimson": "red", "dimgray": "grey",
        }  # fmt: skip
        rows = encoder.encode_images([stripes(shade) for shade in named])
        texts = encoder.encode_texts(list(COLOURS))
        found = [list(COLOURS)[i] for i in (rows @ texts.T).argmax(axis=1)]
        expected = list(named.values())
        agreeing = sum(a == b for a, b in zip(found, expected, strict=True))
        assert agreeing >= 6, dict(zip(named, found, strict=True))


@dataclass(frozen=True)
class Samples:
    """The sample photos, encoded once, and the queries that go with them."""

    names: list[str]
    images: list[Image.Image]
    vectors: Vectors
    queries: list[tuple[str, str]]


def _encoded(encoder: Encoder, images: list[Image.Image]) -> Vectors:
    with ThreadPoolExecutor(2) as pool:
        halves = pool.map(encoder.encode_images, (images[::2], images[1::2]))
        rows = np.empty((len(images), encoder.space.dimensions), np.float32)
        rows[::2], rows[1::2] = halves
    return rows


def _jpeg(image: Image.Image) -> Image.Image:
    buffer = io.BytesIO()
    image.save(buffer, "JPEG", quality=70)
    return Image.open(buffer).convert("RGB")


def _half(image: Image.Image) -> Image.Image:
    return image.resize((image.width // 2, image.height // 2), Image.Resampling.LANCZOS)


PLAIN_QUERIES = {
    *("a cup of coffee", "a cat", "a bird on a branch", "a red flower", "an otter"),
    *("a tiger in the snow", "mountains with snow", "a bridge at night", "northern lights"),
    *("a storm over the sea", "sunset over a city", "a stream in the forest"),
}
"""Whose picture must come first among the samples."""


class TestPocket(EncoderContract):
    @staticmethod
    def make() -> PocketEncoder:
        return PocketEncoder()

    @pytest.fixture(scope="class")
    @classmethod
    def samples(cls, encoder: Encoder) -> Samples:
        files = sorted(SAMPLES.glob("*.jpg"))
        images = [Image.open(file).convert("RGB") for file in files]
        with (SAMPLES / "queries.tsv").open(encoding="utf-8", newline="") as lines:
            queries = [(row["query"], row["file"]) for row in csv.DictReader(lines, delimiter="\t")]
        names = [file.name for file in files]
        return Samples(names, images, _encoded(encoder, images), queries)

    def test_every_sample_query_names_a_sample_photo(self, samples: Samples) -> None:
        assert len(samples.queries) >= 30
        assert {file for _, file in samples.queries} <= set(samples.names)

    def test_sample_queries_have_the_right_photo_first(
        self, encoder: Encoder, samples: Samples
    ) -> None:
        rows = encoder.encode_texts([query for query, _ in samples.queries])
        first = [samples.names[i] for i in (rows @ samples.vectors.T).argmax(axis=1)]
        right = {
            query
            for (query, file), found in zip(samples.queries, first, strict=True)
            if found == file
        }
        assert right >= PLAIN_QUERIES
        assert len(right) >= 22, sorted({query for query, _ in samples.queries} - right)

    @pytest.mark.parametrize("copy", [_half, _jpeg], ids=["half the size", "JPEG quality 70"])
    def test_a_near_copy_is_nearest_to_its_original(
        self, encoder: Encoder, samples: Samples, copy: Callable[[Image.Image], Image.Image]
    ) -> None:
        copies = _encoded(encoder, [copy(image) for image in samples.images])
        scores = copies @ samples.vectors.T
        own = np.diag(scores)
        others = np.where(np.eye(len(own), dtype=bool), -1, scores)
        assert own.min() > 0.9, samples.names[int(own.argmin())]
        assert (own > others.max(axis=1)).all()
        assert (own > others.max(axis=0)).all()

    def test_photos_of_different_things_are_apart(self, samples: Samples) -> None:
        scores = samples.vectors @ samples.vectors.T
        assert scores[~np.eye(len(scores), dtype=bool)].max() < 0.95

    def test_the_model_sees_the_whole_upright_picture_in_rgb(
        self, encoder: Encoder, samples: Samples
    ) -> None:
        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads = 1
        session = onnxruntime.InferenceSession(
            str(FOLDER / "image.onnx"), options, providers=["CPUExecutionProvider"]
        )
        side = (encoder.input_size, encoder.input_size)
        pixels = np.array(samples.images[0].resize(side, Image.Resampling.BICUBIC))
        (expected,) = session.run(["embedding"], {"pixels": pixels[np.newaxis]})[0]
        np.testing.assert_allclose(samples.vectors[0], expected, atol=1e-5)
        (turned,) = session.run(["embedding"], {"pixels": pixels[np.newaxis, :, ::-1, ::-1]})[0]
        assert np.abs(samples.vectors[0] - turned).max() > 1e-3

    def test_what_is_past_the_limit_of_a_text_is_cut_off(self, encoder: Encoder) -> None:
        limit = int(json.loads((FOLDER / "config.json").read_text())["max_tokens"])
        start = "dog " * limit
        long, longer, other = encoder.encode_texts([start, start + "red flower", "red flower"])
        np.testing.assert_allclose(long, longer, atol=self.tolerance)
        assert float(long @ other) < 0.99

    @pytest.mark.parametrize("damage", ["missing", "damaged"])
    @pytest.mark.parametrize(
        "name", ["config.json", "SHA256SUMS", "image.onnx", "text.onnx", "tokenizer.json"]
    )
    def test_a_file_that_is_missing_or_damaged_is_a_model_unavailable(
        self, tmp_path: Path, name: str, damage: str
    ) -> None:
        for file in FOLDER.iterdir():
            if file.name != name:
                (tmp_path / file.name).symlink_to(file)
        if damage == "damaged":
            (tmp_path / name).write_bytes(b"\xff not what was published")
        with pytest.raises(ModelUnavailable, match="model 'pocket' cannot be loaded: ") as caught:
            _use(tmp_path, images=name == "image.onnx")
        assert caught.value.name == "pocket"
        assert caught.value.reason

    def test_a_folder_that_is_not_there_is_a_model_unavailable(self, tmp_path: Path) -> None:
        with pytest.raises(ModelUnavailable, match="its files are not all there"):
            PocketEncoder(tmp_path / "absent")

    def test_the_fingerprint_is_of_all_files_but_the_card(self, tmp_path: Path) -> None:
        sums = (FOLDER / "SHA256SUMS").read_text().splitlines()
        published = PocketEncoder().space.fingerprint

        def fingerprint(lines: list[str]) -> str:
            (tmp_path / "config.json").write_bytes((FOLDER / "config.json").read_bytes())
            (tmp_path / "SHA256SUMS").write_text("\n".join(lines) + "\n")
            return PocketEncoder(tmp_path).space.fingerprint

        assert fingerprint(sums) == published
        assert fingerprint(sums[::-1]) == published
        assert fingerprint([*sums, "0" * 64 + "  MODEL_CARD.md"]) == published
        for i, line in enumerate(sums):
            other = ("1" if line[0] == "0" else "0") + line[1:]
            same = line.endswith(".md")
            assert (fingerprint([*sums[:i], other, *sums[i + 1 :]]) == published) is same

    def test_the_published_files_are_those_of_the_checksums(self) -> None:
        from hashlib import sha256

        for line in (FOLDER / "SHA256SUMS").read_text().splitlines():
            digest, name = line.split()
            assert sha256((FOLDER / name).read_bytes()).hexdigest() == digest, name


def _use(folder: Path, *, images: bool) -> None:
    encoder = PocketEncoder(folder)
    if images:
        encoder.encode_images([Image.new("RGB", (8, 8))])
    else:
        encoder.encode_texts(["a"])


# The table of encoders


@pytest.mark.parametrize("name", ["pocket", "palette"])
def test_a_built_in_model_has_its_name_and_says_what_runs_it(name: str) -> None:
    encoder = load_encoder(name)
    assert encoder.space.model == name
    assert encoder.space.dimensions == MODELS[name].dimensions
    assert "processor" in encoder.runs_on


def test_the_catalog_says_what_people_should_know_of_every_model() -> None:
    assert DEFAULT_MODEL in MODELS
    for name, model in MODELS.items():
        assert model.name == name
        assert model.runtime in RUNTIMES
        assert model.summary, name
        assert model.licence, name
        assert model.languages, name
        if model.family != "pixseek":
            assert model.source, name
            assert model.images is not None, name
            assert model.texts is not None, name
            assert model.megabytes, name
            assert model.quality.source or model.quality.coco_r1 is None, name


def test_an_unknown_model_is_refused_with_the_known_ones() -> None:
    with pytest.raises(UnknownModel, match=r"no model is called 'clap'.*pocket, palette") as caught:
        load_encoder("clap")
    assert caught.value.name == "clap"
    assert caught.value.known == tuple(MODELS)


def test_a_model_can_be_named_by_its_runtime_and_source(tmp_path: Path) -> None:
    found = resolve("onnx:someone/a-clip@v2")
    assert found is not None
    assert (found.runtime, found.source, found.revision) == ("onnx", "someone/a-clip", "v2")
    (tmp_path / "torch one").mkdir()
    (tmp_path / "onnx one" / "visual").mkdir(parents=True)
    (tmp_path / "onnx one" / "visual" / "model.onnx").touch()
    for name, runtime in (("torch one", "transformers"), ("onnx one", "onnx")):
        found = resolve(str(tmp_path / name))
        assert found is not None
        assert (found.runtime, found.source) == (runtime, str(tmp_path / name))
    assert resolve(str(tmp_path / "not there")) is None


def test_a_model_whose_needs_are_not_installed_names_its_extra(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    register(monkeypatch, Runtime("pixseek_absent.encoder", "fake-extra"))
    with pytest.raises(
        MissingExtra, match=r"'fake' needs .*pip install 'pixseek\[fake-extra\]'"
    ) as caught:
        load_encoder("fake")
    assert caught.value.extra == "fake-extra"
    assert isinstance(caught.value.__cause__, ModuleNotFoundError)


def register(monkeypatch: pytest.MonkeyPatch, runtime: Runtime) -> None:
    monkeypatch.setitem(RUNTIMES, "fake", runtime)
    monkeypatch.setitem(MODELS, "fake", Model("fake", "pixseek", "fake", "MIT", "none", "a fake"))


def test_a_built_in_model_that_does_not_import_is_not_blamed_on_an_extra(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    register(monkeypatch, Runtime("pixseek_absent.encoder"))
    with pytest.raises(ModuleNotFoundError, match="pixseek_absent"):
        load_encoder("fake")


def test_a_model_of_another_package_is_found_by_its_entry_point(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "stranger_model.py").write_text(
        "from pixseek.encoders.palette import PaletteEncoder\n"
        "class StrangerEncoder(PaletteEncoder): pass\n"
    )
    info = tmp_path / "stranger_model-1.0.dist-info"
    info.mkdir()
    (info / "METADATA").write_text("Metadata-Version: 2.1\nName: stranger-model\nVersion: 1.0\n")
    (info / "entry_points.txt").write_text(
        "[pixseek.encoders]\nodd-model = stranger_model:StrangerEncoder\n"
    )
    monkeypatch.syspath_prepend(str(tmp_path))
    assert type(load_encoder("odd-model")).__name__ == "StrangerEncoder"
