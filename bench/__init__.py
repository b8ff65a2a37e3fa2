"""What rps reaches, beside what one would write by hand; README.md tells how to run."""
