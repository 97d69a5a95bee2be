"""Synthetic sets: families of rendered objects whose classes differ in a few parts."""
