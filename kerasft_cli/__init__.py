"""The `kerasft` command.

A package of its own: importing `kerasft` imports Keras, which takes seconds,
and `kerasft --help` should answer at once.
"""
