from django.apps import AppConfig


class TraderApiConfig(AppConfig):
    name = "trader_api"
    label = "trader_api"
