"""The kopf-inspired loop: registry and decorators, informer, work queue, backoff. It knows no tenant."""
