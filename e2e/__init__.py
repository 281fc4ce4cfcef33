"""The end-to-end suite, the cluster it runs on, the demo and the benchmarks."""
