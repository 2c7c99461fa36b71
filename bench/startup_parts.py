"""One cold search in this process, part by part; prints JSON: part → seconds, in the order run.

Run by `bench.startup` in a new process each time: `python -m bench.startup_parts LIBRARY QUERY`.
The parts are the calls that `pixseek search` makes, one after the other; there, reading
vectors and the usual scores overlaps with loading the model. What is measured twice is taken apart
by `bench.startup`.
"""

# ruff: noqa: I001  what is imported, and when, is what is measured
from time import perf_counter

_last = perf_counter()
_parts: dict[str, float] = {}


def _mark(part: str) -> None:
    global _last
    now = perf_counter()
    _parts[part] = now - _last
    _last = perf_counter()


def main() -> None:
    import sys

    library, query = sys.argv[1:3]
    _mark("start")
    from pixseek.cli.parser import build_parser

    arguments = ["search", query, "--library", library, "--no-sync", "-k", "10"]
    build_parser().parse_args(arguments)
    _mark("import pixseek.cli, parse arguments")
    import numpy  # noqa: F401

    _mark("import numpy")
    from pixseek.cli import commands, output  # noqa: F401
    from pixseek import engine, settings

    _mark("import engine and output")
    import simsimd  # noqa: F401
    import pixseek.stores.local

    _mark("import store")
    import onnxruntime  # noqa: F401

    _mark("import onnxruntime")
    import tokenizers
    import pixseek.encoders.pocket

    _mark("import tokenizers and encoder")
    options = settings.load({"library": library, "lock_timeout_s": 0})
    opened = engine.ImageSearchEngine(options.library, create=False, options=options)
    _mark("open library")
    encoder = opened.encoder
    encoder.encode_texts([query])
    _mark("load tokenizer and text model, encode")
    (vector,) = encoder.encode_texts([query])
    _mark("encode text")
    opened._library.opened().store.preload()
    _mark("read vectors")
    opened._library.usual(opened._library.opened())
    _mark("read the usual scores")
    opened._library.opened().store.search(vector, 10)
    _mark("nearest vectors")
    hits = opened.search_by_text(query, k=10)  # the text is encoded a second time in it
    _mark("words, ranking, encode")
    output.print_hits(hits, [], preview=False)
    sys.stdout.flush()
    _mark("print")
    opened.close()
    _mark("close")
    tokenizers.Tokenizer.from_file(str(pixseek.encoders.pocket.FOLDER / "tokenizer.json"))
    _mark("tokenizer alone")
    import json

    print(json.dumps(_parts), file=sys.stderr)


main()
