"""What needs Blender: reading the open file, preferences, operators, panel. It is only imported there."""
