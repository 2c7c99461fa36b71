"""Benchmarks: one script a question, each run by `python -m bench.NAME [--out FILE] [--quick]`.

What every script prints and records is in `report`; the data they share is made, from a seed, by
`vectors`, `library` and `pictures`; `peers` runs other programs on the same data.
"""
