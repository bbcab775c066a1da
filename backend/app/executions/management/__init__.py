"""Commands on executions: what checks the rows."""
