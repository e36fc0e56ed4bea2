# SPDX-License-Identifier: BSD-2-Clause
"""What the labs' checker (lab.py) can say of a student's results: counters of an iteration, orderings of costs, and
predictions held against both. Never a bound on cycles: they are another machine's on every machine.

An expectation gives whether it holds and what it looked at, or raises Unseen with the reason why that cannot be said."""
import statistics

import exits
import results

HELD, NOT_HELD, UNSEEN = "held", "not held", "could not be seen here"
LEAST_PROCESSES = 6  # below, not even the whole range is a 95 % interval (results.median_interval)
RETIRED = "instructions"  # of both privileges together
TOLERANCE = 0.02  # of a count an iteration: the timer's interrupts fall into some iterations and not into others
MORE_RUNS = "too noisy, run again with --runs=20; by make: RUNS=20"


class Unseen(Exception):
    """Why something cannot be seen in the results that are there."""


class Unanswered(Exception):
    """What is wrong with a prediction, before anything is measured: that line is not held."""


class Line:
    """One line of the checker."""

    def __init__(self, verdict, what, seen="", reason=""):
        self.verdict, self.what, self.seen, self.reason = verdict, what, seen, reason

    def __str__(self):
        reason = f" ({self.reason})" if self.reason else ""
        return f"{self.verdict}{reason}: {self.what}" + (f"  [{self.seen}]" if self.seen else "")


class Expectation:
    """judge(evidence) gives (whether it holds, what was looked at), or raises Unseen or Unanswered. timed: costs are looked
    at, so that a busy machine can hide it."""

    def __init__(self, what, judge, timed=False):
        self.what, self.judge, self.timed = what, judge, timed

    def line(self, evidence):
        try:
            holds, seen = self.judge(evidence)
        except Unseen as reason:
            return Line(UNSEEN, self.what, reason=str(reason))
        except ZeroDivisionError:
            return Line(UNSEEN, self.what, reason="what it would be divided by is 0")
        except Unanswered as reason:
            return Line(NOT_HELD, self.what, reason=str(reason))
        return Line(HELD if holds else NOT_HELD, self.what, seen)


class Evidence:
    """The runs to look at, the newest last; the runs with exits of real hardware modules; and key -> text of what was
    predicted, None where there is no answers file."""

    def __init__(self, runs, exit_runs=(), predictions=None):
        self.runs, self.exit_runs, self.predictions = list(runs), list(exit_runs), predictions

    def run_of(self, suite, bench, engine):
        for run in reversed(self.runs):
            if run.of(suite, bench, engine):
                return run
        for run in reversed(self.runs):
            if (suite, bench) in run.images or any(f["image"] == bench for f in run.failed + run.skipped):
                raise Unseen(f"{bench} on {engine}: {results.why_missing(run, suite, bench, bench, engine)}")
        raise Unseen(f"{bench} was not measured")

    def engine(self, name):
        """The newest record of an engine, or Unseen."""
        found = [run.engines[name] for run in self.runs if name in run.engines]
        if not found:
            raise Unseen(f"{name} was not asked for")
        if not found[-1].get("available", True):
            raise Unseen(f"{name} cannot run here: {found[-1].get('reason')}")
        return found[-1]

    def rate(self, suite, bench, engine, event):
        """How often an event happens in one iteration: the median."""
        rates = results.events(self.run_of(suite, bench, engine), suite, bench, engine)
        if rates is None:
            raise Unseen(f"{bench} on {engine}: nothing was counted")
        if event == RETIRED and "insns_kernel" in rates:
            return rates["insns_kernel"] + rates["insns_user"]
        if event not in rates:
            raise Unseen(f"{engine} does not count {event}")
        return rates[event]

    def figure(self, suite, bench, engine):
        """A Figure with an interval."""
        figure = results.figure(self.run_of(suite, bench, engine), suite, bench, engine)
        if figure is None:
            raise Unseen(f"{bench} on {engine} runs once: it has no warm cost")
        if figure.interval is None:
            raise Unseen(f"{bench} on {engine}: {results.count_text(figure.processes, 'process', 'processes')}, an interval takes "
                         f"{LEAST_PROCESSES}: run again with RUNS={LEAST_PROCESSES} or more")
        return figure

    def whole(self, image, engine):
        """Counters of a whole run of an image."""
        found = [w for run in self.runs for w in run.wholes if (w["image"], w["engine"]) == (image, engine)]
        if not found:
            raise Unseen(f"{image} on {engine} was not run as a whole")
        if found[-1].get("reason"):
            raise Unseen(f"{image} on {engine}: {found[-1]['reason']}")
        return found[-1]["counters"]

    def predicted(self, key):
        if self.predictions is None:
            raise Unseen("no answers file was given")
        text = self.predictions.get(key, "?").strip()
        if text in ("", "?"):
            raise Unanswered("nothing was predicted")
        return text


