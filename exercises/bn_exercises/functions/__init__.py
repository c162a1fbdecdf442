"""Problems 6 and 7, which are about functions, and the gallery of right and wrong ones that both judge with."""
