"""Matches, words beside pictures, alike pictures as one, and why a hit is one."""

from __future__ import annotations

import json
import sqlite3
from contextlib import closing
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from tests.conftest import SAMPLES, Paint

from pixseek import ImageSearchEngine, Query
from pixseek.database import FILE_NAME
from pixseek.encoders import Options, load_encoder
from pixseek.errors import InvalidQuery
from pixseek.ranking import Part, Wanted, Way, stands_out
from pixseek.ranking.answering import answer
from pixseek.ranking.diversity import BURST, BURST_S, COPY, collapsed, most_diverse
from pixseek.ranking.explaining import region
from pixseek.ranking.fulltext import covered, rarity, worded
from pixseek.ranking.matching import match, matches
from pixseek.ranking.sentences import PUBLISHED, sentences, text_vector
from pixseek.ranking.statistics import Statistics, neutral_texts, taken
from pixseek.records import Hit, Item, Metadata, Space, Vector, Vectors
from pixseek.stores import open_store
from pixseek.stores.filters import Compare
from pixseek.stores.local import LocalStore

PALETTE = load_encoder("palette", Options())
COLOURS = ("red", "green", "blue", "white", "black", "yellow", "orange", "purple")
RANDOM = np.random.default_rng(4)


def vector(*values: float) -> Vector:
    found = np.array(values, np.float32)
    return found / np.linalg.norm(found)


def random_vectors(n: int, d: int = 16) -> Vectors:
    found = RANDOM.standard_normal((n, d))
    unit: Vectors = (found / np.linalg.norm(found, axis=1, keepdims=True)).astype(np.float32)
    return unit


def store_of(tmp_path: Path, items: list[Item]) -> LocalStore:
    space = Space("palette", "made here", len(items[0].vector))
    store = open_store("local", tmp_path / "store", space)
    store.add(items)
    assert isinstance(store, LocalStore)
    return store


@pytest.fixture
def colours(tmp_path: Path, photos: Path, paint: Paint) -> ImageSearchEngine:
    """A picture a colour, named by numbers."""
    for number, colour in enumerate(COLOURS):
        paint(f"{number}.png", colour)
    engine = ImageSearchEngine(tmp_path / "library", model="palette")
    engine.index_images(photos)
    return engine


@pytest.fixture(scope="module")
def samples(tmp_path_factory: pytest.TempPathFactory) -> ImageSearchEngine:
    engine = ImageSearchEngine(tmp_path_factory.mktemp("samples"), model="pocket")
    engine.index_images(SAMPLES)
    return engine


def names(hits: list[Hit]) -> list[str]:
    return [hit.path.name for hit in hits]


# matches


def test_a_match_is_high_for_what_is_there_and_low_for_what_is_not(
    samples: ImageSearchEngine,
) -> None:
    there = samples.search("a tiger")
    absent = samples.search("a violinist on a stage")
    assert there[0].match is not None
    assert absent[0].match is not None
    assert there[0].match > 0.7 > 0.26 > absent[0].match
    assert stands_out(there, image=False)
    assert not stands_out(absent, image=False)
    assert all(hit.match is not None and 0 <= hit.match <= 1 for hit in [*there, *absent])


def test_a_picture_that_is_in_the_library_matches_itself(samples: ImageSearchEngine) -> None:
    first, second = samples.search(image=SAMPLES / "photo-06.jpg", k=2)
    assert first.path.name == "photo-06.jpg"
    assert first.match is not None
    assert second.match is not None
    assert first.match > 0.9 > second.match


def test_hits_below_the_least_match_are_left_out_on_every_page(samples: ImageSearchEngine) -> None:
    every = samples.search("an animal", k=30)
    good = [hit.id for hit in every if (hit.match or 0) >= 0.3]
    assert 2 < len(good) < 30
    assert [hit.id for hit in samples.search("an animal", k=30, min_match=0.3)] == good
    pages = [samples.search("an animal", k=2, offset=at, min_match=0.3) for at in (0, 2)]
    assert [hit.id for page in pages for hit in page] == good[:4]
    assert samples.search("an animal", min_match=1) == []


def test_a_search_by_a_vector_or_by_conditions_alone_has_no_matches(
    colours: ImageSearchEngine,
) -> None:
    (hit,) = colours.search(vector=[1.0] * 11, k=1)
    assert hit.match is None
    assert stands_out([hit], image=False)
    (hit,) = colours.search(Query.parse("format:png"), k=1)
    assert hit.match is None


