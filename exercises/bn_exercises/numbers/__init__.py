"""Problems 1 to 4, which ask for numbers: what such a problem is, and each of them."""
