"""Chapter on PyTorch and Keras: the same network in three libraries, conversions, and pitfalls that people reported."""
