"""Each translator gives what its backend says, and names what it cannot use; none of them loses a protected span."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from data_prep.command import CommandTranslator, mask, unmask
from data_prep.config import BuildConfig, build_hash, flat_recipe
from data_prep.llm import EngineTranslator, translation_request
from data_prep.memory import MemoryEntry, memory_table, read_memory
from data_prep.translators import Attempt, MemoryTranslator, TranslatorConfig, Unit, open_translator
from launch.engines.base import Completion, FinishReason, Request
from launch.engines.config import EngineConfig
from launch.engines.store import CompletionStore
from launch.errors import InputError

MEMORY = Path(__file__).parent / "cases" / "memory.jsonl"
TMX = """<?xml version="1.0"?>
<!DOCTYPE tmx [<!ENTITY secret SYSTEM "{secret}">]>
<tmx version="1.4"><header srclang="en-US" datatype="plaintext"/><body>
<tu><tuv xml:lang="en-US"><seg>Good morning.</seg></tuv><tuv xml:lang="fr"><seg>Bon<hi>jour</hi>.<ph>x</ph></seg></tuv>
<tuv xml:lang="de-DE"><seg>Guten Morgen.</seg></tuv></tu>
<tu srclang="de"><tuv lang="de"><seg>Danke &amp; tschüss.</seg></tuv>
<tuv lang="en"><seg>Thanks &amp; bye.</seg></tuv></tu>
<tu><tuv xml:lang="en"><seg>Secret: &secret;</seg></tuv><tuv xml:lang="fr"><seg>Secret : &secret;</seg></tuv></tu>
</body></tmx>"""


def test_memory_from_json_lines() -> None:
    table = memory_table(read_memory(MEMORY))

    assert set(table) == {("en", "fr"), ("en", "de")}
    assert table["en", "fr"]["Anna now has 12 apples in her basket."] == "Anna a maintenant 12 pommes dans son panier."


def test_memory_from_tmx(tmp_path: Path) -> None:
    (tmp_path / "secret.txt").write_text("the password")
    path = tmp_path / "memory.tmx"
    path.write_text(TMX.format(secret=tmp_path / "secret.txt"), encoding="utf-8")

    entries = list(read_memory(path))

    assert entries[:3] == [
        MemoryEntry("en", "fr", "Good morning.", "Bonjour."),
        MemoryEntry("en", "de", "Good morning.", "Guten Morgen."),
        MemoryEntry("de", "en", "Danke & tschüss.", "Thanks & bye."),
    ]
    assert not any("password" in text for entry in entries for text in entry)


@pytest.mark.parametrize(
    ("name", "content", "words"),
    [
        ("none.jsonl", None, "none.jsonl does not exist"),
        ("empty.jsonl", "", "empty.jsonl holds no entries"),
        ("broken.jsonl", "{", "broken.jsonl, line 1: this is not JSON"),
        ("short.jsonl", '{"source_language": "en"}', "line 1: an entry needs the text field 'target_language'"),
        ("broken.tmx", "<tmx><body><tu>", "broken.tmx is not well-formed TMX"),
        ("bomb.tmx", '<!DOCTYPE t [<!ENTITY a "aa"><!ENTITY b "&a;&a;">]><tmx>&b;</tmx>', "bomb.tmx holds no entries"),
    ],
)
def test_a_bad_memory_is_named(tmp_path: Path, name: str, content: str | None, words: str) -> None:
    if content is not None:
        (tmp_path / name).write_text(content, encoding="utf-8")

    with pytest.raises(InputError, match=words):
        list(read_memory(tmp_path / name))


def test_memory_translates_what_it_holds_and_nothing_else() -> None:
    translator = MemoryTranslator(
        [MemoryEntry("en", "fr", " Yes. ", "Oui.\n"), MemoryEntry("en", "fr", "Yes.", "Si.")]
    )

    known, unknown = translator.translate([Unit("Yes."), Unit("No.")], "en", "fr", 0)

    assert (known.text, unknown.text, unknown.reason) == ("Oui.", None, "not_in_memory")
    with pytest.raises(InputError, match="no entries for en-de, only for: en-fr"):
        translator.translate([Unit("Yes.")], "en", "de", 0)


def test_a_memory_has_to_come_from_somewhere(tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"translator.memory names no file"):
        open_translator(TranslatorConfig(), tmp_path, None)
    with pytest.raises(InputError, match=r"nowhere.tmx does not exist"):
        open_translator(TranslatorConfig(memory=["nowhere.tmx"]), tmp_path, None)


def program(tmp_path: Path, code: str) -> list[str]:
    script = tmp_path / "program.py"
    script.write_text(f"import sys\ntext = sys.stdin.buffer.read().decode()\n{code}\n", encoding="utf-8")
    return [sys.executable, str(script)]


WRITE = "sys.stdout.buffer.write({}.encode())"


def test_a_command_gets_segments_and_gives_translations_in_order(tmp_path: Path) -> None:
    argv = [*program(tmp_path, WRITE.format("text.replace('cat', sys.argv[1])")), "gato-{source}-{target}"]
    translator = CommandTranslator(TranslatorConfig(command=argv, batch_segments=2))

    attempts = translator.translate([Unit(f"cat {number}") for number in range(5)], "en", "es", 0)

    assert [attempt.text for attempt in attempts] == [f"gato-en-es {number}" for number in range(5)]


def test_a_command_never_sees_a_protected_span(tmp_path: Path) -> None:
    unit = Unit("Call `run` and `run` at https://x.org now", ("`run`", "`run`", "https://x.org"))
    translating = program(
        tmp_path, WRITE.format("text.replace('run', 'LAUF').replace('http', 'X').replace('and', 'und')")
    )
    result = CommandTranslator(TranslatorConfig(command=translating)).translate([unit], "en", "de", 0)[0]
    assert result.text == "Call `run` und `run` at https://x.org now"

    shouting = program(tmp_path, WRITE.format("text.upper()"))
    result = CommandTranslator(TranslatorConfig(command=shouting)).translate([unit], "en", "de", 0)[0]
    assert (result.text, result.reason) == (None, "protected_spans")
    assert result.output.startswith("CALL ")


@pytest.mark.parametrize(
    "code",
    [
        WRITE.format("text.replace('swallow', 'sw\\n\\nallow').upper()"),
        f"sys.exit('no swallows') if 'swallow' in text else {WRITE.format('text.upper()')}",
        f"__import__('time').sleep(60 if 'swallow' in text else 0); {WRITE.format('text.upper()')}",
    ],
    ids=["splits it", "fails", "hangs"],
)
def test_a_segment_that_a_command_does_not_bring_back_costs_itself(tmp_path: Path, code: str) -> None:
    translator = CommandTranslator(TranslatorConfig(command=program(tmp_path, code), timeout_s=3))

    attempts = translator.translate([Unit("dog"), Unit("swallow"), Unit("cat")], "en", "es", 0)

    assert [attempt.text for attempt in attempts] == ["DOG", None, "CAT"]
    assert attempts[1].reason == "command_failed"


def test_a_command_that_does_not_work_at_all_is_named(tmp_path: Path) -> None:
    broken = CommandTranslator(TranslatorConfig(command=program(tmp_path, "sys.exit('no such mode')")))

    with pytest.raises(InputError, match=r"translator.command: .* failed: exit status 1: no such mode"):
        broken.translate([Unit("dog"), Unit("cat")], "en", "es", 0)
    with pytest.raises(InputError, match="there is no program 'no-such-program'"):
        CommandTranslator(TranslatorConfig(command=["no-such-program"]))
    with pytest.raises(InputError, match=r"translator.command is empty"):
        CommandTranslator(TranslatorConfig())


WORDS = st.text(st.sampled_from("ab `$"))


@given(pieces=st.lists(st.tuples(WORDS, WORDS.filter(bool)), max_size=5), end=WORDS)
def test_masking_hides_every_span_and_unmasking_brings_it_back(pieces: list[tuple[str, str]], end: str) -> None:
    text = "".join(before + span for before, span in pieces) + end
    spans = [span for _, span in pieces]

    masked = mask(text, spans)

    assert masked is not None
    assert masked.count("Zqx") == len(spans)
    assert unmask(masked, spans) == text


def test_a_lost_a_doubled_and_an_invented_span_are_noticed() -> None:
    assert mask("a `b` c", ["`b`"]) == "a Zqxaaz c"
    assert unmask("a c", ["`b`"]) is None
    assert unmask("Zqxaaz Zqxaaz", ["`b`"]) is None
    assert unmask("Zqxaaz Zqxabz", ["`b`"]) is None
    assert mask("Zqxaaz is in the text already", []) is None


class ScriptedEngine:
    """Answers by a function; counts what it was asked."""

    identity = "scripted"

    def __init__(self, answer: Callable[[Request], tuple[str, FinishReason]]) -> None:
        self.answer = answer
        self.asked: list[Request] = []

    def generate(self, requests: Iterable[Request]) -> Iterator[Completion]:
        for request in requests:
            self.asked.append(request)
            text, reason = self.answer(request)
            error = "down" if reason == "error" else None
            yield Completion(request.key(self.identity), text, reason, 10, 5, error=error)

    def close(self) -> None:
        pass


def adapter(folder: Path, content: str) -> Path:
    folder.mkdir()
    (folder / "adapter_config.json").write_text(content, encoding="utf-8")
    return folder


def test_every_target_language_is_asked_of_its_own_adapter(tmp_path: Path) -> None:
    config = TranslatorConfig(kind="engine", adapters={"fr": str(adapter(tmp_path / "fr", "{}"))})
    engine = ScriptedEngine(lambda request: ("〘x〙", "stop"))
    translator = EngineTranslator(config, engine, CompletionStore(tmp_path / "store"))
    for language in ("fr", "de", "fr"):
        assert translator.translate([Unit("Yes.")], "en", language, 0)[0].text == "x"
    assert [request.adapter and request.adapter.path for request in engine.asked] == [str(tmp_path / "fr"), None]
    assert translator.name.startswith("scripted fr=fr#"), "rows say which adapter made them"

    (tmp_path / "fr" / "adapter_config.json").write_text('{"r": 8}', encoding="utf-8")
    trained_on = EngineTranslator(config, engine, CompletionStore(tmp_path / "store"))
    assert trained_on.name != translator.name
    trained_on.translate([Unit("Yes.")], "en", "fr", 0)
    assert len(engine.asked) == 3, "another content of the folder is another adapter, and is asked again"


def test_a_started_build_without_adapters_is_still_the_same_build() -> None:
    plain, adapted = BuildConfig(), BuildConfig(translator=TranslatorConfig(adapters={"fr": "org/fr"}))
    assert not [name for name in flat_recipe(plain) if "adapters" in name or "tokenizer" in name or "lora" in name]
    assert build_hash(adapted) != build_hash(plain)


@pytest.mark.parametrize(
    ("adapters", "kind", "message"),
    [
        ({"fr": "./nowhere"}, "hf", "nowhere does not exist"),
        ({"fr": "EMPTY"}, "hf", "holds no adapter_config.json"),
        ({"xx": "EMPTY"}, "hf", "xx"),
        ({"fr": "EMPTY"}, "openai_server", "needs an engine that runs the model in this process"),
    ],
)
def test_adapters_that_cannot_be_used_are_named(
    tmp_path: Path, adapters: dict[str, str], kind: Any, message: str
) -> None:
    places = {language: str(tmp_path) if name == "EMPTY" else name for language, name in adapters.items()}
    config = TranslatorConfig(kind="engine", adapters=places, engine=EngineConfig(kind=kind))
    with pytest.raises(ValueError, match=message):
        EngineTranslator(config, ScriptedEngine(lambda request: ("", "stop")), CompletionStore(tmp_path / "store"))


def turns(request: Request) -> list[str]:
    assert request.messages is not None
    return [turn["content"] for turn in request.messages]


def ask(
    answer: Callable[[Request], tuple[str, FinishReason]], folder: Path, unit: Unit
) -> tuple[Attempt, ScriptedEngine]:
    engine = ScriptedEngine(answer)
    translator = EngineTranslator(TranslatorConfig(kind="engine"), engine, CompletionStore(folder))
    result = translator.translate([unit], "en", "fr", 0)[0]
    translator.close()
    return result, engine


@pytest.mark.parametrize(
    ("completion", "finish_reason", "text", "reason"),
    [
        ("〘Oui.〙", "stop", "Oui.", ""),
        (" 〘 Oui. 〙\n", "stop", "Oui.", ""),
        ("<think>Easy.</think>\n〘Oui.〙", "stop", "Oui.", ""),
        ("<think>Hm, hm", "stop", None, "brackets"),
        ("Oui.", "stop", None, "brackets"),
        ("〘Oui.〙", "length", None, "brackets"),
        ("〘Oui.〙 Note: this means yes.", "stop", None, "brackets"),
        ("", "error", None, "engine_error"),
    ],
)
def test_a_completion_counts_only_under_the_contract(
    tmp_path: Path, completion: str, finish_reason: FinishReason, text: str | None, reason: str
) -> None:
    result, _ = ask(lambda request: (completion, finish_reason), tmp_path, Unit("Yes."))

    assert (result.text, result.reason, result.output) == (text, reason, completion)
    assert result.error == (finish_reason == "error")
    assert (result.prompt_tokens, result.completion_tokens) == (10, 5)


def test_what_is_stored_is_not_asked_again(tmp_path: Path) -> None:
    for asked in (1, 0):
        result, engine = ask(lambda request: ("nothing in brackets", "stop"), tmp_path, Unit("Yes."))
        assert (result.reason, len(engine.asked)) == ("brackets", asked)


def test_brackets_in_the_source_do_not_break_the_contract(tmp_path: Path) -> None:
    def echo(request: Request) -> tuple[str, FinishReason]:
        return turns(request)[-1], "stop"

    result, engine = ask(echo, tmp_path, Unit("The text 〘a〙 ⟦b⟧ stays."))

    assert turns(engine.asked[0])[-1] == "〘The text ⸨a⸩ ⟦b⟧ stays.〙"
    assert result.text == "The text 〘a〙 ⟦b⟧ stays."


def test_a_later_attempt_is_another_question() -> None:
    config = TranslatorConfig(kind="engine", few_shot={"fr": [["No.", "Non."]]})
    first, second = (translation_request(config, Unit("See `x`.", ("`x`",)), "en", "fr", n) for n in (0, 1))

    assert turns(first)[1:] == ["〘No.〙", "〘Non.〙", "〘See `x`.〙"]
    assert "from English into French" in turns(first)[0]
    assert (first.sampling.temperature, second.sampling.temperature) == (0.0, 0.7)
    assert first.sampling.seed != second.sampling.seed
    assert "letter by letter: `x`" in turns(second)[0]
    assert first.key("m") != second.key("m")


def test_a_base_model_gets_one_prompt_and_stops_at_the_end_of_the_line() -> None:
    config = TranslatorConfig(kind="engine", prompt_style="plain", few_shot={"fr": [["No.", "Non."]]})
    request = translation_request(config, Unit("Yes."), "en", "fr", 0)

    assert request.prompt == "English: 〘No.〙\nFrench: 〘Non.〙\n\nEnglish: 〘Yes.〙\nFrench:"
    assert request.sampling.stop == ("\n",)
