"""Services and notebooks to start from; docs/examples.md says how to run them."""
