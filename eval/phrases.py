"""What people say around an answer, language by language: corrections, denials, alternatives, ranges, refusals.

Facts for the grader only; the words that announce an answer are in ``data_prep.languages``. Entries are fragments of
regular expressions, matched without regard to case; a blank in one stands for any white space.
"""

from __future__ import annotations

import functools
import re
from dataclasses import dataclass, fields
from pathlib import Path

import yaml

# Between "the answer" and a number that is it: no noun, no other verb.
DIRECT = re.compile(
    r"(?:[^\w]|\b(?:exactly|about|approximately|around|only|just|also|the|a|an|x|y|n|is|usd|eur|us|rs|"
    r"environ|exactement|seulement|de|le|la|exactamente|aproximadamente|el|unos|genau|etwa|ungefähr|rund|"
    r"circa|esattamente|solo|il|i|le|est|es|è|ist|it|it's|that|that's|this|should|must|be|are|actually|really|c'est|"
    r"ce|cela|fait|sont|doit|être|son|debe|ser|sería|sono|deve|essere|sarebbe|es|das|sind|sein|muss|müsste|wären?)\b|"
    r"約|およそ|ちょうど|全部で|合計で?|は|の)*",
    re.IGNORECASE,
)
_JAPANESE = re.compile(r"[\u3040-\u30ff\u4e00-\u9fff、〜～]")


