"""ServiceNow: Table API, journal fields, Attachment API (`docs/servicenow.md`)."""
