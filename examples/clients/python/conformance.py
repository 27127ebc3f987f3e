"""Runs operations from standard input (JSON) and prints what each came to: the tests of the protocol drive it."""

import json
import sys

from offstage import NOTHING, Client, OffstageError


def run(client, operation):
    kind = operation.pop("op")
    arg = operation.pop("arg", NOTHING)
    if "timeout" in operation:
        operation["timeout"] /= 1000
    if "run_at" in operation:
        operation["run_at"] /= 1000
    if kind == "ask_result":
        return client.ask_result(**operation)
    if kind == "dequeue":
        return client.dequeue(**operation)
    method = {"call": client.call, "async": client.async_call, "enqueue": client.enqueue}[kind]
    return method(operation.pop("worker"), operation.pop("method"), arg, **operation)


def outcome(action):
    try:
        return {"value": action()}
    except OffstageError as error:
        return {"error": {"code": error.code, "executed": error.executed, "retryable": error.retryable}}


def main():
    given = json.load(sys.stdin)
    outcomes = []

    def connect():
        with Client(given["host"], given["port"], given.get("user"), given.get("password")) as client:
            outcomes.extend(outcome(lambda: run(client, operation)) for operation in given["operations"])

    failed = outcome(connect)
    json.dump([failed] if "error" in failed else outcomes, sys.stdout)


main()
