"""minigraph's CPU kernels: Numba-compiled loops over raw memory, and their plain NumPy references.

Nothing here knows about graphs, layers or TensorFlow. Importing this package imports neither Numba nor LLVM:
compiled kernels are loaded from a cache of object files, and Numba wakes only when one has to be compiled.
"""

#: Lets `minigraph` tell this package from another installed one that shadows the name.
MINIGRAPH_PACKAGE = True
