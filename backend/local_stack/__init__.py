"""What `scripts/up` and the tests start on one machine: PostgreSQL, Valkey and our own processes, each a real program.

Nothing here imports the application or the simulator: they are started as processes, told what to do by environment
variables, and asked over HTTP and TCP, as any user would.

    ports          which TCP ports are free
    home           where the servers' data lives, and as whom they run
    binaries       where the servers' programs are
    process        one program: start, ready, stop, the last lines of its log
    leftovers      what a killed stack left behind
    postgres       how the PostgreSQL server is set up
    valkey         how the Valkey server is set up
    pytest_plugin  the servers a test run needs
"""
