"""How to drive each render engine. Nothing in here ever starts a process: an engine is data and rules, the
service's ``render`` room is what runs it."""
