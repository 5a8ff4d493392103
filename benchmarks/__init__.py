"""The same workloads timed on minigraph and its peers; knows nothing of how any of them works inside."""
