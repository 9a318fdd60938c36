"""Units that make one quantity of two ("18 dollars and 50 cents") or two of one ("90 minutes (1.5 hours)")."""

from __future__ import annotations

import functools
import re
from dataclasses import replace
from fractions import Fraction

from eval.quantities import Quantity

# The words of every unit in all our languages at once, since units are borrowed freely.
_CURRENCY = (
    r"(?:us-?|us )?dollars?|doll(?:ari|aro)|d[óo]lar(?:es)?|euros?|pounds?|livres?|libras?|pfund|sterline|"
    r"ドル|ユーロ|ポンド|\$|€|£"
)
_CENT = r"cents?|centesim[io]|centavos?|c[ée]ntimos?|centimes?|pence|penn(?:y|ies)|セント|¢"
_SECOND = r"seconds?|secs?|s|secondes?|segundos?|sekunden?|second[io]|秒間?"
_MINUTE = r"minutes?|mins?\.?|minutos?|minuten?|minut[io]|分間?"
_HOUR = r"hours?|hrs?|h|heures?|horas?|stunden?|std\.?|or[ae]|時間"
_DAY = r"days?|jours?|d[íi]as?|tagen?|tage?|giorn[oi]|日間?"
_WEEK = r"weeks?|semaines?|semanas?|wochen?|settiman[ae]|週間"
_MONTH = r"months?|mois|mes(?:es)?|monaten?|monate?|mes[ei]|か月|ヶ月"
_YEAR = r"years?|ans?|années?|años?|jahren?|jahre?|ann[oi]|年間?"
_INCH = r"inch(?:es)?|in\.?|pouces?|pulgadas?|zoll|pollic[ie]|インチ|\""
_FOOT = r"feet|foot|ft\.?|pieds?|pies?|fuß|piedi|フィート|'"
_OUNCE = r"ounces?|oz\.?|onces?|onzas?|オンス"
_POUND = r"pounds?|lbs?\.?|livres?|libras?|ポンド"
_CENTIMETRE = r"centimet(?:er|re)s?|centímetros?|zentimetern?|centimetr[io]|cm|センチ(?:メートル)?"
_METRE = r"met(?:er|re)s?|metros?|metern?|metr[io]|m|メートル"
_KILOMETRE = r"kilomet(?:er|re)s?|kilómetros?|kilometern?|chilometr[io]|km|キロ(?:メートル)?"
_GRAM = r"grams?|grammes?|gramos?|gramm|gramm[io]|g|グラム"
_TONNE = r"tons?|tonnes?|toneladas?|tonnen?|tonnellat[ae]|t|トン"
_KILOGRAM = r"kilograms?|kilogrammes?|kilos?|kilogramos?|kilogramm|chil[io]|kg|キロ(?:グラム)?"

# Larger unit, smaller unit, how many of the smaller make one of the larger.
_PAIRS: tuple[tuple[str, str, int], ...] = (
    (_CURRENCY, _CENT, 100),
    (_HOUR, _MINUTE, 60),
    (_MINUTE, _SECOND, 60),
    (_FOOT, _INCH, 12),
    (_POUND, _OUNCE, 16),
    (_WEEK, _DAY, 7),
    (_DAY, _HOUR, 24),
    (_YEAR, _MONTH, 12),
    (_KILOMETRE, _METRE, 1000),
    (_METRE, _CENTIMETRE, 100),
    (_KILOGRAM, _GRAM, 1000),
    (_TONNE, _KILOGRAM, 1000),
)
_RATIOS = frozenset(ratio for _, _, ratio in _PAIRS)
_AND = r"\s*(?:,|and|et|y|e|und|con|mit|avec|と)?\s*"
_AND_PART = re.compile(r"\s[^\W\d]{2,20}\s(?:and|et|y|e|und)\s", re.IGNORECASE)
_OF = re.compile(r"\s(?:of|de|di|von)\s(?!(?:the|la|el|il|les?|una?|an?)\s)|\s?(?:[.,;:!)]|$)", re.IGNORECASE)
_PRICE_GAP = re.compile(
    r"\s?(?:euros?|€|dollars?|francs?|franken|pfund|pounds?|lire)\s(?:(?:et|e|y|und|and)\s)?", re.IGNORECASE
)
# After the cents of a price: its end, or for what it is paid ("3 Euro 50 pro Stück").
_PRICE_END = re.compile(
    r"(?!\s?[^\W_])|\s(?:pour|par|für|pro|por|per|for|each|in|en|chacune?|le|la|de plus|im|mehr|après|"
    r"avant|au|aux|chez|nach|vor|am|bei|beim|después|antes|al|dopo|prima|allo|alla)(?!\w)",
    re.IGNORECASE,
)
_GAPS = [
    (
        re.compile(rf"\s?(?:{large}){_AND}", re.IGNORECASE),
        re.compile(rf"\s?(?:{small})(?![A-Za-zÀ-ɏ])", re.IGNORECASE),
        n,
    )
    for large, small, n in _PAIRS
]
_UNITS = [
    (
        re.compile(rf"\s?(?:{large})(?![A-Za-zÀ-ɏ])", re.IGNORECASE),
        re.compile(rf"\s?(?:{small})(?![A-Za-zÀ-ɏ])", re.IGNORECASE),
        n,
    )
    for large, small, n in _PAIRS
]


