"""Projects by content: what belongs to one, where its bytes are, and a folder made of them."""