def test_all_that_is_asked_for_must_match_and_what_is_pushed_away_does_not_count() -> None:
    usual = Statistics(600, random_vectors(500), random_vectors(100))
    pictures = random_vectors(3)
    one, other = (Part("text", pictures[row]) for row in (0, 1))
    both = matches([one, other], pictures, usual, "pocket")
    each = [match(part, pictures, usual, "pocket") for part in (one, other)]
    assert both.tolist() == np.minimum(*each).tolist()
    assert matches([one, replace(other, weight=-1)], pictures, usual, "pocket").tolist() == (
        each[0].tolist()
    )
    assert matches([replace(one, weight=-1)], pictures, usual, "pocket").tolist() == [0, 0, 0]


@pytest.mark.parametrize("pictures", [0, 1, 5, 500])
@pytest.mark.parametrize("kind", ["text", "image"])
def test_a_match_rises_with_the_score_however_small_the_library(pictures: int, kind: str) -> None:
    usual = Statistics(pictures, random_vectors(pictures), random_vectors(100))
    part = Part("text" if kind == "text" else "image", vector(1, *[0] * 15))
    near = np.stack([vector(1, *[side] * 15) for side in (0, 0.2, 1, 8)])
    found = match(part, near, usual, "pocket")
    assert found.tolist() == sorted(found.tolist(), reverse=True)
    assert found[0] > 0.7 > 0.5 > found[-1]


def test_pictures_that_are_all_alike_have_a_match_all_the_same() -> None:
    usual = Statistics(9, np.repeat(random_vectors(1), 9, axis=0), random_vectors(100)[:1])
    found = match(Part("image", usual.sample[0]), usual.sample[:1], usual, "pocket")
    assert found[0] > 0.9


# statistics


def test_statistics_are_kept_in_the_library_and_taken_again_when_it_grew(
    colours: ImageSearchEngine, photos: Path, paint: Paint
) -> None:
    colours.search("red")
    library = colours._library
    content = library.manifest.statistics("basic-colours-1")
    assert content is not None
    kept = Statistics.from_bytes(content)
    assert (kept.items, len(kept.sample)) == (len(COLOURS), len(COLOURS))
    assert len(kept.neutral) == len(neutral_texts()) > 100
    with ImageSearchEngine(colours.library) as other:
        other.search("red")
        assert other._library.manifest.statistics("basic-colours-1") == content
    for number in range(len(COLOURS)):
        paint(f"more-{number}.png", COLOURS[number], COLOURS[number - 1])
    colours.index_images(photos)
    colours.search("red")
    again = library.manifest.statistics("basic-colours-1")
    assert again is not None
    assert Statistics.from_bytes(again).items == 2 * len(COLOURS)


def test_statistics_that_cannot_be_read_are_taken_again(colours: ImageSearchEngine) -> None:
    colours._library.manifest.keep_statistics("basic-colours-1", b"of another version")
    assert colours.search("red")[0].match is not None


def test_a_search_does_not_wait_for_a_writer_to_keep_statistics(
    colours: ImageSearchEngine,
) -> None:
    with (
        closing(sqlite3.connect(colours.library / FILE_NAME, isolation_level=None)) as other,
        colours._exclusively(),
    ):
        other.execute("DELETE FROM statistics")
        colours._library.opened().usual = None
        other.execute("BEGIN IMMEDIATE")
        assert colours.search("red")[0].match is not None
        other.execute("ROLLBACK")
    assert colours._library.manifest.statistics("basic-colours-1") is None


def test_the_sample_is_of_at_most_512_pictures_of_all(tmp_path: Path) -> None:
    vectors = random_vectors(700, 11)
    store = store_of(tmp_path, [Item(f"{n:03}", one, {}) for n, one in enumerate(vectors)])
    found = taken(store, PALETTE)
    assert (found.items, found.sample.shape) == (700, (512, 11))
    rows = [int(np.argmax(vectors @ one)) for one in found.sample]
    assert len(set(rows)) == 512
    assert max(rows) > 650
    assert found.fits(700)
    assert found.fits(1000)
    assert not found.fits(1100)
    assert not found.fits(400)


# words


