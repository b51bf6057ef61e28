"""Where the coins are: wallets, deposits, withdrawals, refills, and the programs that sign for them."""
