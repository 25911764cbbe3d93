"""The command line: one thin module per noun, imported only when its command is called."""
