"""The demo stack: ``python -m demo up|down|status|story`` (or make up, make down, make demo)."""

import argparse
import shlex
import sys
from collections.abc import Sequence

from rich.console import Console

from demo import commands, configuration
from demo.settings import default_home, read_stack
from demo.story import tell_story
from demo.supervisor import running_supervisor, supervise

DEMO_LIFETIME_S = 3600.0
"""A stack that only the story started ends by itself after an hour."""


def main(arguments: Sequence[str] | None = None) -> int:
    """Do what the command line says and return the exit code."""
    parser = argparse.ArgumentParser(prog="python -m demo", description=__doc__)
    actions = parser.add_subparsers(required=True, dest="action", metavar="action")
    up = actions.add_parser("up", help="start the stack and keep it running")
    up.add_argument("--production", action="store_true", help="run the services a second time as production")
    actions.add_parser("down", help="end the stack")
    actions.add_parser("status", help="say whether it runs, and where")
    actions.add_parser("env", help="print the shell variables with which airflow and include.perf work on the stack")
    actions.add_parser("story", help="start the stack if need be, and show a regression being found")
    supervisor = actions.add_parser("supervise", help=argparse.SUPPRESS)
    supervisor.add_argument("--lifetime", type=float, metavar="S")
    options = parser.parse_args(arguments)
    console = Console(highlight=False, soft_wrap=True)
    try:
        return _do(options, console)
    except commands.StackError as err:
        console.print(f"bellwether: {err}", markup=False)
        return 1


def _do(options: argparse.Namespace, console: Console) -> int:
    home = default_home()
    stack = read_stack(home)
    match options.action:
        case "up":
            stack = commands.up(home, console, with_production=options.production)
            commands.tell_where(stack, console)
            console.print("`make down` ends it")
        case "down":
            commands.down(home, console)
        case "status":
            if stack is None or running_supervisor(home) is None:
                console.print("the stack is not running")
                return 1
            commands.tell_where(stack, console)
        case "env" if stack is not None:
            for name, value in sorted(configuration.stack_environment(stack).items()):
                print(f"export {name}={shlex.quote(value)}")
        case "env":
            raise commands.StackError("there is no stack yet; `make up` starts one")
        case "story":
            return tell_story(home, console, lifetime_s=DEMO_LIFETIME_S)
        case "supervise" if stack is not None:
            return supervise(stack, lifetime_s=options.lifetime)
    return 0


if __name__ == "__main__":
    sys.exit(main())