@dataclass(frozen=True, eq=False)  # compared by identity: patterns are cached by it
class Phrases:
    """The phrases of one language.

    Args:
        corrections: openings that take back what was said before; what follows counts ("wait, it is 18").
        weak_corrections: those that do so only with a comma or a number after them ("no, 18").
        retractions: clauses that take back an answer even when nothing follows ("that is wrong").
        confirmations: clauses that end a doubt with what was said before ("that is right").
        checks, notes: headings of a check or an explanation ("Check:", "Explanation:").
        check_openings, note_openings: openings of sentences that check or remark something ("to verify", "note that").
        counterfactuals: clauses that say what would have been ("without the discount he would have paid").
        half_after, quarter_after, three_quarters_after: words that add to the number before them ("two and a half").
        half_glued: the same written in one word with the number ("zweieinhalb").
        half_before: words that halve what follows ("half a dozen").
        portion_links: words after a fraction noun that is a fraction ("a third of", not "the third day").
        parts: nouns that make an ordinal a fraction ("la cuarta parte").
        whole_halves: words that halve the noun after them ("half a pizza").
        glued_portions: fractions written in one word with a unit ("Dreiviertelstunde").
        articles: articles that stand for one ("an hour and a half").
        decimal_words: words for the decimal separator ("one point five").
        times: clock times in words, ``{hour}`` and ``{minute}`` being numbers, and after ``|`` the minutes to add: a
            constant, ``+`` or ``-`` the minute named.
        noon, midnight: words for 12:00 and 0:00.
        none_left: clauses that say that there is nothing of what was asked for ("none are left").
        denied_before: words that deny the number after them ("not 20"); denied_after: before them ("20ではなく").
        rejections: clauses that deny the number before them as the answer ("18 is not the right answer").
        disbeliefs: clauses that deny the number after them as the answer ("I do not think the answer is 18").
        soft_corrections: openings that take back an answer only where another one follows at once ("actually, 20").
        names: nouns that the number after them names ("flight 447"); named_after: the same after it (101号室).
        number_nouns: words between such a noun and its number ("bus number 12").
        alternatives: words between two answers of which it may be either ("18 or 20").
        paired: words that part two answers when they are said twice ("soit 18, soit 20").
        additions: words between two things that both hold ("18 and 20").
        range_to: words between the ends of a range; range_from: words before its first end.
        refusals: clauses that say that no answer is given; withdrawals: that one is taken back, if no number follows.
        conditions: openings under which a statement is not made ("if the answer is 18").
        restatements: openings of clauses that tell the task again ("we need to find").
        questions: words that make a clause a question about the quantity asked for.
        comparisons: words that make the number before them a difference ("4 more than").
        comparison_words: the words without which none of these stands ("more", "than").
        pointers: openings of a sentence about what was said before it ("that is").
        warnings: words before a remark about a mistake ("careful").
        conditionals: verbs that only suppose ("would").
        amounting: openings of a clause that says what the one before comes to ("which makes").
        below_zero: words that make the degrees before them negative; below_zero_before: the same before them.
        contrasts: words that open a sentence about another side ("on the other hand").
        commitments: words before the number that is settled on ("I'm going with").
        final_words: words that say what things come to in the end ("ends up with").
        rates: openings of a clause that says a number again in other terms ("or roughly 487 a day").
        verifications: clauses that find what was to be expected ("as required").
        ordinals: the first to the fifth, in this order, each as one entry.
        part_of: words after a number that is a part of the one before it ("55 cards, 7 of which").
        subordinators: words that open a sentence with its reason, the main clause last ("since … , 7 are left").
        not_asked: clauses that say that what they name was not asked for.
        result_verbs: verbs of what comes out ("leaves", "gets").
        explainers: words that open a clause of reason or a relative one, also inside of a sentence ("since", "dont").
        explanations: openings of sentences that only say why what was said before holds ("this is because").
        both_links: words between two choices that both hold ("as well as").
        hedges: words that make two numbers two guesses ("could be 18 … could be 20").
        offers: openings of a question that offers help.
        dangling: words that no sentence ends with; one that does was broken off.
        wrong_after: clauses that rule out the choice before them ("B is too small").
        instructions: clauses that repeat how to answer ("on the last line").
        neither: words that deny all the choices after them ("neither A nor B").
        takes, purpose: "it takes 4 hours", "to drive" 240 miles: the second number is what the first is needed for.
        but: words after which a clause counts on its own.
        turns: words that turn against what was said before ("however", "on reading again").
        reasons: words that open a clause beside the point, a reason or a part ("because", "of whom").
        asides: prepositions that mark a number as circumstance ("in 3 days", "for 5 people").
        picks_before, picks_after: words around the choice letter that is picked ("I choose B", "B is correct").
        no_option: clauses that say that no option is right ("none of the answers").
        mistakes: openings of remarks about answers that others give by mistake ("a common mistake is").
        restaters: words that open the same said again ("that is").
        choice_nouns: nouns before a choice letter ("option B").
        soft_nouns: answer words that also name steps ("the total is"); they count in the last sentence only.
        says_yes, says_no, says_true, says_false: the truth words.
        bounds: words that make a number a bound and no value ("more than 18"); "at least 18" can be an answer.
        vague_after: words after a number that make it a bound ("300 and change").
        morning, afternoon: markers of the half of the day.
    """

    corrections: tuple[str, ...] = ()
    weak_corrections: tuple[str, ...] = ()
    retractions: tuple[str, ...] = ()
    confirmations: tuple[str, ...] = ()
    checks: tuple[str, ...] = ()
    notes: tuple[str, ...] = ()
    check_openings: tuple[str, ...] = ()
    note_openings: tuple[str, ...] = ()
    counterfactuals: tuple[str, ...] = ()
    half_after: tuple[str, ...] = ()
    quarter_after: tuple[str, ...] = ()
    three_quarters_after: tuple[str, ...] = ()
    half_glued: tuple[str, ...] = ()
    half_before: tuple[str, ...] = ()
    portion_links: tuple[str, ...] = ()
    parts: tuple[str, ...] = ()
    whole_halves: tuple[str, ...] = ()
    glued_portions: tuple[str, ...] = ()
    articles: tuple[str, ...] = ()
    decimal_words: tuple[str, ...] = ()
    times: tuple[str, ...] = ()
    noon: tuple[str, ...] = ()
    midnight: tuple[str, ...] = ()
    none_left: tuple[str, ...] = ()
    denied_before: tuple[str, ...] = ()
    denied_after: tuple[str, ...] = ()
    rejections: tuple[str, ...] = ()
    disbeliefs: tuple[str, ...] = ()
    soft_corrections: tuple[str, ...] = ()
    names: tuple[str, ...] = ()
    named_after: tuple[str, ...] = ()
    number_nouns: tuple[str, ...] = ()
    alternatives: tuple[str, ...] = ()
    paired: tuple[str, ...] = ()
    additions: tuple[str, ...] = ()
    range_to: tuple[str, ...] = ()
    range_from: tuple[str, ...] = ()
    refusals: tuple[str, ...] = ()
    withdrawals: tuple[str, ...] = ()
    conditions: tuple[str, ...] = ()
    restatements: tuple[str, ...] = ()
    questions: tuple[str, ...] = ()
    comparisons: tuple[str, ...] = ()
    comparison_words: tuple[str, ...] = ()
    pointers: tuple[str, ...] = ()
    warnings: tuple[str, ...] = ()
    conditionals: tuple[str, ...] = ()
    amounting: tuple[str, ...] = ()
    below_zero: tuple[str, ...] = ()
    below_zero_before: tuple[str, ...] = ()
    contrasts: tuple[str, ...] = ()
    commitments: tuple[str, ...] = ()
    final_words: tuple[str, ...] = ()
    rates: tuple[str, ...] = ()
    verifications: tuple[str, ...] = ()
    ordinals: tuple[str, ...] = ()
    part_of: tuple[str, ...] = ()
    subordinators: tuple[str, ...] = ()
    not_asked: tuple[str, ...] = ()
    result_verbs: tuple[str, ...] = ()
    explainers: tuple[str, ...] = ()
    explanations: tuple[str, ...] = ()
    both_links: tuple[str, ...] = ()
    hedges: tuple[str, ...] = ()
    offers: tuple[str, ...] = ()
    dangling: tuple[str, ...] = ()
    wrong_after: tuple[str, ...] = ()
    instructions: tuple[str, ...] = ()
    neither: tuple[str, ...] = ()
    takes: tuple[str, ...] = ()
    purpose: tuple[str, ...] = ()
    but: tuple[str, ...] = ()
    turns: tuple[str, ...] = ()
    reasons: tuple[str, ...] = ()
    asides: tuple[str, ...] = ()
    picks_before: tuple[str, ...] = ()
    picks_after: tuple[str, ...] = ()
    no_option: tuple[str, ...] = ()
    mistakes: tuple[str, ...] = ()
    restaters: tuple[str, ...] = ()
    choice_nouns: tuple[str, ...] = ()
    soft_nouns: tuple[str, ...] = ()
    says_yes: tuple[str, ...] = ()
    says_no: tuple[str, ...] = ()
    says_true: tuple[str, ...] = ()
    says_false: tuple[str, ...] = ()
    bounds: tuple[str, ...] = ()
    vague_after: tuple[str, ...] = ()
    morning: tuple[str, ...] = ()
    afternoon: tuple[str, ...] = ()


