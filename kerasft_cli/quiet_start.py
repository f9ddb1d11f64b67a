import contextlib
import logging
import os
import sys
import tempfile


def start_backend_quietly():
    """Import Keras and start its backend without TensorFlow's start-up chatter.

    TensorFlow's native code writes about libraries and devices to standard
    error whatever its log level; on a command's first lines that looks like
    an error. What it wrote is shown if the start fails.

    Raises:
        ValueError: The backend is not installed.
    """
    sys.stderr.flush()
    terminal = os.dup(2)
    with tempfile.TemporaryFile() as chatter:
        os.dup2(chatter.fileno(), 2)
        try:
            import keras

            if keras.backend.backend() == "tensorflow":
                import tensorflow as tf

                # The devices are looked for when first asked for.
                tf.config.list_logical_devices()
                # Commands run many models; the advice on retracing is for
                # their authors.
                logging.getLogger("tensorflow").setLevel(logging.ERROR)
        except ImportError as error:
            raise ValueError(
                "Expected the backend that KERAS_BACKEND or keras.json names, in ~/.keras, to be "
                f"installed. Received: {error}; install it, or set KERAS_BACKEND=tensorflow."
            ) from error
        # An interrupt needs no explanation.
        except Exception:
            chatter.seek(0)
            os.write(terminal, chatter.read())
            raise
        finally:
            os.dup2(terminal, 2)
            os.close(terminal)


@contextlib.contextmanager
def quiet_workers():
    """Keep what worker processes write to standard error off the terminal.

    They start TensorFlow too, each with its chatter, in the middle of a
    progress bar. What they raise reaches this process all the same, whose own
    messages are shown.
    """
    sys.stderr.flush()
    terminal = os.dup(2)
    shown = sys.stderr
    with (
        open(os.devnull, "w") as nowhere,
        os.fdopen(os.dup(terminal), "w", encoding=shown.encoding, errors="replace") as own,
    ):
        os.dup2(nowhere.fileno(), 2)
        sys.stderr = own
        try:
            yield
        finally:
            own.flush()
            sys.stderr = shown
            os.dup2(terminal, 2)
            os.close(terminal)
