"""GLM-4V in PyTorch: configuration, weights, vision tower, decoder. Knows nothing of requests or scheduling."""