def _read(path: Path) -> dict[str, Phrases]:
    content = yaml.safe_load(path.read_text(encoding="utf-8"))
    return {code: Phrases(**{name: tuple(entries) for name, entries in own.items()}) for code, own in content.items()}


PHRASES: dict[str, Phrases] = _read(Path(__file__).with_suffix(".yaml"))


@functools.cache
def phrases(language: str) -> Phrases:
    """The phrases of a language together with the English ones, which models mix in; English alone if unknown."""
    english = PHRASES["en"]
    own = PHRASES.get(language, english)
    if own is english:
        return english
    merged = {f.name: tuple(dict.fromkeys(getattr(own, f.name) + getattr(english, f.name))) for f in fields(Phrases)}
    return Phrases(**merged)


@functools.cache
def japanese(entry: str) -> bool:
    """Whether an entry is written in a script that does not part words."""
    return _JAPANESE.search(entry) is not None


@functools.cache
def either_word(entries: tuple[str, ...], *, ends: bool = True) -> str:
    """A pattern for any of the entries: whole words, but Japanese ones anywhere, since nothing parts its words."""
    spaced = "|".join(entry for entry in entries if not japanese(entry))
    unspaced = [entry for entry in entries if japanese(entry)]
    end = r"(?!\w)" if ends else ""
    return "|".join([rf"(?<!\w)(?:{spaced}){end}"] * bool(spaced) + unspaced) or "(?!)"
