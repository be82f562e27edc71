"""One thin module per command: declare options, call one function, print. See `motacli.builtin.COMMANDS`."""
