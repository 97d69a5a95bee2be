"""Synthetic sets: families of drawn objects whose classes differ in a few parts."""