def test_an_exact_word_goes_before_a_picture_that_only_looks_like_it(
    samples: ImageSearchEngine,
) -> None:
    last = samples.search("zanzibar", k=30)[-1]
    samples.items.update_metadata({last.id: {"title": "Zanzibar 2019", "words": ["zanzibar"]}})
    found = samples.search("zanzibar", k=30, explain=True)
    assert found[0].id == last.id
    assert found[0].match is not None
    assert found[0].match > 0.9
    assert found[0].why is not None
    assert found[0].why.words == ["zanzibar"]
    assert len({hit.id for hit in found}) == 30
    pages = [samples.search("zanzibar", k=7, offset=at) for at in range(0, 30, 7)]
    assert [hit.id for page in pages for hit in page] == [hit.id for hit in found]
    samples.items.update_metadata({last.id: {"title": None, "words": None}})
    assert samples.search("zanzibar", k=30)[-1].id == last.id


def test_words_do_not_bring_back_what_a_filter_or_a_least_score_leaves_out(
    colours: ImageSearchEngine,
) -> None:
    blue = colours.search("blue", k=1)[0]
    colours.items.update_metadata({blue.id: {"title": "rome", "words": ["rome"]}})
    assert colours.search("rome", k=1)[0].id == blue.id
    others = colours.search("rome", k=30, where={"name": {"$ne": blue.metadata["name"]}})
    assert len(others) == len(COLOURS) - 1
    assert blue.id not in {hit.id for hit in colours.search("red rome", k=30, min_score=0.5)}


def test_with_an_example_picture_words_do_not_decide(
    colours: ImageSearchEngine, photos: Path
) -> None:
    blue = colours.search("blue", k=1)[0]
    colours.items.update_metadata({blue.id: {"title": "red", "words": ["red"]}})
    assert colours.search("red", image=photos / "0.png", k=1)[0].path.name == "0.png"


def test_rare_words_tell_more_than_common_ones_and_unknown_ones_most() -> None:
    weights = rarity({"the": 90, "dog": 9, "zanzibar": 0}, 100)
    assert 0 < weights["the"] < weights["dog"] < weights["zanzibar"]
    short: Metadata = {"caption": "the dog"}
    long: Metadata = {"text": " ".join(["dog", *(f"word{n}" for n in range(500))])}
    of_dog = {"dog": weights["dog"]}
    assert covered(short, of_dog) == 1 > covered(long, of_dog) > 0
    assert covered({"caption": "the"}, weights) < covered({"labels": ["dog"]}, weights) < 0.5
    assert covered({}, weights) == covered({"caption": "cat"}, weights) == 0


def test_pictures_with_words_are_found_by_those_that_tell(tmp_path: Path) -> None:
    vectors = random_vectors(40, 11)
    items = [
        Item(f"{n:02}", one, {"caption": "a dog", "words": ["a", "dog" if n < 2 else "cat"]})
        for n, one in enumerate(vectors)
    ]
    store = store_of(tmp_path, items)
    assert set(worded(store, vectors[0], "a dog", None)) == {"00", "01"}
    assert set(worded(store, vectors[0], "a horse", None)) == {f"{n:02}" for n in range(40)}
    assert worded(store, vectors[0], "horse", None) == {}
    assert worded(store, vectors[0], "?!", None) == {}
    only = Compare("words", "eq", "cat")
    assert worded(store, vectors[0], "dog", only) == {}


def test_a_library_without_the_index_of_words_gets_it_when_written_to(tmp_path: Path) -> None:
    vectors = random_vectors(3, 11)
    metadata: Metadata = {"title": "rome", "words": ["rome"]}
    store = store_of(tmp_path, [Item("one", vectors[0], metadata), Item("two", vectors[1], {})])
    with store.database.writing() as connection:
        connection.execute("DROP INDEX fields_words")
    assert list(worded(store, vectors[1], "rome", None)) == ["one"]
    store.update_metadata({"two": metadata})
    with store.database.reading() as connection:
        query = "EXPLAIN QUERY PLAN SELECT row FROM fields WHERE field = 'words' AND value IN (?)"
        assert "fields_words" in str(connection.execute(query, ("rome",)).fetchall())
    assert set(worded(store, vectors[1], "rome", None)) == {"one", "two"}


