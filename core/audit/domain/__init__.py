"""What an audit event's text says, without a database."""
