"""Triton kernels of the CUDA path, one family a module; every one has a reference beside it in plain torch that tests
hold it to. Imported only where a CUDA device is used."""
