"""The embedded engine: supervised processes on one machine, for trying skep. See docs/engines.md for what it promises."""
