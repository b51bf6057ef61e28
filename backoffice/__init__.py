"""The Django project and the staff console."""
