"""What core's small trusted programs share: they hold one secret each, and import the kernel and this."""
