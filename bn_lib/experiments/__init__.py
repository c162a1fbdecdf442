"""The experiments of the book, one module a chapter, and the data and networks that several of them share (`digits`).

An experiment returns numbers; drawing them is the business of `bn_lib.figures`. Each module ends with its chapter's
entries in the claims ledger, `CLAIMS`. Every source of randomness is a seed in the signature. Needs the `[book]` extra.
"""
