"""Systems with a REST interface of their own, described in YAML (`rest-connector.md`).

`description` reads what is written, `requests` makes requests of it, `answers` and
`records` say what came back, `connector` is the connector.
"""
