"""Channels, time stamps and bounds of the workspace and its files."""

import pytest

from demo.slack.files import Shelf
from demo.slack.refusals import RateLimited, SlackRefusal
from demo.slack.state import MESSAGES, SlackMessage, Workspace


class Clock:
    now = 1763838000.9

    def __call__(self):
        return self.now


@pytest.fixture
def clock():
    return Clock()


@pytest.fixture
def workspace(clock):
    return Workspace(clock=clock)


def test_time_stamps_are_unique_and_increase_even_if_the_clock_goes_back(workspace, clock):
    assert workspace.next_ts() == "1763838000.000100"
    assert workspace.next_ts() == "1763838000.000200"
    clock.now = 1763837000
    assert workspace.next_ts() == "1763838000.000300"
    clock.now = 1763838001
    assert workspace.next_ts() == "1763838001.000100"


def test_a_name_with_or_without_its_sign_is_the_same_channel(workspace):
    channel = workspace.named_channel("#perf-alerts")
    assert workspace.named_channel("perf-alerts") is channel
    assert workspace.channel(channel.id) is channel


def test_an_unknown_id_becomes_a_channel(workspace):
    assert workspace.channel("C0PERF0001").name == "c0perf0001"


@pytest.mark.parametrize("reference", ["#Perf Alerts", "", None, 7, "<script>", "x" * 81])
def test_an_invalid_channel_is_not_found(workspace, reference):
    with pytest.raises(SlackRefusal, match="channel_not_found"):
        workspace.named_channel(reference)


def test_a_fixed_list_of_channels_is_complete(clock):
    workspace = Workspace(clock=clock, channels=["perf-alerts=C0PERF0001", "ops"])
    assert workspace.named_channel("perf-alerts").id == "C0PERF0001"
    for reference in ("other", "C0OTHER0001"):
        with pytest.raises(SlackRefusal, match="channel_not_found"):
            workspace.named_channel(reference)


def test_a_second_message_within_a_second_is_refused(clock):
    workspace = Workspace(clock=clock, is_rate_limited=True)
    first, other = workspace.named_channel("a"), workspace.named_channel("b")
    workspace.check_rate(first)
    workspace.check_rate(other)
    clock.now += 0.99
    with pytest.raises(RateLimited):
        workspace.check_rate(first)
    clock.now += 0.01  # one second after the first
    workspace.check_rate(first)


def test_the_oldest_message_is_removed_with_its_file(workspace):
    file, _ = workspace.files.declare(name="a", length_bytes=1, alt_text="")
    workspace.files.receive(file, b"a")
    workspace.files.complete(file, title="")
    first = workspace.add(SlackMessage(channel="C1", ts=workspace.next_ts(), files=(file.id,)))
    for _ in range(MESSAGES - 1):
        workspace.add(SlackMessage(channel="C1", ts=workspace.next_ts()))
    assert workspace.message(first.ts) is first
    workspace.add(SlackMessage(channel="C1", ts=workspace.next_ts()))
    assert len(workspace.messages()) == MESSAGES
    assert workspace.message(first.ts) is None
    assert workspace.files.find(file.id) is None


def stored(shelf, data):
    file, _ = shelf.declare(name="a", length_bytes=len(data), alt_text="")
    shelf.receive(file, data)
    shelf.complete(file, title="")
    return file


def test_new_files_replace_the_bytes_of_the_oldest():
    shelf = Shelf(total_bytes=10)
    first, second = stored(shelf, b"12345"), stored(shelf, b"67890")
    assert (first.data, second.data) == (b"12345", b"67890")  # 10 of 10 bytes
    third = stored(shelf, b"x")
    assert (first.data, second.data, third.data) == (None, b"67890", b"x")


def test_a_file_larger_than_everything_is_refused():
    shelf = Shelf(total_bytes=10)
    shelf.declare(name="a", length_bytes=10, alt_text="")
    with pytest.raises(SlackRefusal, match="file_upload_size_restricted"):
        shelf.declare(name="a", length_bytes=11, alt_text="")


def test_a_picture_is_recognised_by_its_bytes():
    shelf = Shelf()
    assert stored(shelf, b"\x89PNG\r\n\x1a\n...").picture_type == "image/png"
    assert stored(shelf, b"<svg onload=alert(1)>").picture_type is None


def test_a_text_file_has_a_preview_of_ten_lines_and_a_binary_one_has_none():
    shelf = Shelf()
    assert stored(shelf, b"line\n" * 11).preview == "\n".join(["line"] * 10)
    assert stored(shelf, b"\xff\xfe\x00").preview == ""
    assert stored(shelf, ("é" * 5000).encode()).preview == "é" * 1000
