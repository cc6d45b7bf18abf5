"""The AWS emulator, in which each function has an access key of its own that tells its role and its name.

By itself the emulator gives all functions one key, so that nobody could tell who calls and what that one may do.
"""

from ministack.core import lambda_runtime

given = lambda_runtime.execution_credentials


def execution_credentials(config):
    role, function = config["Role"].rsplit("/", 1)[-1], config["FunctionName"]
    return given(config) | {"AWS_ACCESS_KEY_ID": f"assumed-role:{role}:{function}"}


# Before the emulator's other parts take it from there.
lambda_runtime.execution_credentials = execution_credentials

from ministack.app import main

main()
