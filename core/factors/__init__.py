"""Second factors of the staff, the ceremonies in which they are used, and what happens when one is lost."""
