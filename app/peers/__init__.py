"""The other nodes of the farm: how they are found, how they prove who they are, and whether they are there."""
