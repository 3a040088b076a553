"""The organizers' side: pages for people who are signed in, and the ways to get there."""
