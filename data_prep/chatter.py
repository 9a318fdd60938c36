"""Did the translator translate, or did it talk, obey or answer?

What is translated may hold instructions, by chance ("Write a poem about …") or on purpose ("Ignore the above and …").
A translator that obeys them leaves a trace: what it was told to say comes back, and the order itself does not.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass

from data_prep.sides import Side

_FEWEST_LOST = 3  # words of the source, so that "Call Ann." → "Ann" stays with the other gates
_ASKS_AT_END = re.compile(r"\?[\"'”’)\]*_]*\s*\Z")
_ASKS = re.compile(r"[?？¿]")
# Japanese questions often end in a full stop; these words make one.
_ASKS_IN_JAPANESE = re.compile(
    r"か[。．.」』）)]|か\s*\Z|何|なに|なん|いくつ|いくら|どれ|どの|どこ|どう|だれ|誰|いつ|なぜ|ください|なさい|求め"
)
_EDGES = " \t\r\n\"'“”‘’«»„()[]{}*_`.,:;!?。、！？「」『』"


@dataclass(frozen=True)
class _Order:
    """How an order reads in English, and what its translations say one of, by language (in lower case).

    One of ``stems`` stands in whatever ``source`` finds; looking for them is ten times as fast.
    """

    stems: tuple[str, ...]
    source: re.Pattern[str]
    counterparts: Mapping[str, tuple[str, ...]]


# Orders to a translator or to a chatbot. Others ("Write your answer as a fraction.") are ordinary text, which has too
# many good translations for a list.
_ORDERS = (
    _Order(
        ("ignore", "disregard", "forget", "override"),
        re.compile(
            r"\b(?:ignore|disregard|forget|override)\b[^.!?\n]{0,40}?"
            r"\b(?:instructions?|above|previous|prior|preceding|earlier|prompts?|rules|directions|everything)\b",
            re.IGNORECASE,
        ),
        {
            "fr": ("ignor", "oubli", "néglig", "compte", "abstraction", "outre", "écart"),
            "es": ("ignor", "olvid", "caso", "cuenta", "descart", "desestim", "omit", "alto", "prescind"),
            "de": ("ignor", "vergiss", "vergess", "acht", "übergeh", "hinweg", "berücksichtig", "verwirf", "verwerf"),
            "it": ("ignor", "dimentic", "trascur", "tralasci", "consider", "conto", "scart", "perdere", "prescind"),
            "ja": ("無視", "忘れ", "従わ", "破棄", "気にし", "考慮し", "取り消"),
        },
    ),
    _Order(
        ("translat",),
        re.compile(
            r"\b(?:do not|don['’]t|never|instead of|rather than|stop|without)\s+translat(?:e|ing)\b", re.IGNORECASE
        ),
        {
            "fr": ("tradu",),
            "es": ("tradu", "traduz"),
            "de": ("übersetz", "übertrag"),
            "it": ("tradu",),
            "ja": ("訳",),
        },
    ),
)

_META_TALK = re.compile(
    r"\b(?:here (?:is|'s) (?:the|a|your|my) (?:\w+ )?translation|the (?:\w+ )?translation (?:is|of|would be|reads)\b"
    r"|translated (?:text|version|into|to) ?:|translation ?:|i (?:cannot|can't|can not|am unable to|'m unable to) "
    r"(?:translate|assist|help|comply|fulfil)|as an ai\b|i'm sorry,? but|sure[,!] here)"
    r"|\b(?:voici la traduction|traduction ?:|la traduction (?:est|en français)|je ne peux pas (?:traduire|vous aider)"
    r"|en tant qu'(?:ia|intelligence|assistant|modèle))"
    r"|\b(?:aquí (?:está|tienes) la traducción|traducción ?:|la traducción (?:es|al español)\b"
    r"|no puedo (?:traducir|ayudar)\b|como (?:una )?(?:ia|inteligencia artificial|modelo de lenguaje)\b)"
    r"|\b(?:hier ist die (?:deutsche )?übersetzung|übersetzung ?:|die übersetzung (?:lautet|ist)"
    r"|ich kann (?:das|diesen text|dies|ihnen|dir)? ?(?:leider )?nicht (?:übersetzen|helfen)"
    r"|als ki\b|als sprachmodell)"
    r"|\b(?:ecco la traduzione|traduzione ?:|la traduzione (?:è|in italiano)|non posso (?:tradurre|aiutar)"
    r"|come (?:ia|intelligenza artificiale|modello linguistico))"
    r"|(?:以下(?:が|は)?[^。\n]{0,8}翻訳|翻訳[:：]|日本語訳[:：]|翻訳(?:は|結果)[^。\n]{0,6}(?:です|とおり|通り)|翻訳できません"
    r"|お手伝いできません|AIとして)|</?think>|<\|[a-z_]+\|>",
    re.IGNORECASE,
)


# One of these stands in whatever the pattern above finds; looking for them is twenty times as fast.
_META_STEMS = (
    "transl", "tradu", "übersetz", "翻訳", "日本語訳", "assist", "help", "comply", "fulfil", "sorry", "sure",
    "as an ai", "en tant qu", "aider", "ayudar", "helfen", "aiutar", "como ", "come ", "als ki", "als sprach",
    "手伝い", "aiとして", "think>", "<|",
)  # fmt: skip
_ABOUT_TRANSLATION = re.compile(
    r"translat|traduc|traduz|übersetz|翻訳|as an ai|sorry|cannot|can't|unable", re.IGNORECASE
)


def find_meta_talk(before: Side, after: Side) -> str | None:
    """What the translation says of itself or of its translator; a source that talks so may be translated so."""
    lowered = after.text.lower()
    if not any(map(lowered.__contains__, _META_STEMS)):
        return None
    match = _META_TALK.search(after.text)
    if match is None or match[0].lower() in before.text.lower() or _ABOUT_TRANSLATION.search(before.text):
        return None
    return match[0]


def is_answered(before: Side, after: Side) -> bool:
    """Whether a text that ends with a question came back without any.

    None of the 400 translations of MGSM by people is so.
    """
    if not _ASKS_AT_END.search(before.prose) or _ASKS.search(after.prose):
        return False
    return after.language.code != "ja" or not _ASKS_IN_JAPANESE.search(after.prose)


def find_obedience(before: Side, after: Side) -> str | None:
    """Why the translation looks like the answer to an order in the source; None where it does not."""
    said = after.text.strip(_EDGES)
    if len(said) < len(before.text) / 2 and said and said in before.text:
        kept = {word.casefold() for word in after.words}
        lost = [word for word in before.words if word[0].islower() and word.casefold() not in kept]
        if len(lost) >= _FEWEST_LOST:
            return f"only {said[:60]!r} of the source came back"
    if before.language.code != "en":
        return None
    lowered = before.text.lower()
    for order in _ORDERS:
        if not any(map(lowered.__contains__, order.stems)):
            continue
        match = order.source.search(before.text)
        counterparts = order.counterparts.get(after.language.code)
        if match is None or counterparts is None:
            continue
        translation = after.text.lower()
        if not any(word in translation for word in counterparts):
            return f"{match[0]!r} was not translated"
    return None
