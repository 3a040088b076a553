"""The public pages: what anybody can see and do."""
