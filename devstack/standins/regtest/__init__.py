"""A Bitcoin regtest node for demos and tests: Bitcoin Core's own validation behind Core's JSON-RPC.

Every block is judged by Bitcoin Core's validation engine (py-bitcoinkernel). What the engine does not have (a
mempool, an index of transactions, the RPC) is written here, and held to a real bitcoind by one contract
suite.
"""
