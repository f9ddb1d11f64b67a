"""Trainings of a few steps, whose compilation takes far longer than they do."""

import contextlib

import keras
import pytest


@contextlib.contextmanager
def eagerly():
    """Steps of models are not compiled while the block runs."""
    # Not `keras.Model.compile`: files are not compiled for a model with a method of its own.
    trainer = next(parent for parent in keras.Model.__mro__ if "compile" in vars(parent))
    usual = trainer.compile

    def compile_eagerly(model, *arguments, **options):
        usual(model, *arguments, **{**options, "run_eagerly": True})

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(trainer, "compile", compile_eagerly)
        yield
