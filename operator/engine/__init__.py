"""The port to an orchestrator and its adapters."""
