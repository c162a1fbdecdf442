"""Problems 6 to 8, which are about functions, and the galleries of right and wrong ones that they judge with."""
