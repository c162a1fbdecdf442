"""What the book's pages call: a room for each chapter, under the name of its page, and what the rooms share.

A chapter's `experiments` return numbers, its `figures` draw them, its `claims` are its entries in the ledger, its
`questions` answer back, its `laboratory` lets a reader run one of its experiments with other settings, and its
`map.svg` stands for it on the cover. Every source of randomness is a seed in the signature. `drawing` gets a figure
onto a page, `explorables` has the figures that think along, `data` and `networks` are what several chapters learn from
and with. It uses `bn_lib` and `bn_exercises`, and they know nothing of it. Needs the `[book]` extra.
"""
