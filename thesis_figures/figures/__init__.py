"""Figures: each module draws one from records."""
