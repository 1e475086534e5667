"""An experiment harness for peer-to-peer networks."""

__version__ = "0.1.0"
