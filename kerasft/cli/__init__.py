"""What the commands of `kerasft` do; `kerasft_cli` parses their arguments."""
