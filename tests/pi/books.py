"""What local clients saw and what arrived at the cloud, reading by reading."""

import calendar
import time

# What is younger than that when weir is ended by force may be lost: `max_loss` is 1 s, and the rest lies between the
# moment of a reading and its place in the store, and in the write that has begun. 16 ends at moments of all kinds, on a
# machine with ten times more to do than it can, lost readings of 0.84 s at most.
LOSS_S = 1.25


def wall_s(stamp):
    """Seconds since 1970 of `2026-11-22T10:15:00.123Z`."""
    whole, fraction = stamp.rstrip("Z").split(".")
    return calendar.timegm(time.strptime(whole, "%Y-%m-%dT%H:%M:%S")) + float("0." + fraction)


def is_reading(message):
    return b'"seq"' in message.payload and b'"stale"' not in message.payload


def is_final(message):
    """Whether it is a reading with the time that it will keep."""
    return is_reading(message) and message.reading.get("time_quality") != "unsynced"


def readings(messages):
    """Topic, time and number."""
    found = ((message.topic.removeprefix("sites/"), message.reading) for message in messages if is_final(message))
    return {(topic, one["time"], one["seq"]) for topic, one in found}


def behind_s(messages):
    """How far the clock inside is behind the host's, with the time that the quickest message was on its way."""
    return min(one.at - wall_s(one.reading["time"]) for one in messages if is_final(one) and not one.retained)


class Run:
    """What was seen of weir until it was ended by force, which was at `end_s` by the clock inside."""

    def __init__(self, messages, end_s):
        self.seen, self.end_s = readings(messages), end_s

    def age_s(self, reading):
        """How old one was at the end."""
        return self.end_s - wall_s(reading[1])

    def may_lack(self, reading):
        return 0 <= self.age_s(reading) <= LOSS_S


def everything_arrives(listener, seen, runs):
    """All that local clients have `seen` is at the cloud, but for what runs that were ended by force may lack."""
    young = {one for one in seen if any(run.may_lack(one) for run in runs)}
    missing = lambda: seen - young - readings(listener.messages)
    try:
        listener.wait("everything", lambda: not missing())
    except TimeoutError:
        raise AssertionError(f"{len(missing())} of {len(seen)} are missing: {sorted(missing())[:5]}") from None
    lost = seen - readings(listener.messages)
    ages_s = [run.age_s(one) for run in runs for one in lost if run.may_lack(one)]
    return f"{len(seen)} readings arrived but for {len(lost)}, at most {max(ages_s, default=0):.2f} s old at the end"
