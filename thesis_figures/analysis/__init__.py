"""Analysis shared by tables and figures: records grouped by seed, data set and flow."""
