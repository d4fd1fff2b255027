"""The Blender add-on, which is ``zordon/``, and what makes a zip of it."""
