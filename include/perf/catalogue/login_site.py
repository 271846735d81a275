"""Where a service's tokens are fetched: checked and called as strictly as the service itself."""

from include.perf.catalogue.service import Service


class LoginSite(Service):
    """The host of a login, as a service with the same allowed hosts, networks, timeouts and TLS settings."""

    @property
    def url_setting(self) -> str:
        """The setting that names its host, for messages."""
        return "login.url"


def login_site(service: Service) -> LoginSite | None:
    """Return where the tokens of a service are fetched; ``None`` if it has no login."""
    if service.login is None:
        return None
    base_url = service.login.base_url(service.base_url)
    return LoginSite.model_construct(**dict(service) | {"name": f"the login of {service.name}", "base_url": base_url})
