"""The rules that :func:`app.jobs.transitions.transition` applies, by what they are about. Pure, as it is."""
