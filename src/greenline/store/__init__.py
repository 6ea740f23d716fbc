"""Postgres, the one store: connections, migrations, group commit and mailboxes."""
