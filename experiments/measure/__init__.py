"""Questions about the implementation, most of them commands that write a file of measurements for results/<topic>/."""
