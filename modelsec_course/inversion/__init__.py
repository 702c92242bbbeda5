"""Model inversion: what a trained model, or a gradient, gives away about its training data."""

__all__: list[str] = []
