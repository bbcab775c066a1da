"""Why the stack could not be started: every error says what a person can do about it and carries a stable code.

StackError                     exit code 1
├── UsageError                 exit code 2: another option or environment value is needed
│   ├── PortInUseError         port_in_use
│   ├── PortTwiceError         port_twice
│   ├── PortNotPermittedError  port_not_permitted
│   ├── AlreadyRunningError    already_running
│   └── SettingsRefusedError   settings_refused: the environment or `.env` holds what is not allowed
├── NotWritableError           not_writable: a file that this package keeps cannot be written
├── ServiceHomeError           service_home: no folder that the servers can use
├── UserWithoutNameError       user_without_name: the servers' user id has no entry in the machine's list of users
├── BinaryMissingError         binary_missing: no PostgreSQL or Valkey program for this machine
├── DataVersionError           data_version: the data was written by another PostgreSQL
├── NotReadyError              not_ready: a process died or stayed silent while it was started
├── JobFailedError             job_failed: a one-off command (migrate, the demo) did not succeed
└── DemoUserClosedError        demo_user_closed: an administrator has closed the user `demo`, and so it stays
"""


class StackError(Exception):
    """Base of all errors of this package; `str(error)` is the message for a person."""

    code = "stack_error"
    exit_code = 1


class UsageError(StackError):
    """The command can succeed with other options or another environment."""

    code = "usage"
    exit_code = 2


class PortInUseError(UsageError):
    """A port that was asked for by number is taken."""

    code = "port_in_use"


class PortTwiceError(UsageError):
    """Two of the servers that are to be started were given one port."""

    code = "port_twice"


class PortNotPermittedError(UsageError):
    """This user may not listen on a port that was asked for by number."""

    code = "port_not_permitted"


class AlreadyRunningError(UsageError):
    """Another `up` runs in this clone."""

    code = "already_running"


class SettingsRefusedError(UsageError):
    """The application would not start with these settings; the message has a line for each."""

    code = "settings_refused"


class NotWritableError(StackError):
    """A folder or file that everything is kept in cannot be written."""

    code = "not_writable"


class ServiceHomeError(StackError):
    """The folder for the servers' data cannot be used."""

    code = "service_home"


class UserWithoutNameError(StackError):
    """PostgreSQL makes no database for a user id without a name."""

    code = "user_without_name"


class BinaryMissingError(StackError):
    """No server program was found for this machine."""

    code = "binary_missing"


class DataVersionError(StackError):
    """The data folder belongs to a PostgreSQL version that is not here."""

    code = "data_version"


class NotReadyError(StackError):
    """A process ended, or gave no sign of being ready in time."""

    code = "not_ready"


class JobFailedError(StackError):
    """A one-off command ended with an error."""

    code = "job_failed"


class DemoUserClosedError(StackError):
    """The demo cannot be executed, because its user is not ours to open again."""

    code = "demo_user_closed"
