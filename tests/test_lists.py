"""What is done with hits: exports, copies, links, tags, saved searches, evaluation."""

from __future__ import annotations

import csv
import json
import os
import resource
import threading
from base64 import b64decode
from collections.abc import Callable, Sequence
from html.parser import HTMLParser
from io import BytesIO, StringIO
from pathlib import Path

import pytest
from PIL import Image

from pixseek import ImageSearchEngine, cli
from pixseek.errors import InvalidQuery, LibraryNotFound, MissingPath, QueryNotUnderstood
from pixseek.evaluating import Evaluation, Judged, Labelled, evaluate, read_queries
from pixseek.exporting import sheet, tables, write
from pixseek.exporting.placing import Placed, place
from pixseek.exporting.subjects import Written, with_keywords, write_tags
from pixseek.metadata import sidecar_fields, xmp
from pixseek.query.tree import Query
from pixseek.records import Hit
from pixseek.saved import SavedSearches

SAMPLES = Path(__file__).parent.parent / "samples"
Paint = Callable[..., Path]


def hit_of(path: Path | list[Path], **metadata: object) -> Hit:
    paths = [str(one) for one in path] if isinstance(path, list) else str(path)
    return Hit("id", 0.5, {"path": paths, **metadata})  # type: ignore[dict-item]  # as given


def run(*arguments: str | Path) -> int:
    return cli.main([str(one) for one in arguments])


