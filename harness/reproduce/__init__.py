"""Published results, run again: what a paper says, what theory predicts at our size, what was measured."""
