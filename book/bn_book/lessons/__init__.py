"""What somebody needs who teaches with the book: what builds on what, how long it takes, what to project and to ask."""
