"""Run the demo stack: ``python -m demo up|down|status|story`` (or make up, make down, make status, make demo)."""

import argparse
import shlex
import sys
from collections.abc import Sequence

from rich.console import Console

from demo import commands, configuration
from demo.settings import default_home, read_stack
from demo.story import show_story
from demo.supervisor import running_supervisor, supervise

DEMO_LIFETIME_S = 3600.0
"""How long a stack runs that the story has started."""


def main(arguments: Sequence[str] | None = None) -> int:
    """Run a command and return the exit code."""
    parser = argparse.ArgumentParser(
        prog="python -m demo", description="Run the demo stack: Airflow, Prometheus, six services and a Slack stand-in."
    )
    actions = parser.add_subparsers(required=True, dest="action", metavar="action")
    up = actions.add_parser("up", help="start the stack")
    up.add_argument("--production", action="store_true", help="also run every service a second time, as production")
    actions.add_parser("down", help="stop the stack; its files are kept")
    actions.add_parser("status", help="show whether the stack runs, and its addresses")
    actions.add_parser("env", help="print shell variables for airflow and include.perf")
    actions.add_parser("story", help="show how a regression is found; start the stack if it is not running")
    supervisor = actions.add_parser("supervise")  # internal: without help, it is not listed
    supervisor.add_argument("--lifetime", type=float, metavar="S")
    options = parser.parse_args(arguments)
    console = Console(highlight=False, soft_wrap=True)
    try:
        return _run(options, console)
    except commands.StackError as err:
        console.print(f"error: {err}", markup=False)
        return 1


def _run(options: argparse.Namespace, console: Console) -> int:
    home = default_home()
    stack = read_stack(home)
    match options.action:
        case "up":
            stack = commands.up(home, console, with_production=options.production)
            console.print("\nThe stack is running:")
            commands.show_addresses(stack, console)
            console.print("\nTo stop it: make down")
        case "down":
            commands.down(home, console)
        case "status":
            if stack is None or running_supervisor(home) is None:
                console.print("The stack is not running. To start it: make up")
                return 1
            console.print("The stack is running:")
            commands.show_addresses(stack, console)
        case "env" if stack is not None:
            for name, value in sorted(configuration.stack_environment(stack).items()):
                print(f"export {name}={shlex.quote(value)}")
        case "env":
            raise commands.StackError("there is no stack yet; start one with: make up")
        case "story":
            return show_story(home, console, lifetime_s=DEMO_LIFETIME_S)
        case "supervise" if stack is not None:
            return supervise(stack, lifetime_s=options.lifetime)
    return 0


if __name__ == "__main__":
    sys.exit(main())
