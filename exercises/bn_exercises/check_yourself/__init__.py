"""Questions that answer back on a page: what a question is, one made from a problem, and how a page shows it."""
