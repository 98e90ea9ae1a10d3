"""The `mainstem` command: data to stdout, talk to stderr; what changes things previews unless told to `--execute`."""
