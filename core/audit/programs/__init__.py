"""The trusted programs' own logs, as an outsider reads them: the lines, what they say, whether deeds fit."""
