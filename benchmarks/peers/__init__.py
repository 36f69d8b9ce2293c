"""The peers: one file each, with the rules in the peer's own form and the reason for that form."""
