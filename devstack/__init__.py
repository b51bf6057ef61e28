"""The development stack: every service of the exchange on one machine, each under its own OS user."""