def test_a_match_is_the_same_with_a_model_whose_scores_lie_elsewhere() -> None:
    """By the library's own statistics: nothing is fitted to this model, and its scores are a fifth
    as wide, about another middle. There are so many pictures that its family hardly counts."""
    pictures, neutral, queries = (
        random_vectors(4000, 8),
        random_vectors(100, 8),
        random_vectors(40, 8),
    )

    def squeezed(vectors: Vectors, side: int) -> Vectors:
        """Of one kind beside (side 0, 1 apart), so that scores are 0.2 times theirs, plus 0.1."""
        own, rest = np.sqrt(0.2) * vectors, np.zeros((len(vectors), 3), np.float32)
        rest[:, 0], rest[:, 1 + side] = np.sqrt(0.1), np.sqrt(0.7)
        return np.concatenate([own, rest], axis=1).astype(np.float32)

    plain = Statistics(4000, pictures, neutral)
    narrow = Statistics(4000, squeezed(pictures, 0), squeezed(neutral, 1))
    apart = []
    for query, other in zip(queries, squeezed(queries, 1), strict=True):
        here = match(Part("text", query), pictures[:50], plain, "pocket")
        there = match(Part("text", other), squeezed(pictures[:50], 0), narrow, "of a stranger")
        apart.append(np.abs(here - there).max())
    assert max(apart) < 0.05


# sentences


def test_short_queries_become_sentences_for_models_of_the_clip_family_only() -> None:
    assert sentences("dog", "pocket") == sentences("dog", "palette") == ["dog"]
    assert sentences("dog", "of a stranger") == ["dog"]
    clip = sentences("dog", "clip-vit-b-32")
    assert len(clip) == len(PUBLISHED)
    assert clip[:2] == ["dog", "itap of a dog."]
    assert sentences("a dog that runs", "clip-vit-b-32") == ["a dog that runs"]
    assert text_vector(PALETTE, "red").tolist() == PALETTE.encode_texts(["red"])[0].tolist()


# alike pictures


def test_alike_pictures_become_one_with_a_count_and_the_order_stays() -> None:
    base, other = vector(1, 0, 0), vector(0, 0, 1)
    near, far = vector(1, 0.3, 0), vector(1, 0.6, 0)
    assert COPY < near @ base < 1 > BURST < far @ base < COPY
    hits = [Hit(name, 1, {}) for name in "abcd"]
    kept = collapsed(hits, np.stack([base, other, near, far]))
    assert [(hit.id, hit.similar) for hit in kept] == [("a", 1), ("b", 0), ("d", 0)]
    assert collapsed([], np.empty((0, 3), np.float32)) == []


def test_pictures_of_one_burst_are_alike_when_they_look_much_the_same() -> None:
    vectors = np.stack([vector(1, 0, 0), vector(1, 0.6, 0), vector(0, 1, 1)])
    for second, camera, count in ((BURST_S, "A", 2), (BURST_S + 1, "A", 3), (0, "B", 3)):
        hits = [
            Hit("a", 1, {"taken": 100, "camera_model": "A"}),
            Hit("b", 1, {"taken": 100 + second, "camera_model": camera}),
            Hit("c", 1, {"taken": 100, "camera_model": "A"}),
        ]
        assert len(collapsed(hits, vectors)) == count


def test_pages_of_collapsed_hits_follow_one_another(tmp_path: Path) -> None:
    groups = np.repeat(random_vectors(50, 11), 6, axis=0)
    items = [Item(f"{n:03}", one, {}) for n, one in enumerate(groups)]
    store = store_of(tmp_path, items)
    way = Way((), groups[0])

    def page(k: int, offset: int) -> list[Hit]:
        wanted = Wanted(k, offset, collapse=True)
        return answer(store, [way], wanted, model="palette", usual=None)

    whole = page(100, 0)
    assert len(whole) == 50
    assert {hit.similar for hit in whole} == {5}
    assert [hit.id for at in range(0, 56, 7) for hit in page(7, at)] == [hit.id for hit in whole]


def test_diverse_hits_begin_with_the_best_and_are_the_same_pictures(
    samples: ImageSearchEngine,
) -> None:
    plain = samples.search("an animal", k=30)
    diverse = samples.search("an animal", k=30, diverse=0.7)
    assert diverse[0].id == plain[0].id
    assert [hit.id for hit in diverse] != [hit.id for hit in plain]
    assert {hit.id for hit in diverse} == {hit.id for hit in plain}
    pages = [samples.search("an animal", k=9, offset=at, diverse=0.7) for at in (0, 9)]
    assert [hit.id for page in pages for hit in page] == [hit.id for hit in diverse[:18]]
    assert [hit.id for hit in samples.search("an animal", diverse=0)] == [
        hit.id for hit in plain[:10]
    ]


