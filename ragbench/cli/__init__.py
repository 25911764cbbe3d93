"""The command line: one thin file per noun; each is imported only when its command is called."""
