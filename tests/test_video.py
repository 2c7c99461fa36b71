"""Films: the frames that differ are found, upright and within bounds; what fails is named."""

from __future__ import annotations

from pathlib import Path

import pytest
from PIL import Image
from tests.films import BLACK, BLUE, GREEN, RED, film, sound_only, turned
from tests.missing import missing

from pixseek import ImageSearchEngine, Query, care, frames, video
from pixseek.errors import FormatNeedsExtra, UnreadableImage
from pixseek.formats import needs
from pixseek.frames import Frames, Reading, read_frame, read_frames
from pixseek.metadata import container
from pixseek.moments import key_of
from pixseek.records import VIDEO_FORMATS, media_of
from pixseek.workers import item_id

HOW = Reading(32)
THREE = [(RED, 4), (GREEN, 4), (BLUE, 4)]


def colour_of(image: Image.Image) -> str:
    pixel = image.getpixel((image.width - 1, image.height - 1))
    assert isinstance(pixel, tuple)
    return max(zip(("red", "green", "blue"), pixel, strict=True), key=lambda one: one[1])[0]


def colours(found: Frames) -> list[str]:
    return [colour_of(found.first.image), *(colour_of(one.image) for one in found.further)]


def moments(found: Frames) -> list[float]:
    every = [found.metadata, *(one.metadata for one in found.further)]
    return [float(str(one["moment"])) for one in every]


# Which frames


@pytest.mark.parametrize(
    ("name", "codec", "format"),
    [
        ("a.mp4", "libx264", "MP4"),
        ("a.mov", "mpeg4", "MOV"),
        ("a.mkv", "mpeg4", "MATROSKA"),
        ("a.webm", "libvpx", "MATROSKA"),
        ("a.avi", "mpeg4", "AVI"),
        ("a.mpg", "mpeg2video", "MPEG"),
        ("a.ts", "mpeg2video", "MPEG"),
        ("a.3gp", "mpeg4", "MP4"),
        ("a.flv", "flv", "FLV"),
        ("a.wmv", "wmv2", "WMV"),
    ],
)
def test_each_scene_of_a_film_is_a_moment(
    tmp_path: Path, name: str, codec: str, format: str
) -> None:
    path = film(tmp_path / name, THREE, codec=codec)
    found = read_frames(path, HOW, 60)
    assert colours(found) == ["red", "green", "blue"]
    assert found.first.format == format
    assert (found.first.width, found.first.height) == (96, 64)
    assert float(str(found.metadata["duration"])) == pytest.approx(12, abs=0.6)
    for at, (after, before) in zip(moments(found), [(0, 4), (4, 8), (8, 12)], strict=True):
        assert after - 0.5 <= at <= before


@pytest.mark.parametrize("every", [5, 12, 1000])
def test_scenes_are_found_however_rare_keyframes_are(tmp_path: Path, every: int) -> None:
    path = film(tmp_path / "a.mp4", [(RED, 9), (GREEN, 9), (BLUE, 9)], keyframe_every=every)
    assert colours(read_frames(path, HOW, 60)) == ["red", "green", "blue"]


def test_a_film_that_stays_the_same_is_one_moment(tmp_path: Path) -> None:
    found = read_frames(film(tmp_path / "a.mp4", [(RED, 12)]), HOW, 60)
    assert (moments(found), found.first.several) == ([0.0], False)


def test_frames_of_one_colour_are_passed_over_unless_there_are_no_others(tmp_path: Path) -> None:
    fading = film(tmp_path / "a.mp4", [(BLACK, 3), (RED, 3), (BLACK, 3), (BLUE, 3)])
    found = read_frames(fading, HOW, 60)
    assert colours(found) == ["red", "blue"]
    assert moments(found)[0] >= 3
    assert colour_of(read_frame(fading, HOW, "")) == "red"
    dark = film(tmp_path / "b.mp4", [(BLACK, 3)])
    assert moments(read_frames(dark, HOW, 60)) == [0.0]