def test_the_most_diverse_of_none_is_none() -> None:
    assert most_diverse(vector(1, 0), np.empty((0, 2), np.float32), 3, 0.5) == []


# why


def test_why_a_hit_is_one(colours: ImageSearchEngine, photos: Path, paint: Paint) -> None:
    paint("half.png", "red", "green")
    colours.index_images(photos)
    query = Query.text("red") + Query.text("green") - Query.text("black")
    (hit,) = colours.search(query, k=1, where={"width": {"$gt": 1}}, explain=True)
    assert hit.path.name == "half.png"
    assert hit.why is not None
    assert set(hit.why.parts) == {"red", "green", "black"}
    assert sum(hit.why.parts.values()) == pytest.approx(hit.score, abs=1e-5)
    assert hit.why.parts["red"] == pytest.approx(hit.why.parts["green"], abs=0.02)
    assert hit.why.conditions == {"width": hit.metadata["width"]}
    assert hit.why.words == []
    assert hit.why.covered == 0
    assert colours.search(query, k=1)[0].why is None
    (red,) = colours.search("red", k=1, where={"name": "half.png"}, explain=True)
    assert red.why is not None
    assert red.why.region is not None
    assert red.why.region.score > red.score + 0.2


def test_each_hit_of_an_either_is_explained_by_what_it_answers(
    colours: ImageSearchEngine, photos: Path
) -> None:
    from PIL import Image

    for name, colour in (("a", "red"), ("b", "green")):
        picture = Image.new("RGB", (300, 200), "blue")
        picture.paste(colour, (200, 100, 300, 200))
        picture.save(photos / f"corner-{name}.png")
    colours.index_images(photos)
    line = "(red OR green) name:corner"
    for hit in colours.search(Query.parse(line), k=2, explain=True):
        assert hit.why is not None
        assert list(hit.why.parts) == ["red" if "-a" in hit.path.name else "green"]
        assert hit.why.region is not None
        assert hit.why.region.left >= 0.5
        assert hit.why.region.score > 0.9


def test_what_only_conditions_choose_is_explained_by_them(colours: ImageSearchEngine) -> None:
    (hit,) = colours.search(Query.parse('name:0 "0" width:>1'), k=1, explain=True)
    assert hit.why is not None
    asked = {"name": "0.png", "words": ["0"], "width": hit.metadata["width"]}
    assert hit.why.conditions == asked
    (hit,) = colours.search(Query.parse("name:0 width:>1"), k=1, explain=True)
    assert hit.why is not None
    assert (hit.why.parts, hit.why.region) == ({}, None)
    assert hit.why.conditions == {"name": "0.png", "width": hit.metadata["width"]}


def test_the_region_that_fits_best_is_where_the_thing_is() -> None:
    from PIL import Image

    picture = Image.new("RGB", (300, 200), "blue")
    picture.paste("red", (200, 100, 300, 200))
    red = PALETTE.encode_texts(["red"])[0]
    found = region(picture, PALETTE, red)
    assert found is not None
    assert found.left >= 0.5
    assert found.top >= 0.45
    assert found.score > 0.9
    assert region(Image.new("RGB", (9, 9), "red"), PALETTE, red) is None
    assert region(Image.new("RGB", (1, 1), "blue"), PALETTE, red) is None


def test_a_file_that_is_gone_is_explained_without_a_region(
    colours: ImageSearchEngine, photos: Path
) -> None:
    (photos / "0.png").unlink()
    (hit,) = colours.search("red", k=1, explain=True)
    assert hit.why is not None
    assert hit.why.region is None


@pytest.mark.parametrize("name", ["min_match", "diverse"])
@pytest.mark.parametrize("value", [-0.1, 1.1, float("nan")])
def test_shares_out_of_range_are_refused(
    colours: ImageSearchEngine, name: str, value: float
) -> None:
    with pytest.raises(InvalidQuery, match=f"{name} is .* expected 0 to 1"):
        colours.search("red", **{name: value})  # type: ignore[arg-type]  # either name is a float


def test_the_neutral_texts_are_each_there_once() -> None:
    texts = neutral_texts()
    assert len(texts) == len(set(texts))
    assert json.dumps(texts).isascii()
