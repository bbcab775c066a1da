"""What `scripts/up` and the tests start on one machine: PostgreSQL, Valkey and our own processes, each a real program.

Nothing here imports the application or the simulator: they are started as processes, told what to do by environment
variables, and asked over HTTP and TCP, as any user would.

    up             the command line: what happens in which order
    stack          which of our processes there are, and what they are told
    jobs, demo     the one-off commands: prepare the database, the demo user, execute a setup over the REST API
    services       PostgreSQL and Valkey: the user's own, or embedded ones
    postgres       how the PostgreSQL server is set up
    valkey         how the Valkey server is set up
    home           where the servers' data lives, and as whom they run
    binaries       where the servers' programs are
    supervisor     several programs: in order, restarted when they die, stopped in reverse
    liveness       whether a running program still answers
    process        one program: start, ready, stop, the last lines of its log
    run_lock       one `up` per clone
    leftovers      what a killed one left behind
    environment    what the user has set
    private_file   what only the user may read
    ports          which TCP ports are free
    throw_away     servers for one test run or one command
    pytest_plugin  those, for the tests
"""