@pytest.mark.parametrize("name", ["a.mp4", "a.mkv", "a.avi", "a.ts"])
def test_a_moment_is_read_again_by_its_key(tmp_path: Path, name: str) -> None:
    path = film(tmp_path / name, THREE, codec="mpeg2video" if name == "a.ts" else "mpeg4")
    found = read_frames(path, HOW, 60)
    for frame in found.further:
        again = read_frame(path, HOW, frame.key)
        assert again.tobytes() == frame.image.tobytes()
    keys = [frame.key for frame in reversed(found.further)]
    assert [one.key for one in read_frames(path, HOW, keys).further] == keys
    with pytest.raises(UnreadableImage, match="no picture at 777"):
        read_frame(path, HOW, "777")


def test_the_first_picture_does_not_depend_on_how_many_are_wanted(tmp_path: Path) -> None:
    path = film(tmp_path / "a.mp4", [(BLACK, 5.5), *THREE])
    first = read_frames(path, HOW, 1)
    assert first.further == []
    for wanted in (2, 3, 60, 500, ("8400",)):
        again = read_frames(path, HOW, wanted)
        assert again.first.image.tobytes() == first.first.image.tobytes()
        assert again.metadata["moment"] == first.metadata["moment"]
    assert len(read_frames(path, HOW, 2).further) == 1


