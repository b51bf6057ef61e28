from django.apps import AppConfig


class CustomersConfig(AppConfig):
    name = "customers"

    def ready(self) -> None:
        from core import access
        from customers.permissions import Permission

        access.register(Permission)
