"""How Java runs in servers that tests start for a minute."""

# The second compiler pays after minutes. Without it a node's start and its first searches take half the
# processor time: 12.5 s against 23.8 s for a start, 10,000 documents and 140 scripts on two cores.
SHORT_LIVED = "-XX:TieredStopAtLevel=1"

__all__ = ["SHORT_LIVED"]
