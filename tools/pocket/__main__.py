"""`python -m tools.pocket build` makes the shipped files; `measure` says how good they are."""

import argparse
import json
from pathlib import Path

MODEL = Path("src/pixseek/models/pocket")
RESULTS = Path("bench/results/pocket.json")


def parser() -> argparse.ArgumentParser:
    """The command line. Paths default to those of a checkout's root."""
    root = argparse.ArgumentParser(prog="python -m tools.pocket", description=__doc__)
    commands = root.add_subparsers(dest="command", required=True)
    build = commands.add_parser("build", help="fit, quantise and write the five runtime files")
    build.add_argument("--out", type=Path, default=MODEL)
    build.add_argument("--work", type=Path, default=Path("build/pocket"), help="kept between runs")
    kinds = commands.add_parser("kinds", help="label dev pictures by what the towers are sure of")
    kinds.add_argument("--out", type=Path, required=True, help="a file of: picture, tab, kind")
    measure = commands.add_parser("measure", help="figures of the shipped files (needs no torch)")
    measure.add_argument("--model", type=Path, default=MODEL)
    measure.add_argument("--kinds", type=Path, help="labels that `kinds` wrote")
    measure.add_argument("--out", type=Path, default=RESULTS)
    scale = commands.add_parser("temperature", help="the scale of scores for a softmax over texts")
    scale.add_argument("--model", type=Path, default=MODEL)
    labels = commands.add_parser("labels", help="how well the built-in labels fit captions")
    labels.add_argument("--model", type=Path, default=MODEL)
    for command in (build, kinds, measure, scale, labels):
        command.add_argument("--data", type=Path, required=True, help="captions.tsv and pictures")
    return root


def main() -> None:
    """Run one command. torch is imported only by those that need it."""
    chosen = parser().parse_args()
    if chosen.command == "build":
        from .build import build
        from .fit import FitSettings

        build(chosen.data, chosen.out, chosen.work, FitSettings())
    elif chosen.command == "kinds":
        from .kinds import write_kinds

        write_kinds(chosen.data, chosen.out)
    elif chosen.command == "temperature":
        from .temperature import temperature

        print(json.dumps(temperature(chosen.model, chosen.data), indent=2))
    elif chosen.command == "labels":
        from .labels import labels

        print(json.dumps(labels(chosen.model, chosen.data), indent=2))
    else:
        from .measure import measure

        figures = json.dumps(measure(chosen.model, chosen.data, chosen.kinds), indent=2)
        chosen.out.parent.mkdir(parents=True, exist_ok=True)
        chosen.out.write_text(figures + "\n", "utf-8")
        print(figures)


if __name__ == "__main__":
    main()
