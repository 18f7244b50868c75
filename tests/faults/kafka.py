"""A broker that can be reached by two ways: straight, and through a proxy that may fail."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

from pipeline.embedded.kafka import HOST, KafkaServer
from pipeline.embedded.process import free_ports


class ProxiedKafka(KafkaServer):
    """Kafka with a second listener, whose clients are told the port of a proxy.

    Attributes:
        inner_port: Where the proxy leads.
        proxy_port: Where the proxy listens.
    """

    def __init__(self, folder: Path, properties: Mapping[str, str] | None = None) -> None:
        super().__init__(folder, properties)
        self.inner_port, self.proxy_port = free_ports(2)

    @property
    def proxied(self) -> str:
        """Address for ``bootstrap.servers`` behind the proxy."""
        return f"{HOST}:{self.proxy_port}"

    def _all_properties(self) -> dict[str, str]:
        found = super()._all_properties()
        names = ("PLAINTEXT", "CONTROLLER", "PROXIED")
        return found | {
            "listeners": f"{found['listeners']},PROXIED://{HOST}:{self.inner_port}",
            "advertised.listeners": f"{found['advertised.listeners']},PROXIED://{self.proxied}",
            "listener.security.protocol.map": ",".join(f"{name}:PLAINTEXT" for name in names),
            "inter.broker.listener.name": "PLAINTEXT",
        }
