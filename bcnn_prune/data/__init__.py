"""HDF5 image sets in, batches out."""
