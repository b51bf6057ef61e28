"""The vault: anybody may seal personal data; to open it one has to ask a program that keeps a log."""
