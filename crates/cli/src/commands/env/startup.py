# Printed by `sdocker env --shell ipython`. Each kernel has the variables of the current host from its start; `%sdocker_env` reads them anew.


def _sdocker_env(line="", quiet=False):
    """Point docker-py, and what is built on it, at the current host of sdocker, or at the one that is named."""
    import json
    import os
    import subprocess

    try:
        asked = subprocess.run(
            ["sdocker", "env", "--shell", "json", *line.split()], stdin=subprocess.DEVNULL, capture_output=True, text=True, timeout=30
        )
    except (OSError, subprocess.TimeoutExpired) as error:
        if not quiet:
            print(f"sdocker env: {error}")
        return
    if asked.returncode:
        if not quiet:
            print(asked.stderr, end="")
        return
    for name, value in json.loads(asked.stdout).items():
        if value is None:
            os.environ.pop(name, None)
        else:
            os.environ[name] = value


_sdocker_env(quiet=True)
try:
    get_ipython().register_magic_function(_sdocker_env, magic_name="sdocker_env")
except NameError:  # plain Python
    pass
