"""The same workloads timed on minigraph and on its peers; knows nothing about how any of them works inside."""
