"""The second decoder: on a machine without a network, an officer reads a request again and confirms it.

It imports the kernel and nothing else of ours, shares no line with the approver page, and has a key of its
own that signers know. A page that shows one payment and has another signed is found out here.
"""
