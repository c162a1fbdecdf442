"""The chapter on medical images: phantoms from several scanners, detectors with each normalizer, and what they tell."""