@pytest.fixture(autouse=True)
def palette(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PIXSEEK_MODEL", "palette")


@pytest.fixture
def flags(paint: Paint, photos: Path) -> Path:
    for name in ("red", "blue", "green"):
        paint(f"{name}.png", name)
    return photos


@pytest.fixture
def indexed(flags: Path, capsys: pytest.CaptureFixture[str]) -> Path:
    assert run("index", "--quiet", flags) == 0
    capsys.readouterr()
    return flags


# tables


def test_a_csv_has_a_line_a_hit_and_every_field_that_any_has(flags: Path) -> None:
    hits = [
        hit_of(flags / "red.png", taken=0, keywords=["a", "b"], own=True),
        hit_of(flags / "blue.png", title='say "hi",\nyou', words=["say"]),
    ]
    red, blue = list(csv.DictReader(StringIO(tables.as_csv(hits), newline="")))
    assert list(red) == ["path", "id", "score", "match", "taken", "title", "keywords", "own"]
    assert red["path"] == str(flags / "red.png")
    assert (red["taken"], red["keywords"], red["title"]) == ("1970-01-01T00:00:00", "a; b", "")
    assert (red["score"], red["match"], red["own"]) == ("0.5", "", "True")
    assert blue["title"] == 'say "hi",\nyou'
    assert tables.as_csv([]).split() == ["path,id,score,match"]


@pytest.mark.parametrize("text", ["=1+1", "+1", "-1", "@sum", "\tx", "\r=x"])
def test_no_text_becomes_a_formula_in_a_spreadsheet(text: str) -> None:
    hits = [hit_of(Path("/a.png"), title=text, longitude=-1.5)]
    (row,) = csv.DictReader(StringIO(tables.as_csv(hits), newline=""))
    assert row["title"] == f"'{text}"
    assert row["longitude"] == "-1.5"


def test_exports_say_what_json_says(indexed: Path, capsys: pytest.CaptureFixture[str]) -> None:
    files = [indexed.parent / f"out{end}" for end in (".json", ".csv")]
    for file in files:
        assert run("search", "red", "--export", file) == 0
        assert capsys.readouterr().out == f"wrote 3 hits to {file}\n"
    assert run("search", "red", "--json") == 0
    assert json.loads(files[0].read_text()) == json.loads(capsys.readouterr().out)
    names = [row["name"] for row in csv.DictReader(StringIO(files[1].read_text()))]
    assert names[0] == "red.png"
    assert len(names) == 3
    assert sorted(p.name for p in indexed.parent.glob("out*")) == ["out.csv", "out.json"]


def test_a_file_name_that_is_no_text_is_exported_as_its_bytes(
    paint: Paint, photos: Path, tmp_path: Path
) -> None:
    name = os.fsdecode(b"caf\xe9.png")
    paint("a.png", "red").rename(photos / name)
    assert run("index", "--quiet", photos) == 0
    for end in ("csv", "json", "html"):
        assert run("search", "red", "--export", tmp_path / f"x.{end}") == 0
    assert b"caf\xe9.png" in (tmp_path / "x.csv").read_bytes()
    (row,) = json.loads((tmp_path / "x.json").read_text())
    assert Path(row["path"]).name == name
    assert "caf\ufffd.png" in (tmp_path / "x.html").read_text(encoding="utf-8")


@pytest.mark.usefixtures("indexed")
def test_a_table_without_hits_is_written_all_the_same(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    file = tmp_path / "none.csv"
    assert run("search", "red year:1900", "--export", file) == 0
    assert file.read_text().split() == ["path,id,score,match"]
    printed = capsys.readouterr()
    assert (printed.out, printed.err) == (f"wrote 0 hits to {file}\n", "pixseek: nothing found\n")


def test_a_file_that_cannot_be_written_keeps_what_it_was(tmp_path: Path) -> None:
    folder = tmp_path / "x.csv"
    folder.mkdir()
    with pytest.raises(OSError, match=r"x\.csv"):
        write(folder, b"new")
    assert [path.name for path in tmp_path.iterdir()] == ["x.csv"]


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["--export", "x.jpg"], "expected a file that ends with"),
        (["--export", "csv"], "expected a file that ends with"),
        (["--hard"], "--hard was given without --link-to"),
        (["--tag", " "], "is no tag"),
        (["--untag", "a\nb"], "is no tag"),
    ],
)
@pytest.mark.usefixtures("indexed")
def test_what_cannot_be_done_is_refused(
    arguments: list[str], said: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run("search", "red", *arguments) == 2
    assert said in capsys.readouterr().err


# the contact sheet


class Page(HTMLParser):
    """Tags with their attributes, texts, and whether every tag is closed in order."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.tags: list[tuple[str, dict[str, str | None]]] = []
        self.open: list[str] = []
        self.texts: list[str] = []
        self.feed(text)
        self.close()
        assert self.open == []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append((tag, dict(attrs)))
        if tag not in ("meta", "img", "br"):
            self.open.append(tag)

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag

    def handle_data(self, data: str) -> None:
        self.texts.append(data)


def test_a_contact_sheet_holds_its_pictures_and_no_place(
    indexed: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    file = tmp_path / "sheet.HTML"
    assert run("search", "red", "-k", "2", "--export", file) == 0
    assert capsys.readouterr().out == f"wrote 2 hits to {file}\n"
    text = file.read_text(encoding="utf-8")
    assert str(indexed) not in text
    page = Page(text)
    pictures = [attributes for tag, attributes in page.tags if tag == "img"]
    assert pictures[0]["alt"] == "red.png"
    kind, _, data = (pictures[0]["src"] or "").partition(",")
    assert kind == "data:image/webp;base64"
    with Image.open(BytesIO(b64decode(data))) as image:
        red, green, blue = image.convert("RGB").getpixel((20, 10))  # type: ignore[misc]  # RGB has three
    assert red > 200 > 60 > max(green, blue)
    assert {tag for tag, _ in page.tags} & {"script", "link", "iframe"} == set()
    assert "red" in page.texts
    assert any("score" in said for said in page.texts)


def test_a_contact_sheet_takes_any_text_for_text() -> None:
    name = "<b onload='x'>\"&\x1b\udce9.png"
    made = sheet.contact_sheet([hit_of(Path("/p") / name)], "</title><script>", lambda _: b"x")
    page = Page(made.html)
    assert made.html.encode()
    assert {tag for tag, _ in page.tags} & {"script", "b"} == set()
    assert "<b onload='x'>\"&\ufffd\ufffd.png" in page.texts
    assert page.texts.count("</title><script>") == 2


@pytest.mark.usefixtures("indexed")
def test_a_contact_sheet_ends_at_its_limit_and_says_so(
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.setattr(sheet, "MOST", 2)
    file = tmp_path / "x.html"
    assert run("search", "red", "--export", file) == 0
    said = f"wrote 2 hits to {file}; a page has 2 at most: --offset 2 for the next\n"
    assert capsys.readouterr().out == said
    assert "2 of 3 pictures" in file.read_text()


def test_a_picture_that_is_gone_is_named_in_the_sheet_and_counted(
    indexed: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (indexed / "red.png").unlink()
    assert run("search", "red", "--export", tmp_path / "x.html") == 1
    printed = capsys.readouterr()
    assert "wrote 3 hits" in printed.out
    assert f"{indexed / 'red.png'}: it is not there" in printed.err
    text = (tmp_path / "x.html").read_text()
    assert text.count("cannot be read now") == 1
    assert text.count("<img") == 2
    Page(text)


# copies and links


def test_copies_have_content_and_time_and_leave_the_originals(flags: Path, tmp_path: Path) -> None:
    os.utime(flags / "red.png", (1_000_000, 1_000_000))
    before = {path: (path.read_bytes(), path.stat().st_mtime_ns) for path in flags.iterdir()}
    out = tmp_path / "new" / "out"
    assert place([hit_of(path) for path in before], out, "copy") == Placed(new=3)
    assert {path.name: path.read_bytes() for path in out.iterdir()} == {
        path.name: content for path, (content, _) in before.items()
    }
    assert (out / "red.png").stat().st_mtime == 1_000_000
    assert not any((out / path.name).samefile(path) for path in before)
    again = {path: (path.read_bytes(), path.stat().st_mtime_ns) for path in flags.iterdir()}
    assert again == before


def test_names_that_are_taken_get_a_number_and_a_second_call_adds_nothing(
    paint: Paint, tmp_path: Path
) -> None:
    hits = [hit_of(paint(f"{folder}/a.png", folder)) for folder in ("red", "blue", "green")]
    out = tmp_path / "out"
    out.mkdir()
    (out / "a.png").write_text("mine")
    assert place(hits, out, "copy") == Placed(new=3, renamed=3)
    assert place(hits, out, "copy") == Placed(there=3)
    names = ["a (2).png", "a (3).png", "a (4).png", "a.png"]
    assert sorted(path.name for path in out.iterdir()) == names
    assert (out / "a.png").read_text() == "mine"


def test_copying_into_its_own_folder_does_nothing(flags: Path) -> None:
    assert place([hit_of(flags / "red.png")], flags, "copy") == Placed(there=1)
    assert len(list(flags.iterdir())) == 3


def test_links_lead_to_the_files(flags: Path, tmp_path: Path) -> None:
    hits, out = [hit_of(path) for path in sorted(flags.iterdir())], tmp_path / "out"
    assert place(hits, out, "link") == Placed(new=3)
    assert (out / "red.png").readlink() == flags / "red.png"
    assert place(hits, out, "link") == Placed(there=3)
    assert place(hits, out, "hard link") == Placed(new=3, renamed=3, hard=3)
    assert (out / "red (2).png").samefile(flags / "red.png")
    assert not (out / "red (2).png").is_symlink()
    # Neither is a copy of a file a link to it.
    assert place(hits[:1], out, "copy") == Placed(there=1)


def test_a_broken_link_has_a_name_all_the_same(flags: Path, tmp_path: Path) -> None:
    (tmp_path / "red.png").symlink_to(tmp_path / "nowhere")
    assert place([hit_of(flags / "red.png")], tmp_path, "copy") == Placed(new=1, renamed=1)
    assert (tmp_path / "red.png").is_symlink()
    assert not (tmp_path / "nowhere").exists()


def test_of_one_content_the_file_that_is_there_is_taken(paint: Paint, tmp_path: Path) -> None:
    gone, red = tmp_path / "gone.png", paint("red.png", "red")
    out = tmp_path / "out"
    assert place([hit_of([gone, red]), hit_of(red)], out, "copy") == Placed(new=1)
    other = paint("there/copy.png", "red")
    assert place([hit_of([red, other])], out, "copy", [other.parent]) == Placed(new=1)
    assert sorted(path.name for path in out.iterdir()) == ["copy.png", "red.png"]


def test_files_that_are_gone_are_named_and_the_rest_is_done(
    indexed: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (indexed / "red.png").unlink()
    out = tmp_path / "out"
    assert run("search", "red", "--copy-to", out) == 1
    printed = capsys.readouterr()
    assert printed.out == f"2 files copied to {out}; 1 not\n"
    assert printed.err == f"pixseek: {indexed / 'red.png'}: it is not there\n"
    assert sorted(path.name for path in out.iterdir()) == ["blue.png", "green.png"]


def test_a_copy_that_fails_leaves_nothing_half(flags: Path, tmp_path: Path) -> None:
    (flags / "long.png").write_bytes(bytes(100_000))
    limits = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (10_000, limits[1]))
    try:
        hits = [hit_of(flags / "long.png"), hit_of(flags / "red.png")]
        done = place(hits, tmp_path / "out", "copy")
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, limits)
    assert [(one.path, one.reason) for one in done.missing] == [
        (flags / "long.png", "File too large")
    ]
    assert done.new == 1
    assert [path.name for path in (tmp_path / "out").iterdir()] == ["red.png"]


def test_several_things_are_done_at_once_and_programs_still_get_their_paths(
    indexed: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    out = tmp_path / "out"
    arguments: list[str | Path] = [
        "--copy-to",
        out / "c",
        "--link-to",
        out / "l",
        "--tag",
        "x",
        "--paths",
    ]
    assert run("search", "red", "-k", "1", *arguments) == 0
    printed = capsys.readouterr()
    assert printed.out == f"{indexed / 'red.png'}\n"
    assert printed.err.splitlines() == [
        "tags of 1 picture changed",
        f"1 file copied to {out / 'c'}",
        f"1 file linked in {out / 'l'}",
    ]


def test_pictures_that_are_alike_are_all_copied(paint: Paint, photos: Path, tmp_path: Path) -> None:
    for number in range(3):
        paint(f"{number}.png", "red", size=(48 + 16 * number, 32))
    assert run("index", "--quiet", photos) == 0
    assert run("search", "red", "--copy-to", tmp_path / "out") == 0
    assert len(list((tmp_path / "out").iterdir())) == 3


# tags


def names(hits: Sequence[Hit]) -> list[str]:
    return sorted(hit.path.name for hit in hits)


def test_tags_are_given_found_kept_and_taken(engine: ImageSearchEngine, flags: Path) -> None:
    engine.index_images(flags)
    hits = engine.search("red", k=2)
    ids = [hit.id for hit in hits]
    assert engine.items.tag(ids, [" Sea Side ", "x", "x"]) == 2
    assert engine.items.tag(ids, ["x"]) == 0
    assert engine.items.tag(["unknown"], ["x"]) == 0
    assert engine.items.tag([]) == 0
    found = engine.search(Query.parse('tag:"sea side"'))
    assert names(found) == names(hits)
    assert found[0].metadata["tags"] == ["Sea Side", "x"]
    assert names(engine.search(words="seaside")) == []
    assert names(engine.search(words="SEA")) == names(hits)
    assert names(engine.search("red", where={"tags": {"$in": ["x"]}})) == names(hits)

    found[0].path.rename(flags / "moved.png")
    os.utime(found[1].path, (1, 1))
    assert engine.index_images().moved == 1
    assert len(engine.search(words="SEA")) == 2

    assert engine.items.tag(ids[:1], remove=["Sea Side", "x", "never"]) == 1
    assert engine.items.tag(ids[1:], ["y"], ["x"]) == 1
    (one,) = engine.search(words="sea")
    assert one.metadata["tags"] == ["Sea Side", "y"]
    (bare,) = engine.items.fetch(ids[:1])
    assert "tags" not in bare.metadata


def test_another_model_and_the_doctor_keep_tags(
    indexed: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run("search", "red", "-k", "1", "--tag", "a b", "--tag", "c") == 0
    assert run("doctor") == 0
    assert "3 pictures looked at, 0 problems" in capsys.readouterr().out
    assert run("switch", "pocket", "--quiet") == 0
    capsys.readouterr()
    assert run("search", "tag:c", "--paths") == 0
    assert capsys.readouterr().out == f"{indexed / 'red.png'}\n"
    assert run("search", "red", "--untag", "c") == 0
    assert capsys.readouterr().out == "tags of 1 picture changed\n"


def test_all_moments_of_a_film_have_its_tag(engine: ImageSearchEngine, photos: Path) -> None:
    frames = [Image.new("RGB", (60, 40), colour) for colour in ("red", "blue")]
    frames[0].save(photos / "a.gif", save_all=True, append_images=frames[1:], duration=3000)
    engine.index_images(photos)
    hits = engine.search("red", moments=True)
    assert len(hits) == 2
    assert engine.items.tag([hits[0].id], ["x"]) == 1
    assert len(engine.search(Query.parse("tag:x"), moments=True)) == 2


def test_tags_given_at_the_same_time_are_all_kept(engine: ImageSearchEngine, flags: Path) -> None:
    engine.index_images(flags)
    (hit,) = engine.search("red", k=1)
    tags = [f"t{number}" for number in range(8)]
    threads = [threading.Thread(target=engine.items.tag, args=([hit.id], [one])) for one in tags]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    (item,) = engine.items.fetch([hit.id])
    assert sorted(item.metadata["tags"]) == tags  # type: ignore[arg-type]  # a list


# tags in sidecars


DARKTABLE = b"""\xef\xbb\xbf<?xml version="1.0" encoding="UTF-8"?>
<x:xmpmeta xmlns:x="adobe:ns:meta/" x:xmptk="XMP Core 4.4.0-Exiv2">
 <rdf:RDF xmlns:rdf="http://www.w3.org/1999/02/22-rdf-syntax-ns#">
  <rdf:Description rdf:about="uuid:1&amp;2"
    xmlns:xmp="http://ns.adobe.com/xap/1.0/" xmlns:darktable="http://darktable.sf.net/"
    xmp:Rating="4" darktable:history_end="3">
   <!-- caf\xc3\xa9 -->
   SUBJECT
   <darktable:history><rdf:Seq><rdf:li darktable:params="00ff"/></rdf:Seq></darktable:history>
  </rdf:Description>
 </rdf:RDF>
</x:xmpmeta>
"""
SUBJECT = (
    b'<dc:subject xmlns:dc="http://purl.org/dc/elements/1.1/">'
    b"<rdf:Bag><rdf:li>sea</rdf:li></rdf:Bag></dc:subject>"
)
EMPTY = b'<dc:subject xmlns:dc="http://purl.org/dc/elements/1.1/"><rdf:Bag/></dc:subject>'


@pytest.mark.parametrize("subject", [b"", SUBJECT, SUBJECT.replace(b"Bag", b"Seq")])
@pytest.mark.parametrize("end", [b"", b"\0\0\n"])
def test_keywords_are_added_and_every_other_byte_stays(subject: bytes, end: bytes) -> None:
    before = DARKTABLE.replace(b"SUBJECT", subject) + end
    after = with_keywords(before, ["sea", "Stra\u00dfe", "a<&b", "a<&b"])
    said = xmp.read(after)
    assert sorted(said["keywords"]) == ["Stra\u00dfe", "a<&b", "sea"]
    assert said["rating"] == ["4"]
    at = next(i for i, (one, other) in enumerate(zip(before, after, strict=False)) if one != other)
    added = len(after) - len(before)
    for begin in range(at, -1, -1):  # what was put in may begin as what follows it does
        if before == after[:begin] + after[begin + added :]:
            break
    else:
        pytest.fail("other bytes differ")
    assert with_keywords(after, ["sea", "a<&b"]) == after
    if not subject:
        assert after.count(b'rdf:about="uuid:1&amp;2"') == 2


@pytest.mark.parametrize(
    "packet",
    [
        DARKTABLE.replace(b"SUBJECT", EMPTY),
        DARKTABLE.replace(b"SUBJECT", EMPTY.replace(b"<rdf:Bag/>", b"plain")),
        b'<rdf:RDF xmlns:rdf="http://www.w3.org/1999/02/22-rdf-syntax-ns#"/>',
        b"<other/>",
        b"<x",
        b"",
        b'<!DOCTYPE x [<!ENTITY a "b">]><x>&a;</x>',
        DARKTABLE.decode("utf-8-sig").replace("UTF-8", "latin-1").encode("latin-1"),
        DARKTABLE.decode("utf-8-sig").split("?>")[1].encode("utf-16"),
    ],
)
def test_a_sidecar_that_cannot_be_added_to_stays_and_is_named(flags: Path, packet: bytes) -> None:
    sidecar = flags / "red.png.xmp"
    sidecar.write_bytes(packet)
    done = write_tags([hit_of(flags / "red.png", tags=["new"])])
    assert (done.new, done.there) == (0, 0)
    assert [one.path for one in done.missing] == [flags / "red.png"]
    assert "its sidecar stays as it is: " in done.missing[0].reason
    assert sidecar.read_bytes() == packet
    assert sorted(flags.glob("*.half")) == []


def test_tags_are_written_beside_each_file_and_read_back(
    indexed: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (indexed / "copy.png").write_bytes((indexed / "red.png").read_bytes())
    before = (indexed / "red.png").read_bytes()
    assert run("index", "--quiet") == 0
    capsys.readouterr()
    arguments = ("search", "red", "-k", "1", "--write-xmp")
    assert run(*arguments, "--tag", "Stra\u00dfe") == 0
    said = "tags of 1 picture changed\ntags written beside 2 files\n"
    assert capsys.readouterr().out == said
    assert run(*arguments) == 0
    assert capsys.readouterr().out == "tags written beside 0 files; 2 had them\n"
    assert (indexed / "red.png").read_bytes() == before
    assert sorted(p.name for p in indexed.glob("*.*mp")) == ["copy.png.xmp", "red.png.xmp"]
    assert run("index", "--quiet") == 0
    assert "2 with another sidecar" in capsys.readouterr().out
    assert run("search", "keyword:Stra\u00dfe tag:Stra\u00dfe", "--json") == 0
    (row,) = json.loads(capsys.readouterr().out)
    assert row["metadata"]["keywords"] == row["metadata"]["tags"] == ["Stra\u00dfe"]
    assert run("search", "red", indexed, "--write-xmp", "--copy-to", tmp_path / "out") == 0


def test_keywords_of_the_picture_are_not_lost_behind_a_new_sidecar(flags: Path) -> None:
    hit = hit_of(flags / "red.png", tags=["x"], keywords=["from", "camera"])
    assert write_tags([hit]) == Written(new=1)
    said = sidecar_fields((flags / "red.png.xmp").read_bytes())
    assert said == {"keywords": ["from", "camera", "x"]}
    # What was taken out of a sidecar does not come back.
    (flags / "blue.png.xmp").write_bytes(DARKTABLE.replace(b"SUBJECT", SUBJECT))
    assert write_tags([hit_of(flags / "blue.png", tags=["x"], keywords=["old"])]).new == 1
    assert sidecar_fields((flags / "blue.png.xmp").read_bytes())["keywords"] == ["sea", "x"]


def test_sidecars_are_left_alone_where_they_should_be(flags: Path, tmp_path: Path) -> None:
    red, blue, green = (flags / f"{name}.png" for name in ("red", "blue", "green"))
    assert write_tags([hit_of(red)]) == Written()
    shared = flags / "red.xmp"
    shared.write_bytes(DARKTABLE)
    done = write_tags([hit_of(red, tags=["x"]), hit_of(tmp_path / "gone.png", tags=["x"])])
    assert [one.reason for one in done.missing] == [
        "its sidecar stays as it is: red.xmp may be of other files, too; add them there",
        "it is not there",
    ]
    assert shared.read_bytes() == DARKTABLE
    # One that is a link is written where it leads, with the rights it had.
    real = tmp_path / "real.xmp"
    real.write_bytes(DARKTABLE)
    real.chmod(0o640)
    (flags / "blue.png.xmp").symlink_to(real)
    assert write_tags([hit_of([blue, green], tags=["x"])], [flags]) == Written(new=2)
    assert (flags / "blue.png.xmp").is_symlink()
    assert xmp.read(real.read_bytes())["keywords"] == ["x"]
    assert real.stat().st_mode & 0o777 == 0o640
    assert write_tags([hit_of(green, tags=["y"])], [tmp_path / "elsewhere"]) == Written()


# saved searches


@pytest.fixture
def searches(engine: ImageSearchEngine) -> SavedSearches:
    return SavedSearches(engine.library)


def test_saved_searches_in_python(engine: ImageSearchEngine, searches: SavedSearches) -> None:
    with searches as saved:
        assert saved.all() == {}
        assert saved.put("b", "a dog year:2000..") is None
        assert saved.put("a", "x OR y") is None
        assert saved.put("b", "a cat") == "a dog year:2000.."
        assert saved.all() == {"a": "x OR y", "b": "a cat"}
        with SavedSearches(engine.library) as other:
            assert other.query("b") == Query.parse("a cat")
        saved.remove("a")
        assert saved.all() == {"b": "a cat"}
        for forget in (saved.line, saved.remove):
            with pytest.raises(InvalidQuery, match=r"saved as 'a'.*there are: b"):
                forget("a")


@pytest.mark.parametrize("name", ["", "a b", "@a", "a\n", "x" * 101])
def test_what_is_no_name_is_refused(searches: SavedSearches, name: str) -> None:
    with searches, pytest.raises(InvalidQuery, match="cannot be named"):
        searches.put(name, "a dog")


def test_what_is_no_line_is_refused_when_it_is_saved(searches: SavedSearches) -> None:
    with searches, pytest.raises(QueryNotUnderstood):
        searches.put("a", "dog OR year:2020")


def test_there_are_no_saved_searches_without_a_library(tmp_path: Path) -> None:
    with pytest.raises(LibraryNotFound):
        SavedSearches(tmp_path / "none")


def test_saved_searches_on_the_command_line(
    indexed: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run("save", "rot", "red", "name:red") == 0
    assert capsys.readouterr().out == "saved; search for it with: pixseek search @rot\n"
    assert run("search", "@rot", "--paths") == 0
    assert capsys.readouterr().out == f"{indexed / 'red.png'}\n"
    assert run("search", " @rot ", indexed, "--paths") == 0
    assert capsys.readouterr().out == f"{indexed / 'red.png'}\n"
    assert run("save", "@rot", "green") == 0
    assert capsys.readouterr().err == "pixseek: in place of: red name:red\n"
    assert run("saved", "--json") == 0
    assert json.loads(capsys.readouterr().out) == {"rot": "green"}
    assert run("saved") == 0
    assert capsys.readouterr().out == "@rot  green\n"
    assert run("search", "@green") == 2
    assert "no search is saved as 'green'" in capsys.readouterr().err
    assert run("search", "@green", "--plain", "--paths") == 0
    assert run("search", "red @rot", "--paths") == 0
    capsys.readouterr()
    assert run("saved", "--remove", "@rot") == 0
    assert "no search is saved" in capsys.readouterr().err
    assert run("saved", "--remove", "rot") == 2


@pytest.mark.usefixtures("indexed")
def test_saved_searches_are_in_a_backup(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert run("save", "rot", "red") == 0
    assert run("backup", tmp_path / "b") == 0
    assert run("restore", tmp_path / "b", "--library", tmp_path / "restored") == 0
    capsys.readouterr()
    assert run("saved", "--library", tmp_path / "restored") == 0
    assert capsys.readouterr().out == "@rot  red\n"


# evaluation


def test_recall_and_mrr_are_what_they_are() -> None:
    done = Evaluation(
        "m",
        [Judged("a", 1, (1,)), Judged("b", 2, (4, 8)), Judged("c", 1, ()), Judged("d", 4, (2,))],
    )
    assert done.recall(1) == pytest.approx((1 + 0 + 0 + 0) / 4)
    assert done.recall(5) == pytest.approx((1 + 0.5 + 0 + 0.25) / 4)
    assert done.recall(10) == pytest.approx((1 + 1 + 0 + 0.25) / 4)
    assert done.mrr == pytest.approx((1 + 1 / 4 + 0 + 1 / 2) / 4)
    assert (Evaluation("m").recall(1), Evaluation("m").mrr) == (0, 0)


def test_a_file_of_queries_is_read(tmp_path: Path) -> None:
    file = tmp_path / "queries.tsv"
    file.write_text(
        "\ufeffQuery\tfile\r\n# not\r\n\r\na dog \t a.jpg\r\ntwo\tb/../c.jpg\t/d.jpg\t\r\n"
    )
    assert read_queries(file) == [
        Labelled("a dog", (tmp_path / "a.jpg",)),
        Labelled("two", (tmp_path / "c.jpg", Path("/d.jpg"))),
    ]
    assert len(read_queries(SAMPLES / "queries.tsv")) == 30


@pytest.mark.parametrize(
    ("content", "said"),
    [
        (b"", "there is no query"),
        (b"query\tfile\n", "there is no query"),
        (b"a dog\n", "line 1"),
        (b"a\tb\n\ta.jpg\n", "line 2"),
        (b"a\tb\nx\t \n", "line 2"),
        (b"\xff\xfe\x00", "UTF-8"),
    ],
)
def test_a_file_that_has_no_queries_is_refused(tmp_path: Path, content: bytes, said: str) -> None:
    file = tmp_path / "queries.tsv"
    file.write_bytes(content)
    with pytest.raises(InvalidQuery, match=said):
        read_queries(file)
    for none in (tmp_path, tmp_path / "none", file / "x"):
        with pytest.raises(MissingPath):
            read_queries(none)


def test_a_library_is_evaluated(engine: ImageSearchEngine, flags: Path) -> None:
    (flags / "copy.png").write_bytes((flags / "red.png").read_bytes())
    engine.index_images(flags)
    done = evaluate(
        engine,
        [
            Labelled("red", (flags / "red.png", flags / "copy.png")),
            Labelled("blue", (flags / "blue.png", flags / "none.png")),
            Labelled("no", (flags / "none.png",)),
        ],
    )
    assert done.model == "palette"
    assert done.judged == [Judged("red", 1, (1,)), Judged("blue", 1, (1,))]
    assert done.unknown == [flags / "none.png"]
    assert done.mrr == done.recall(1) == 1


def test_eval_of_the_library_and_of_models(
    flags: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    file = tmp_path / "queries.tsv"
    file.write_text("red\tphotos/red.png\nblue\tphotos/blue.png\ngone\tphotos/none.png\n")
    assert run("eval", file) == 4  # there is no library
    assert run("eval", file, "--model", "palette", "--model", "pocket", "--quiet") == 1
    printed = capsys.readouterr()
    assert printed.out.splitlines()[0].split() == ["palette", "pocket", "query"]
    assert printed.out.splitlines()[1].split()[::2] == ["1", "red"]
    assert printed.out.splitlines()[-2].split() == ["palette", "2", "1.00", "1.00", "1.00", "1.00"]
    assert "palette: not in the library, so not counted" in printed.err
    assert run("eval", file) == 4  # and none was made

    assert run("index", "--quiet", flags) == 0
    capsys.readouterr()
    assert run("eval", file, "--json") == 1
    (row,) = json.loads(capsys.readouterr().out)
    assert (row["model"], row["recall@1"], row["mrr"]) == ("palette", 1, 1)
    assert row["queries"][1]["places"] == [1]
    assert row["unknown"] == [str(flags / "none.png")]
    file.write_text("red\tphotos/red.png\n")
    assert run("eval", file) == 0
    assert run("eval", tmp_path / "none.tsv") == 2
    assert run("eval", file, "--model", "no-such-model") == 2
