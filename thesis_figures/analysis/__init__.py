"""What tables and figures share: records grouped by seed, set and flow."""