def test_a_long_film_is_not_decoded_whole(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = film(tmp_path / "long.mp4", [(RED, 200), (BLUE, 200)], size=(32, 32))
    decoded: list[float] = []
    whole = video.Video._from

    def counting(self: video.Video, time_s: float, at_most: int) -> object:
        for frame in whole(self, time_s, at_most):
            decoded.append(time_s)
            yield frame

    monkeypatch.setattr(video.Video, "_from", counting)
    assert colours(read_frames(path, HOW, 60)) == ["red", "blue"]
    assert 100 < len(decoded) < 200  # of 4000
    monkeypatch.setattr(video, "MAX_DECODED", 30)
    decoded.clear()
    rare = film(tmp_path / "rare.mp4", [(RED, 200)], size=(32, 32), keyframe_every=5000)
    assert colours(read_frames(rare, HOW, 60)) == ["red"]
    assert len(decoded) < 30 + 450


@pytest.mark.parametrize("clockwise", [90, 180, 270])
def test_a_film_is_turned_upright_as_it_says(tmp_path: Path, clockwise: int) -> None:
    """The white corner is at the top left as stored."""
    path = turned(film(tmp_path / "a.mp4", [(RED, 2)]), clockwise)
    first = read_frames(path, HOW, 60).first
    sideways = clockwise != 180
    assert (first.width, first.height) == ((64, 96) if sideways else (96, 64))
    assert first.image.size == (first.width, first.height)
    right, bottom = first.image.width - 4, first.image.height - 4
    corner = {90: (right, 3), 180: (right, bottom), 270: (3, bottom)}[clockwise]
    pixel = first.image.getpixel(corner)
    assert isinstance(pixel, tuple)
    assert min(pixel) > 200


def test_a_large_film_is_reduced_as_pictures_are(tmp_path: Path) -> None:
    path = film(tmp_path / "a.mp4", [(RED, 1)], size=(640, 320))
    first = read_frames(path, HOW, 1).first
    assert (first.image.size, first.width, first.height) == ((128, 64), 640, 320)


def test_a_motion_photo_is_its_still(tmp_path: Path) -> None:
    still = tmp_path / "a.jpg"
    Image.new("RGB", (40, 30), "blue").save(still)
    moving = film(tmp_path / "a.mp4", [(RED, 1)])
    found = read_frames(still.read_bytes() + moving.read_bytes(), HOW, 60)
    assert (found.first.format, colours(found)) == ("JPEG", ["blue"])


# What files say of themselves


def test_time_and_texts_of_a_film_become_fields(tmp_path: Path) -> None:
    tags = {"creation_time": "2021-05-01T12:34:56Z", "title": "The  beach\n", "comment": "sun"}
    path = film(tmp_path / "a.mp4", [(RED, 1)], tags=tags)
    found = read_frames(path, HOW, 1).content_fields()
    assert found["taken"] == 1619872496
    assert (found["title"], found["description"]) == ("The beach", "sun")
    assert (found["width"], found["height"], found["orientation"]) == (96, 64, "landscape")


def test_tags_of_cameras_are_understood_and_others_left_out() -> None:
    apple = {
        "creation_time": "2023-07-01T10:00:00.000000Z",
        "com.apple.quicktime.creationdate": "2023-07-01T12:00:00+0200",
        "com.apple.quicktime.location.ISO6709": "+48.8584+002.2945+035.000/",
        "com.apple.quicktime.make": "Apple",
        "com.apple.quicktime.model": "iPhone 13",
    }
    assert container.fields(apple) == {
        "taken": 1688212800,
        "taken_utc": 1688205600,
        "latitude": 48.8584,
        "longitude": 2.2945,
        "altitude": 35.0,
        "camera_make": "Apple",
        "camera_model": "iPhone 13",
    }
    assert container.fields({"location": "-33.8568+151.2153/"}) == {
        "latitude": -33.8568,
        "longitude": 151.2153,
    }
    for tags in (
        {"creation_time": "1904-01-01T00:00:00Z"},
        {"creation_time": "1970-01-01T00:00:00Z"},
        {"creation_time": "yesterday"},
        {"creation_time": "9999-01-01T00:00:00Z"},
        {"location": "+91.0+000.0/"},
        {"location": "+00.0000+000.0000/"},
        {"location": "here"},
        {"title": "\0\1 --"},
        {},
    ):
        assert container.fields(tags) == {}


# What cannot be read


def test_a_file_with_sound_only_is_named_so(tmp_path: Path) -> None:
    for name in ("a.mp4", "a.mkv"):
        with pytest.raises(UnreadableImage, match="no moving pictures, only sound"):
            read_frames(sound_only(tmp_path / name), HOW, 60)


def test_damaged_films_are_read_as_far_as_they_go_or_refused(tmp_path: Path) -> None:
    whole = film(tmp_path / "a.avi", THREE).read_bytes()
    reasons = set()
    for length in range(0, len(whole), len(whole) // 40):
        try:
            found = read_frames(whole[:length], HOW, 60, name="cut.avi")
        except UnreadableImage as error:
            reasons.add(error.reason.partition(" (")[0])
            continue
        assert colours(found) == ["red", "green", "blue"][: len(colours(found))]
    assert reasons >= {"the file is empty", "this video is damaged"}
    mp4 = film(tmp_path / "a.mp4", THREE).read_bytes()
    with pytest.raises(UnreadableImage, match="this video is damaged"):
        read_frames(mp4[: len(mp4) // 2], HOW, 60)
    noise = mp4[:40] + bytes(range(256)) * 100
    with pytest.raises(UnreadableImage, match="damaged"):
        read_frames(noise, HOW, 60)


def test_a_playlist_that_calls_itself_a_film_is_not_followed(tmp_path: Path) -> None:
    secret = film(tmp_path / "secret.mp4", [(RED, 1)])
    for text in (
        f"#EXTM3U\n#EXTINF:1,\nfile://{secret}\n",
        f"ffconcat version 1.0\nfile '{secret}'\n",
    ):
        path = tmp_path / "list.mp4"
        path.write_text(text)
        with pytest.raises(UnreadableImage):
            read_frames(path, HOW, 60)


def test_a_film_with_too_many_pixels_is_refused(tmp_path: Path) -> None:
    path = film(tmp_path / "a.mp4", [(RED, 1)])
    with pytest.raises(UnreadableImage, match="96×64 pixels are more than the limit of 6000"):
        read_frames(path, Reading(32, max_pixels=6000), 60)


# A library with films


@pytest.fixture
def filled(engine: ImageSearchEngine, photos: Path) -> ImageSearchEngine:
    film(photos / "holiday.mp4", [(RED, 4), (BLUE, 4)], sound=True)
    Image.new("RGB", (40, 30), "orange").save(photos / "still.png")
    sound_only(photos / "song.mp4")
    report = engine.index_images(photos)
    assert (report.added, report.encoded) == (2, 3)
    assert [(one.path.name, one.reason) for one in report.skipped] == [
        ("song.mp4", "it has no moving pictures, only sound")
    ]
    return engine


def test_a_film_is_found_by_what_is_in_it_and_the_hit_says_when(
    filled: ImageSearchEngine, photos: Path
) -> None:
    hit = filled.search("blue", k=1)[0]
    assert hit.path == photos / "holiday.mp4"
    assert hit.moment is not None
    assert 4 <= hit.moment <= 6
    assert hit.id == f"{item_id(hit.path.read_bytes())}@{key_of(hit.id)}"
    assert filled.search("red", k=1)[0].moment == 0.0
    assert filled.search(image=photos / "holiday.mp4", k=1)[0].score == pytest.approx(1.0)
    assert [one.path.name for one in filled.search("blue", where={"duration": {"$gt": 5}})] == [
        "holiday.mp4"
    ]


def test_videos_and_animations_are_told_apart_by_what_they_are(
    filled: ImageSearchEngine, photos: Path
) -> None:
    film(photos / "clip.mov", [(GREEN, 2)])
    (photos / "clip.mov").rename(photos / "misnamed.gif")
    slides = [Image.new("RGB", (40, 30), colour) for colour in ("red", "blue")]
    for name in ("slides.gif", "slides.webp"):
        slides[0].save(photos / name, save_all=True, append_images=slides[1:], duration=500)
    slides[0].save(photos / "pages.tif", save_all=True, append_images=slides[1:])
    slides[0].save(photos / "still.gif")
    filled.index_images(photos)

    def found(line: str) -> list[str]:
        return sorted(hit.path.name for hit in filled.search(Query.parse(line), k=50))

    assert found("is:video") == ["holiday.mp4", "misnamed.gif"]
    assert found("is:animation") == ["slides.gif", "slides.webp"]
    assert found("-is:video -is:animation") == ["pages.tif", "still.gif", "still.png"]
    kinds = {
        hit.path.name: media_of(hit.metadata) for hit in filled.search("red", k=50, moments=True)
    }
    assert kinds == {
        **{"holiday.mp4": "video", "misnamed.gif": "video", "pages.tif": "document"},
        **{"slides.gif": "animation", "slides.webp": "animation"},
        **{"still.gif": "image", "still.png": "image"},
    }


def test_every_format_of_a_video_is_known_as_one() -> None:
    assert {*video.NAMES.values(), "MOV", "VIDEO"} == set(VIDEO_FORMATS)


def test_films_move_and_go_whole_and_another_model_sees_the_same_moments(
    filled: ImageSearchEngine, photos: Path
) -> None:
    before = {hit.id for hit in filled.search("red", k=9, moments=True)}
    assert len(before) == 3
    (photos / "holiday.mp4").rename(photos / "moved.mp4")
    report = filled.index_images(photos)
    assert (report.moved, report.encoded) == (1, 0)
    assert filled.switch_model("pocket").encoded == 3
    assert {hit.id for hit in filled.search("red", k=9, moments=True)} == before
    assert care.check(filled.library).problems == []
    (photos / "moved.mp4").unlink()
    filled.index_images(photos)
    assert filled.status().items == 1
    assert care.check(filled.library).problems == []


def test_a_film_is_not_taken_into_memory_to_be_indexed(
    engine: ImageSearchEngine, photos: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = film(photos / "a.mp4", [(RED, 1)])
    whole: list[Path] = []
    read = Path.read_bytes

    def noting(one: Path) -> bytes:
        whole.append(one)
        return read(one)

    monkeypatch.setattr(Path, "read_bytes", noting)
    assert engine.index_images(photos).added == 1
    assert path not in whole
    assert engine.search("red")[0].id == item_id(path.read_bytes())


def test_without_the_extra_films_are_named_and_read_once_it_is_there(
    engine: ImageSearchEngine, photos: Path, tmp_path: Path
) -> None:
    film(photos / "a.mp4", [(RED, 1)])
    with missing("av", tmp_path / "missing"):
        for _ in range(2):
            [skipped] = engine.index_images(photos).skipped
            assert skipped.reason == needs("video")
            assert "pip install 'pixseek[video]'" in skipped.reason
        with pytest.raises(FormatNeedsExtra, match=r"pixseek\[video\]"):
            engine.search(image=photos / "a.mp4")
    report = engine.index_images(photos)
    assert (report.added, report.skipped, engine.search("red")[0].path.name) == (1, [], "a.mp4")
    assert frames.read_frames(photos / "a.mp4", HOW).first.format == "MP4"
