"""The command ``preview`` of the command line."""

import argparse
from dataclasses import dataclass

from rich.console import Console

from include.perf.catalogue.reading import read_catalogue
from include.perf.load.service_secrets import ServiceSecrets
from include.perf.load.wire import Credentials
from include.perf.model.errors import ConfigurationError
from include.perf.pipeline.wire_preview import wire_examples


@dataclass(frozen=True, slots=True, kw_only=True)
class PreviewCommand:
    """Prints the requests of a service as they go over the wire.

    Attributes:
        credentials: returns the secrets of a service; only the names of headers are printed.
    """

    credentials: Credentials

    def execute(self, options: argparse.Namespace, console: Console) -> int:
        """Print one request of each endpoint."""
        catalogue = read_catalogue()
        service = catalogue.service(options.service)
        scenario = catalogue.scenario(options.scenario) if options.scenario else catalogue.scenario_of(service)
        try:
            secrets = self.credentials(service)
        except ConfigurationError as err:
            secrets = ServiceSecrets()
            console.print(f"warning: the headers with secrets are missing here: {err}")
        data = catalogue.data_path(scenario)
        for endpoint, wire in wire_examples(service, scenario, data=data, secrets=secrets):
            console.print(f"── {endpoint.name}")
            console.out(wire.decode("utf-8", errors="replace").replace("\r\n", "\n"), highlight=False)
        return 0
