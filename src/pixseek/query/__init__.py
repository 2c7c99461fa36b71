"""What people ask for: one tree, written as a line or put together in Python, → hits.

`line` reads a line, `printing` writes it; `tree` has what both speak of, and `fields` the names of
conditions. `plan` turns a tree into vectors to add up, filters and words; `vectors` encodes them,
and `searching` asks the store. docs/query.md is the reference for users.
"""
