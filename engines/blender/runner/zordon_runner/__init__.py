"""What runs inside Blender: opens one project and renders the frames that come in on stdin.

Works under the Python of every Blender from 2.93 on (3.9) and, as the module ``bpy``, under the service's. Only the
standard library and bpy are at hand, nothing of the service: the other side of every line is ``engines.blender.wire``.
"""