# ---- Texts ----

def number_text(value):
    return f"{value:,.3f}".rstrip("0").rstrip(".")


def figure_text(name, figure):
    low, high = map(results.cycles_text, figure.interval)
    return f"{name} {results.cycles_text(figure.median)} ({low} to {high})"


# ---- Counts ----

def near(value, wanted, tolerance=TOLERANCE):
    return abs(value - wanted) <= tolerance


def counted(suite, bench, engine, event, wanted, tolerance=TOLERANCE):
    """The event happens so often in one iteration."""
    def judge(evidence):
        value = evidence.rate(suite, bench, engine, event)
        return near(value, wanted, tolerance), f"{engine}: {event} {number_text(value)}"
    return Expectation(f"{bench}: {number_text(wanted)} {event} an iteration on {engine}", judge)


def at_least(suite, bench, engine, event, wanted):
    def judge(evidence):
        value = evidence.rate(suite, bench, engine, event)
        return value >= wanted, f"{engine}: {event} {number_text(value)}"
    return Expectation(f"{bench}: at least {number_text(wanted)} {event} an iteration on {engine}", judge)


def alike(what, suite, bench, engines, event):
    """The same count on every engine: it is the guest's doing. Engines that cannot run here are passed by."""
    def judge(evidence):
        values, missing = {}, []
        for engine in engines:
            try:
                values[engine] = evidence.rate(suite, bench, engine, event)
            except Unseen as reason:
                missing.append(str(reason))
        if len(values) < 2:
            raise Unseen(missing[0])
        seen = ", ".join(f"{engine} {number_text(v)}" for engine, v in values.items())
        return max(values.values()) - min(values.values()) <= TOLERANCE, f"{event}: {seen}"
    return Expectation(what, judge)


# ---- Exits of real hardware modules ----

def paging_of(run, nested):
    """The back ends of a run of exits with nested paging, or with shadow paging."""
    return [name for name in exits.engines(run) if run.engines[name]["paging"].startswith("nested") == nested]


def suite_of(bench):
    return "process" if bench in results.PROCESS else "nano"


def exit_values(evidence, bench, nested, event=None, suite=None):
    """Back end -> exits of one iteration: all reasons, or one event's. Of the newest run of exits that has the benchmark."""
    for run in reversed(evidence.exit_runs):
        values = {}
        for name in paging_of(run, nested):
            if event:
                found = exits.rates(run, suite or suite_of(bench), bench, name)
                if event in found:
                    values[name] = statistics.mean(found[event])
            else:
                reasons = exits.own(run, suite or suite_of(bench), bench, name)
                if reasons:
                    values[name] = statistics.mean([sum(v) for v in zip(*reasons.values())])
        if values:
            return values
    raise Unseen(f"nobody has counted {bench} with {'nested' if nested else 'shadow'} paging in these results")


def exits_seen(values, what="exits"):
    return f"{what}: " + ", ".join(f"{name} {number_text(v)}" for name, v in values.items())


def exit_count(bench, nested, wanted):
    """So many exits on every back end that has this paging."""
    def judge(evidence):
        values = exit_values(evidence, bench, nested)
        return all(near(v, wanted) for v in values.values()), exits_seen(values)
    return Expectation(f"{bench}: {results.count_text(wanted, 'exit')} an iteration with {'nested' if nested else 'shadow'} paging", judge)


