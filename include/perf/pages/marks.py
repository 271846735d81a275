"""How verdicts and states look on every page: a word, a shape and a tone, so that none depends on colour alone."""

from dataclasses import dataclass

from include.perf.baseline_entry import State
from include.perf.reporting.document import Tone
from include.perf.reporting.report import TONES
from include.perf.run import Severity, Verdict


@dataclass(frozen=True, slots=True)
class Look:
    """How a judgement is drawn.

    Attributes:
        word: what it says.
        shape: one character, different for each.
    """

    word: str
    shape: str
    tone: Tone


VERDICT_LOOKS = {
    verdict: Look(verdict.value.replace("_", " ").lower(), shape, TONES[verdict])
    for verdict, shape in (
        (Verdict.REGRESSION, "▲"),
        (Verdict.INVALID, "?"),
        (Verdict.NOT_COMPARABLE, "≠"),
        (Verdict.IMPROVEMENT, "★"),
        (Verdict.PASS, "✓"),
        (Verdict.NO_BASELINE, "○"),
        (Verdict.SKIPPED, "–"),
    )
}
"""The gravest first, as summaries list them."""

NOT_RUN = Look("not run yet", "·", Tone.QUIET)

STATE_LOOKS = {
    State.APPROVED: Look("approved", "✓", Tone.GOOD),
    State.CANDIDATE: Look("candidate", "◐", Tone.QUIET),
    State.PROVISIONAL: Look("provisional", "○", Tone.QUIET),
    State.STALE: Look("stale", "!", Tone.DOUBT),
    State.SUPERSEDED: Look("superseded", "–", Tone.QUIET),
}

SEVERITY_LOOKS = {
    Severity.CRITICAL: Look("critical", "▲", Tone.BAD),
    Severity.WARNING: Look("warning", "!", Tone.DOUBT),
    Severity.DIGEST: Look("digest", "·", Tone.QUIET),
}
