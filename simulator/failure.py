"""The one exception whose text is meant for the person at the terminal.

In:      one sentence, and the exit code that goes with it.
Errors:  the command line prints the sentence and exits with the code; nobody else catches it.
Source:  CONTRACT, "Exit codes".
"""


class Failure(Exception):
    """Something outside this program is not as it must be, told in one sentence."""

    def __init__(self, sentence: str, exit_code: int = 1) -> None:
        super().__init__(sentence)
        self.exit_code = exit_code


class UsageFailure(Failure):
    """The person asked for something that cannot be: exit code 2."""

    def __init__(self, sentence: str) -> None:
        super().__init__(sentence, exit_code=2)
