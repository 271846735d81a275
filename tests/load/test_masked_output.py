"""What a locustfile prints: masked, in order, and limited."""

from include.load.masked_output import MAX_LINE, MAX_PENDING, MaskedOutput
from include.perf.model.masking import Mask

SECRET = "geheim-1234567"


def test_lines_are_kept_and_written_masked_one_at_a_time() -> None:
    """Masking takes time, which the schedule must not lose at once."""
    written: list[str] = []
    output = MaskedOutput(written.append, lambda: Mask([SECRET]))
    print(f"key {SECRET}", file=output)
    print("second", file=output)
    assert written == []
    output.write_next()
    assert written == ["key ***\n"]
    output.write_next()
    output.write_next()
    assert written == ["key ***\n", "second\n"]


def test_the_end_writes_what_is_kept_and_later_lines_at_once() -> None:
    """The traceback that ends a process is printed after everything else."""
    written: list[str] = []
    output = MaskedOutput(written.append, lambda: Mask([SECRET]))
    output.write("begun")
    output.end()
    print(SECRET, file=output)
    assert written == ["begun\n", "***\n"]


def test_too_many_lines_are_left_out_and_counted() -> None:
    """The first ones say most."""
    written: list[str] = []
    output = MaskedOutput(written.append, Mask)
    for number in range(MAX_PENDING + 7):
        print(number, file=output)
    output.end()
    assert written[:2] == ["0\n", "1\n"]
    assert written[-1] == "… 7 lines left out: the locustfile prints more than 20 a second\n"
    assert len(written) == MAX_PENDING + 1


def test_a_long_line_is_cut_and_a_secret_at_its_end_masked() -> None:
    """Also the beginning of a secret is one."""
    written: list[str] = []
    output = MaskedOutput(written.append, lambda: Mask([SECRET]))
    output.write("x" * (MAX_LINE - 8) + SECRET + "\n")
    output.end()
    assert SECRET[:8] not in written[0]
    assert written[0].endswith("***…\n")
