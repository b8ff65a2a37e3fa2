"""Connectors: one protocol (`rps.domain.delivery.Connector`), one module a kind."""
