"""Captions by BLIP: the same every time, in order, and begun as asked."""

from __future__ import annotations

import json
import shutil
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
import torch
import transformers
from PIL import Image
from tests.encoder_contract import pictures

from pixseek.encoders import Options
from pixseek.encoders.torch_device import BATCH, TorchDevice
from pixseek.errors import DeviceUnavailable, ModelNotFetched, ModelUnavailable
from pixseek.words import DESCRIBERS, Describer, captions, describers
from pixseek.words.captions import Captioner

SIDE = 32
DEPTH = {"num_hidden_layers": 2, "num_attention_heads": 2}
WORDS = ("a", "an", "photo", "of", "red", "blue", "sea", "cat", "dog", "on", "the", "tree")
SIZES = [(64, 48), (48, 64), (1, 1), (300, 200), (3, 700), (700, 3), (40, 40)]


def blip(folder: Path) -> Path:
    """BLIP for captions, with BERT's tokenizer and words of its own."""
    tokens = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]", *WORDS]
    tokenizer = transformers.BertTokenizer(vocab={token: id for id, token in enumerate(tokens)})
    config = transformers.BlipConfig(
        text_config={
            **DEPTH,
            "hidden_size": 32,
            "encoder_hidden_size": 32,
            "intermediate_size": 48,
            "vocab_size": len(tokens) + 1,
            "max_position_embeddings": 64,
            "bos_token_id": len(tokens),  # known to the model only, as the real one
            "sep_token_id": 3,
            "pad_token_id": 0,
            "eos_token_id": 3,
        },
        vision_config={**DEPTH, "image_size": SIDE, "patch_size": 8}
        | {"hidden_size": 32, "intermediate_size": 48},
        projection_dim=24,
    )
    model = transformers.BlipForConditionalGeneration(config)
    dice = torch.Generator().manual_seed(0)
    with torch.no_grad():
        for value in model.parameters():
            scale = value[0].numel() ** -0.5 if value.ndim > 1 else 0.05
            value.add_(torch.randn(value.shape, generator=dice) * scale)
    model.save_pretrained(folder)
    tokenizer.save_pretrained(folder)
    side = {"height": SIDE, "width": SIDE}
    transformers.BlipImageProcessor(size=side).save_pretrained(folder)
    return folder


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return blip(tmp_path_factory.mktemp("models") / "blip")


@pytest.fixture(scope="module")
def captioner(folder: Path) -> Captioner:
    return Captioner(str(folder))


def images() -> list[Image.Image]:
    return pictures(4, SIZES)


def test_captions_are_those_of_transformers(folder: Path, captioner: Captioner) -> None:
    model = transformers.BlipForConditionalGeneration.from_pretrained(folder).eval()
    processor = transformers.AutoImageProcessor.from_pretrained(folder, backend="pil")
    tokenizer = transformers.AutoTokenizer.from_pretrained(folder)
    shown = pictures(4, [(64, 48), (48, 64), (300, 200)])
    given = processor(shown, return_tensors="pt")["pixel_values"]
    how = {"num_beams": captions.BEAMS, "max_new_tokens": captions.MAX_TOKENS, "do_sample": False}
    expected = [
        one.strip()
        for one in tokenizer.batch_decode(
            model.generate(given, **how)[:, 1:], skip_special_tokens=True
        )
    ]
    assert captioner.caption(shown) == expected
    start = tokenizer(["a photo of"] * 3, return_tensors="pt")["input_ids"]
    told = model.generate(given, input_ids=start, **how)
    expected = tokenizer.batch_decode(told[:, 1:], skip_special_tokens=True)
    assert captioner.caption(shown, prompt="a photo of") == expected


def test_a_picture_has_the_same_caption_every_time_alone_and_among_others(
    captioner: Captioner, folder: Path
) -> None:
    alone = [captioner.caption([image])[0] for image in images()]
    assert captioner.caption(images()) == alone
    assert captioner.caption(images()[::-1]) == alone[::-1]
    assert Captioner(str(folder)).caption(images() * 3) == alone * 3
    assert len(SIZES) * 3 > BATCH
    assert len(set(alone)) > 1


def test_threads_get_the_captions_of_their_own_pictures(captioner: Captioner) -> None:
    expected = captioner.caption(images(), prompt="the")
    with ThreadPoolExecutor(4) as pool:
        found = pool.map(lambda image: captioner.caption([image], prompt="the")[0], images() * 4)
        assert list(found) == expected * 4


def test_no_pictures_have_no_captions(captioner: Captioner) -> None:
    assert captioner.caption([]) == []
    assert captioner.describe([]) == []


def test_a_caption_begins_with_its_prompt(captioner: Captioner) -> None:
    for caption in captioner.caption(images(), prompt="a photo of the"):
        assert caption.startswith("a photo of the")
    assert captioner.caption(images(), prompt=" \n") == captioner.caption(images())


@pytest.mark.parametrize("prompt", ["🙂 \udcff 猫\x00", "the red cat " * 100])
def test_any_prompt_is_taken(captioner: Captioner, prompt: str) -> None:
    assert len(captioner.caption(images()[:2], prompt=prompt)) == 2


def test_it_is_a_describer_that_fills_the_caption(folder: Path, captioner: Captioner) -> None:
    describer: Describer = describers("caption").load(Options(), model=str(folder))
    assert describer.field == "caption"
    assert describer.input_size == SIDE
    expected = [{"caption": caption} if caption else {} for caption in captioner.caption(images())]
    assert describer.describe(images()) == expected
    prompted = captions.load(Options(), model=str(folder), prompt="a dog").describe(images())
    assert all(str(one["caption"]).startswith("a dog") for one in prompted)
    assert DESCRIBERS["caption"].extra == "captions"


def test_more_beams_or_fewer_tokens_can_be_asked_for(folder: Path) -> None:
    short = Captioner(str(folder), beams=1, max_tokens=2).caption(images())
    assert all(len(caption.split()) <= 2 for caption in short)


def test_half_precision_as_on_cuda_gives_captions(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def half(device: TorchDevice, asked: str) -> None:
        usual(device, asked)
        device.dtype = torch.float16

    usual = TorchDevice.__init__
    monkeypatch.setattr(TorchDevice, "__init__", half)
    assert len(Captioner(str(folder)).caption(images(), prompt="a")) == len(SIZES)


def test_what_cannot_be_loaded_is_named(folder: Path, tmp_path: Path) -> None:
    with pytest.raises(ModelNotFetched, match="Salesforce/blip-image-captioning-base"):
        captions.load(Options(offline=True))
    with pytest.raises(DeviceUnavailable, match="'cuda' cannot be used"):
        Captioner(str(folder), Options(device="cuda"))
    with pytest.raises(ModelUnavailable, match="it is no BLIP model"):
        Captioner(str(tmp_path))
    damaged = shutil.copytree(folder, tmp_path / "damaged")
    config = json.loads((damaged / "config.json").read_text())
    config["text_config"]["num_hidden_layers"] = 3
    (damaged / "config.json").write_text(json.dumps(config))
    with pytest.raises(
        ModelUnavailable, match=r"weights of a BlipForConditionalGeneration are missing"
    ):
        Captioner(str(damaged))