def compound(statement: str, quantities: list[Quantity]) -> tuple[list[Quantity], dict[int, tuple[Fraction, ...]]]:
    """Join neighbours such as "3 hours 30 minutes".

    Returns:
        The quantities with each such pair made one, its value in the larger unit; and by the start of each pair its
        value in the smaller unit.
    """
    joined: list[Quantity] = []
    smaller: dict[int, tuple[Fraction, ...]] = {}
    for quantity in quantities:
        previous = joined[-1] if joined else None
        if previous is not None and _mixed(statement, previous, quantity):
            joined[-1] = replace(previous, end=quantity.end, values=(previous.values[0] + quantity.values[0],))
            continue
        ratio = _ratio(statement, previous, quantity) if previous is not None else None
        if previous is None or ratio is None or not previous.values or not quantity.values:
            joined.append(quantity)
            continue
        total = previous.values[0] + quantity.values[0] / ratio
        joined[-1] = replace(previous, end=quantity.end, values=(total,))
        smaller[previous.start] = (total * ratio,)
    return joined, smaller


def _mixed(statement: str, whole: Quantity, part: Quantity) -> bool:
    """Whether a fraction adds to the number before it ("1 cup and 3/4 of milk")."""
    if "/" not in statement[part.start : part.end] or not whole.values or not part.values:
        return False
    if whole.values[0].denominator > 1 or whole.values[0] < 1 or not 0 < part.values[0] < 1:
        return False
    gap = statement[whole.end : part.start]
    return _AND_PART.fullmatch(gap) is not None and _OF.match(statement, part.end) is not None


@functools.lru_cache(maxsize=8192)
def _larger_units(gap: str) -> tuple[int, ...]:
    """Which of the larger units stand between two numbers, as places in ``_GAPS``."""
    return tuple(index for index, (pattern, _, _) in enumerate(_GAPS) if pattern.fullmatch(gap))


def _ratio(statement: str, larger: Quantity, smaller: Quantity) -> int | None:
    gap = statement[larger.end : smaller.start]
    if len(gap) > 40:
        return None
    currency = statement[larger.start : larger.start + 1] in "$€£" and re.fullmatch(_AND, gap) is not None
    sign = re.match(r"[€£$]\s?", statement[smaller.start : smaller.end])  # read as the smaller number's own: "3 € 50"
    digits = statement[smaller.start + (sign.end() if sign else 0) : smaller.end]
    cents = smaller.values[:1] and len(digits) == 2 and digits.isdecimal()
    named = _PRICE_GAP.fullmatch(gap + (sign[0] if sign else "")) is not None
    if cents and named and _PRICE_END.match(statement, smaller.end):
        return 100  # "3 Euro 50"
    larger_units = _larger_units(gap)
    for index, (_, unit_pattern, ratio) in enumerate(_GAPS):
        large = index in larger_units or (currency and ratio == 100)
        if large and unit_pattern.match(statement, smaller.end):
            return ratio if smaller.values and 0 <= smaller.values[0] < ratio else None
    return None


def convertible(statement: str, one: Quantity, other: Quantity) -> bool:
    """Whether two quantities are the same amount in two units ("90 minutes, 1.5 hours")."""
    if not one.values or not other.values or not one.values[0] or not other.values[0]:
        return False
    larger, smaller = (one, other) if abs(one.values[0]) < abs(other.values[0]) else (other, one)
    ratio = smaller.values[0] / larger.values[0]
    if ratio.denominator != 1 or ratio.numerator not in _RATIOS:
        return False
    return any(
        ratio.numerator == n and large.match(statement, larger.end) and small.match(statement, smaller.end)
        for large, small, n in _UNITS
    )


@functools.cache
def _currency_pattern() -> re.Pattern[str]:
    return re.compile(rf"\s?(?:{_CURRENCY}|{_CENT})(?![A-Za-zÀ-ɏ])", re.IGNORECASE)


def priced(statement: str, quantity: Quantity) -> bool:
    """Whether a currency stands at a quantity."""
    return statement[quantity.start] in "$€£¥" or _currency_pattern().match(statement, quantity.end) is not None


def same(one: Quantity, other: Quantity) -> bool:
    """Whether two quantities can mean the same value."""
    percent = set(one.values) | ({v / 100 for v in one.values} if one.percent else set())
    others = set(other.values) | ({v / 100 for v in other.values} if other.percent else set())
    return bool(percent & others)