# ---- Orderings ----

def below(a, b):
    """Whether the figure a lies below b; Unseen where their intervals meet."""
    if a.interval[1] < b.interval[0]:
        return True
    if b.interval[1] < a.interval[0]:
        return False
    raise Unseen(MORE_RUNS)


def ordered(what, things):
    """Costs in this order, the cheapest first: intervals that do not meet. things: (name, suite, bench, engine)."""
    def judge(evidence):
        figures = [(name, evidence.figure(suite, bench, engine)) for name, suite, bench, engine in things]
        return in_order(figures), " < ".join(figure_text(*f) for f in figures)
    return Expectation(what, judge, timed=True)


def in_order(figures):
    """False where one pair is the wrong way round for certain, even if another pair is too close to say."""
    doubt = None
    for (_, a), (_, b) in zip(figures, figures[1:]):
        try:
            if not below(a, b):
                return False
        except Unseen as reason:
            doubt = reason
    if doubt:
        raise doubt
    return True


def quotient(a, b):
    """(low, value, high) of a figure over another."""
    return a.interval[0] / b.interval[1], a.median / b.median, a.interval[1] / b.interval[0]


def spread(intervals):
    """(least, most) that the largest of some quantities can be to the smallest, each known as (low, high)."""
    lows, highs = [low for low, _ in intervals], [high for _, high in intervals]
    return max(lows) / min(highs), max(highs) / min(lows)


# ---- Predictions ----

def number(text):
    try:
        return float(text.replace(",", ""))
    except ValueError:
        raise Unanswered(f"`{text}` is no number") from None


def predicted_count(key, what, measure, tolerance=TOLERANCE):
    """measure(evidence) gives (count, what was looked at); the prediction is to be that count."""
    def judge(evidence):
        guess = number(evidence.predicted(key))
        value, seen = measure(evidence)
        return near(value, guess, tolerance), f"predicted {number_text(guess)}; {seen}"
    return Expectation(f"your {key}: {what}", judge)


def predicted_within(key, what, factor, measure):
    """measure(evidence) gives ((low, value, high), what was looked at); the prediction is to be within a factor of the value,
    either way. An interval as wide as that is no measure for it."""
    def judge(evidence):
        guess = number(evidence.predicted(key))
        (low, value, high), seen = measure(evidence)
        if low <= 0 or high / low > factor:
            raise Unseen(MORE_RUNS)
        ratio = guess / value
        return 1 / factor <= ratio <= factor, f"predicted {number_text(guess)}, {ratio:.2f} of what was measured; {seen}"
    return Expectation(f"your {key}: {what}, within a factor of {factor:g}", judge, timed=True)


def predicted_order(key, what, things):
    """`a < b < c`: costs in the order that was predicted. things: name -> (suite, bench, engine), all to be named."""
    def judge(evidence):
        names = [word.strip() for word in evidence.predicted(key).split("<")]
        if sorted(names) != sorted(things):
            raise Unanswered(f"`{' < '.join(names)}` is not these in some order: {', '.join(things)}")
        figures = [(name, evidence.figure(*things[name])) for name in names]
        return in_order(figures), f"predicted {' < '.join(names)}; " + ", ".join(figure_text(*f) for f in figures)
    return Expectation(f"your {key}: {what}", judge, timed=True)


def predicted_word(key, what, answer):
    """answer(evidence) gives (the right word, what was looked at) or raises Unseen."""
    def judge(evidence):
        word = evidence.predicted(key)
        right, seen = answer(evidence)
        return word == right, f"predicted {word}; {seen}"
    return Expectation(f"your {key}: {what}", judge, timed=True)


def rate_of(suite, bench, engine, event):
    """A measure for the predictions: an event's count."""
    def measure(evidence):
        value = evidence.rate(suite, bench, engine, event)
        return value, f"{bench} on {engine}: {event} {number_text(value)}"
    return measure
