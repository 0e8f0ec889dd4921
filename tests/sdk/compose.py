"""Asks packages of the SageMaker SDK which Docker Compose they take: their own code, with programs that say what is to be tried.

compose.py FOLDER_OF_PACKAGES
"""

import ast
import json
import logging
import os
import pathlib
import re
import shutil
import subprocess
import sys
import tarfile
import tempfile
import zipfile

SAID = [
    None,
    "Docker Compose version v1.29.2",
    "Docker Compose version v2.29.1",
    "Docker Compose version 2.40.3-3",
    "Docker Compose version v5.0.0",
]


def modules(package):
    """The modules of a wheel or a source archive."""
    if package.suffix == ".whl":
        with zipfile.ZipFile(package) as archive:
            yield from ((name, archive.read(name).decode()) for name in archive.namelist() if name.endswith(".py"))
        return
    with tarfile.open(package) as archive:
        for member in archive:
            if member.isfile() and member.name.endswith(".py"):
                yield member.name.split("/src/")[-1], archive.extractfile(member).read().decode()


def rule(source):
    """The module's own rule, as a function that returns the command; None where the module runs no Compose."""
    if "docker-compose" not in source:
        return None
    classes = [node for node in ast.parse(source).body if isinstance(node, ast.ClassDef)]
    methods = [{node.name: node for node in each.body if isinstance(node, ast.FunctionDef)} for each in classes]
    functions = next((each for each in methods if "_get_compose_cmd_prefix" in each or "_compose" in each), {})
    names = {
        "find_executable": shutil.which,
        "logger": logging.getLogger(),
        "os": os,
        "re": re,
        "shutil": shutil,
        "subprocess": subprocess,
    }
    decides = functions.get("_get_compose_cmd_prefix")
    if decides is not None:
        decides.decorator_list, decides.returns = [], None
        exec(compile(ast.Module([decides], []), "sdk", "exec"), names)
        return names["_get_compose_cmd_prefix"] if not decides.args.args else lambda: names[decides.name](None)
    # Before it had the function: a check when a container is made, and a name when it is run.
    if "_compose" not in functions:
        return None
    checks = [node for node in functions["__init__"].body if isinstance(node, ast.If) and "find_executable" in ast.dump(node.test)]
    command = [
        node.value.value
        for node in functions["_compose"].body
        if isinstance(node, ast.Assign) and node.targets[0].id == "compose_cmd"
    ]
    assert len(checks) == len(command) == 1, "the SDK's code is of another shape"
    check = compile(ast.Module(checks, []), "sdk", "exec")

    def old():
        exec(check, names)
        return command

    return old


def program(path, text):
    path.write_text(f"#!/bin/sh\n{text}\n")
    path.chmod(0o755)


def ask(decide, said, has_program):
    with tempfile.TemporaryDirectory() as folder:
        folder = pathlib.Path(folder)
        program(folder / "docker", "exit 1" if said is None else f"[ \"$1 $2\" = 'compose version' ] && echo '{said}'")
        if has_program:
            program(folder / "docker-compose", "exit 1")
        os.environ["PATH"] = str(folder)
        try:
            return {("docker", "compose"): "plugin", ("docker-compose",): "program"}[tuple(decide())]
        except ImportError:
            return "nothing"


answers = []
for package in sorted(pathlib.Path(sys.argv[1]).iterdir()):
    name, version = package.name.split("-")[:2]
    version = version.removesuffix(".tar.gz")
    decisions = {module: decide for module, source in modules(package) if (decide := rule(source))}
    assert decisions, f"nothing in {package.name} runs Compose"
    for module, decide in decisions.items():
        for said in SAID:
            for has_program in (False, True):
                takes = ask(decide, said, has_program)
                answers.append(
                    {"package": name, "version": version, "module": module, "said": said, "program": has_program, "takes": takes}
                )
print(json.dumps(answers))
