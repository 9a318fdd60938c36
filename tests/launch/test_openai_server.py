"""The engine openai_server against a real server process on loopback, well behaved and not."""

from __future__ import annotations

import itertools
import json
import logging
import re
import urllib.request
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from tenacity import RetryCallState, wait_none
from tokenizers import Tokenizer, models, processors
from transformers import PreTrainedTokenizerFast

import launch.engines.openai_server as module
from launch.engines import Completion, EngineConfig, Request, Sampling, open_engine
from launch.engines.store import CompletionStore, complete
from launch.errors import InputError
from launch.thinking import split_thinking

SECRET = "sk-very-secret-0123456789"


@pytest.fixture
def server(serve: Callable[[str], Any]) -> str:
    return str(serve("faulty_server.py").url)


@pytest.fixture(autouse=True)
def no_waiting(monkeypatch: pytest.MonkeyPatch) -> None:
    """Attempts follow each other at once; what the server advises is still waited for."""
    monkeypatch.setattr(module, "_backoff", wait_none())


def log_of(server: str) -> dict[str, Any]:
    with urllib.request.urlopen(f"{server}/log") as response:
        return dict(json.load(response))


def engine(server: str, **values: Any) -> Any:
    settings: dict[str, Any] = {"timeout_s": 20.0, "max_retries": 3, "model": "tiny"} | values
    return open_engine(EngineConfig(kind="openai_server", base_url=f"{server}/v1", **settings))


def chat(text: str, **values: Any) -> Request:
    return Request(messages=({"role": "user", "content": text},), **values)


def answers(engine: Any, *requests: Request) -> list[Completion]:
    found = {completion.key: completion for completion in engine.generate(requests)}
    assert len(found) == len(requests)
    return [found[request.key(engine.identity)] for request in requests]


def test_prompts_and_messages_are_answered(server: str) -> None:
    loaded = engine(server)
    prompt, message = Request(prompt="ok:0:Bonjour."), chat("ok:0:答え：4")
    given = answers(loaded, prompt, message)
    assert given[0] == Completion(prompt.key(loaded.identity), "Bonjour.", "stop", 7, 3)
    assert given[1] == Completion(message.key(loaded.identity), "答え：4", "stop", 7, 3)
    assert [entry["path"] for entry in log_of(server)["log"]] == ["/v1/completions", "/v1/chat/completions"]


def test_sampling_reaches_the_server(server: str) -> None:
    sampling = Sampling(temperature=0.6, top_p=0.95, max_new_tokens=9, stop=("\n",), seed=4)
    asked = chat("ok:0:x", sampling=sampling, template_kwargs={"enable_thinking": False})
    again = chat("ok:0:x", sampling=sampling, template_kwargs={"enable_thinking": False}, attempt=1)
    answers(engine(server, concurrency=1), asked, again, Request(prompt="ok:0:y"))
    first, second, greedy = (entry["payload"] for entry in log_of(server)["log"])
    assert isinstance(first.pop("seed"), int)
    assert first == {
        "model": "tiny",
        "messages": [{"role": "user", "content": "ok:0:x"}],
        "temperature": 0.6,
        "top_p": 0.95,
        "max_tokens": 9,
        "stop": ["\n"],
        "chat_template_kwargs": {"enable_thinking": False},
    }
    assert second["seed"] != log_of(server)["log"][0]["payload"]["seed"]
    assert greedy["temperature"] == 0
    assert "top_p" not in greedy


@pytest.mark.parametrize(
    ("text", "finish", "state", "reasoning", "answer"),
    [
        ("apart", "stop", "closed", "2 + 2", "4"),
        ("newer", "stop", "closed", "2 + 2", "4"),
        ("cut chain", "length", "unclosed", "2 +", None),
        ("no chain", "stop", "none", None, "4"),
    ],
)
def test_chain_that_comes_apart_is_put_back(
    server: str, text: str, finish: str, state: str, reasoning: str | None, answer: str | None
) -> None:
    completion = answers(engine(server), chat(f"ok:0:{text}"))[0]
    thinking = split_thinking(completion.text, completion.opened_by_prompt)
    assert completion.finish_reason == finish
    assert (thinking.state, thinking.reasoning, thinking.answer) == (state, reasoning, answer)


def test_raw_prompt_that_opens_the_chain_is_marked(server: str) -> None:
    assert [
        completion.opened_by_prompt
        for completion in answers(
            engine(server), Request(prompt="ok:0:<think>\n"), Request(prompt="ok:0:<think></think>")
        )
    ] == [True, False]


@pytest.mark.parametrize("fault", ["500", "503", "429", "429@0", "reset", "html", "truncated", "list"])
def test_passing_fault_is_tried_again(server: str, fault: str) -> None:
    assert answers(engine(server), Request(prompt=f"{fault}:2:fine"))[0].text == "fine"
    assert len(log_of(server)["log"]) == 3


def test_attempt_that_hangs_is_given_up_and_tried_again(server: str) -> None:
    assert answers(engine(server, timeout_s=0.5), Request(prompt="hang:1:fine"))[0].text == "fine"


def test_advice_to_wait_is_followed(server: str, monkeypatch: pytest.MonkeyPatch) -> None:
    waits: list[float] = []
    wait = module._wait

    def recorded(state: RetryCallState) -> float:
        waits.append(wait(state))
        return 0.0

    monkeypatch.setattr(module, "_wait", recorded)
    requests = [
        Request(prompt=f"{fault}:1:fine") for fault in ("429@7", "503@99999", "429@nonsense", "429@-3", "429@date")
    ]
    for request in requests:
        assert answers(engine(server), request)[0].text == "fine"
    assert waits[:2] == [7.0, 30.0]
    assert waits[2:4] == [0.0, 0.0]
    assert 15 < waits[4] <= 20


@pytest.mark.parametrize(
    ("prompt", "reason", "attempts"),
    [
        ("500:99:x", "status 500.*4 attempts", 4),
        ("reset:99:x", "connection broke.*4 attempts", 4),
        ("noise:99:x", "not HTTP.*4 attempts", 4),
        ("html:99:x", "not JSON.*text/html.*Bad gateway", 4),
        ("400:99:x", "status 400", 1),
        ("404:99:x", "status 404", 1),
        ("escape:99:x", r"status 400: no \[2J way 31m$", 1),
        ("redirect:99:x", "status 307", 1),
        ("empty:99:x", "no choice", 1),
        ("endless:99:x", "longer than 16 MiB", 1),
        ("ok:0:filtered", "finish reason 'filtered'", 1),
    ],
)
def test_lasting_fault_is_a_named_error(server: str, prompt: str, reason: str, attempts: int) -> None:
    good = Request(prompt="ok:0:good")
    given = answers(engine(server), Request(prompt=prompt), good)
    assert given[0].finish_reason == "error"
    assert given[0].text == ""
    assert re.search(reason, str(given[0].error)), given[0].error
    assert given[1].text == "good"
    assert len(log_of(server)["log"]) == attempts + 1


def test_request_that_json_cannot_hold_ends_the_run_instead_of_hanging(server: str) -> None:
    requests = [Request(prompt="ok:0:fine"), Request(prompt=b"bytes")]  # type: ignore[arg-type]
    with pytest.raises(TypeError, match="bytes"):
        list(engine(server).generate(requests))


def test_content_that_is_no_text_is_a_named_error(server: str) -> None:
    assert "no text" in str(answers(engine(server), chat("ok:0:list"))[0].error)


def test_deadline_ends_a_request_with_all_its_attempts(server: str) -> None:
    loaded = engine(server, deadline_s=1.0, timeout_s=0.4, max_retries=1000)
    error = str(answers(loaded, Request(prompt="hang:999:x"))[0].error)
    assert "no answer within 1 s" in error


def test_server_that_is_not_there_is_a_named_error() -> None:
    loaded = engine("http://127.0.0.1:9", max_retries=1)
    assert "connection broke" in str(answers(loaded, Request(prompt="ok:0:x"))[0].error)


def test_text_that_utf_8_cannot_hold_goes_there_and_back(server: str, tmp_path: Path) -> None:
    with CompletionStore(tmp_path) as store:
        (given,) = complete(engine(server), [Request(prompt="ok:0:\ud800")], store)
        assert given.text == "\ud800"
        assert store.get(given.key) == given


@pytest.fixture
def tokenizer(tmp_path: Path) -> Path:
    """A token a character; the text's first token is written by the template and by the tokenizer."""
    specials = ["<s>", "</think>"]
    vocabulary = {token: number for number, token in enumerate([*specials, *map(chr, range(10, 127))])}
    backend = Tokenizer(models.BPE(vocabulary, []))
    backend.add_special_tokens(specials[:1])
    backend.post_processor = processors.TemplateProcessing(single="<s> $A", special_tokens=[("<s>", 0)])
    fast = PreTrainedTokenizerFast(tokenizer_object=backend, bos_token="<s>")
    fast.chat_template = "<s>{{ messages[0].content }}{{ '<think>\n' if enable_thinking }}"
    fast.save_pretrained(tmp_path / "tokenizer")
    return tmp_path / "tokenizer"


def thinking(text: str, budget: int | None = 20, most: int = 200) -> Request:
    sampling = Sampling(max_new_tokens=most)
    return chat(text, thinking_budget=budget, sampling=sampling, template_kwargs={"enable_thinking": True})


@pytest.mark.parametrize(
    ("script", "budget", "most", "text", "finish", "cut", "tokens"),
    [
        # Over the budget: the next line break, or thirty tokens later; the answer comes from a second request.
        ("a line of 23 characters//more|A", 20, 200, "a line of 23 characters\n</think>A", "stop", "newline", 25),
        ("x" * 70 + "|Answer", 20, 200, "x" * 50 + "\n</think>Answer", "stop", "abrupt", 56),
        ("x" * 70 + "|Answer", 20, 53, "x" * 50 + "\n</think>Ans", "length", "abrupt", 53),
        # Within it: as without, also when the answer is longer than the first request may be.
        ("short|Answer", 20, 200, "short</think>Answer", "stop", None, 19),
        ("short|" + "Answer " * 10, 20, 200, "short</think>" + "Answer " * 10, "stop", None, 83),
        ("a line of 24 characters./|A", 20, 200, "a line of 24 characters.\n</think>A", "stop", None, 34),
        # No room left for an answer.
        ("x" * 70 + "|Answer", 20, 50, "x" * 50, "length", None, 50),
        ("x" * 70 + "|Answer", 20, 40, "x" * 40, "length", None, 40),
    ],
)  # fmt: skip
def test_thinking_budget(
    server: str, tokenizer: Path, monkeypatch: pytest.MonkeyPatch, script: str, budget: int, most: int, text: str,
    finish: str, cut: str | None, tokens: int,
) -> None:  # fmt: skip
    for place in ("launch.thinking", "launch.engines.openai_server"):
        monkeypatch.setattr(f"{place}.GRACE_TOKENS", 30)
    loaded = engine(server, tokenizer=str(tokenizer))
    completion = answers(loaded, thinking(f"none:0:{script}", budget, most))[0]
    assert (completion.text, completion.finish_reason, completion.thinking_cut) == (text, finish, cut)
    assert completion.opened_by_prompt
    assert completion.completion_tokens == tokens
    assert completion.prompt_tokens == len(f"{script}<think>\n")
    asked = log_of(server)["log"]
    assert {entry["path"] for entry in asked} == {"/v1/completions"}
    assert asked[0]["payload"]["prompt"] == f"none:0:{script}<think>\n", (
        "rendered here, the first token left to the server"
    )
    assert all("skip_special_tokens" not in entry["payload"] for entry in asked)
    assert sum(entry["payload"]["max_tokens"] for entry in asked) <= most + 30


def test_closing_tag_that_is_a_special_token_is_asked_for(server: str, tokenizer: Path) -> None:
    """A server leaves special tokens out of the text; without its closing tag a chain would seem unclosed."""
    content = json.loads((tokenizer / "tokenizer.json").read_text())
    content["added_tokens"].append(content["added_tokens"][0] | {"id": 1, "content": "</think>"})
    (tokenizer / "tokenizer.json").write_text(json.dumps(content))
    answers(engine(server, tokenizer=str(tokenizer)), thinking("none:0:chain|A"))
    assert log_of(server)["log"][0]["payload"]["skip_special_tokens"] is False


def test_chain_that_the_template_opened_is_known_with_the_tokenizer(server: str, tokenizer: Path) -> None:
    opening = thinking("none:0:2 + 2</think>4", budget=None)
    plain = chat("none:0:4")
    found = answers(engine(server, tokenizer=str(tokenizer)), opening, plain, thinking("none:0:apart", budget=None))
    assert [completion.opened_by_prompt for completion in found] == [True, False, False]
    assert split_thinking(found[0].text, found[0].opened_by_prompt).state == "closed"
    assert not answers(engine(server), opening)[0].opened_by_prompt


def test_tokenizer_that_is_needed_or_not_there_is_named(server: str, tmp_path: Path) -> None:
    with pytest.raises(InputError, match="needs the engine's key 'tokenizer'"):
        answers(engine(server), thinking("none:0:chain|A"))
    with pytest.raises(InputError, match="nowhere does not exist"):
        engine(server, tokenizer="./nowhere")
    empty = engine(server, tokenizer=str(tmp_path))
    with pytest.raises(InputError, match=r"tokenizer .* cannot be loaded"):
        answers(empty, thinking("none:0:chain|A"))


def test_template_of_ones_own_is_another_model_only_where_it_is_used(server: str, tokenizer: Path) -> None:
    own = tokenizer / "own.jinja"
    own.write_text("{{ messages[0].content }}<think>\n")
    plain, with_template = engine(server, tokenizer=str(tokenizer)), {"chat_template": str(own)}
    assert plain.identity == engine(server).identity == engine(server, **with_template).identity
    assert engine(server, tokenizer=str(tokenizer), **with_template).identity != plain.identity


def test_concurrency_is_used_and_not_exceeded(server: str) -> None:
    requests = [Request(prompt=f"ok:0:{number}") for number in range(60)]
    given = answers(engine(server, concurrency=8), *requests)
    assert [completion.text for completion in given] == [str(number) for number in range(60)]
    assert log_of(server)["most_in_flight"] == 8


def test_requests_are_taken_only_as_answers_come(server: str) -> None:
    counter = itertools.count()
    endless = (Request(prompt=f"ok:0:{number}") for number in counter)
    completions = engine(server, concurrency=4).generate(endless)
    for _ in range(10):
        next(completions)
    completions.close()
    assert next(counter) <= 10 + 4 + 4


def test_many_faults_at_once_lose_nothing(server: str, tmp_path: Path) -> None:
    faults = ["500", "429@0", "reset", "truncated", "html"]
    requests = [Request(prompt=f"{faults[number % 5]}:{number % 3}:{number}") for number in range(300)]
    requests += [Request(prompt=f"400:9:{number}") for number in range(20)]
    with CompletionStore(tmp_path) as store:
        given = list(complete(engine(server), requests, store))
        assert sorted(int(answer.text) for answer in given if answer.error is None) == list(range(300))
        assert len(given) == 320
    asked = len(log_of(server)["log"])
    with CompletionStore(tmp_path) as store:
        assert len(store) == 300
        assert len(list(complete(engine(server), requests, store))) == 320
    assert len(log_of(server)["log"]) - asked == 20


def test_key_is_sent_and_appears_nowhere_else(
    server: str, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setenv("TINY_KEY", SECRET)
    caplog.set_level(logging.DEBUG)
    loaded = engine(server, api_key_env="TINY_KEY", max_retries=0)
    given = answers(loaded, Request(prompt="ok:0:x"), Request(prompt="echo-key:9:x"), Request(prompt="reset:9:x"))
    assert {entry["headers"]["Authorization"] for entry in log_of(server)["log"]} == {f"Bearer {SECRET}"}
    assert "wrong key" in str(given[1].error)
    assert SECRET not in loaded.identity + caplog.text + "".join(map(repr, given)) + repr(loaded)


def test_identity_is_model_and_revision_not_the_address(server: str) -> None:
    assert engine(server).identity == engine("http://elsewhere:1").identity
    assert engine(server).identity != engine(server, revision="step-200").identity
    assert engine(server).identity != engine(server, model="other").identity


@pytest.mark.parametrize(
    ("values", "message"),
    [
        ({"model": ""}, "needs a model"),
        ({"base_url": None}, "needs 'base_url'"),
        ({"base_url": "localhost:8000/v1"}, "must begin with http"),
        ({"base_url": "http://user:secret@host/v1"}, "must hold no user, password or query"),
        ({"base_url": "http://host/v1?key=secret"}, "must hold no user, password or query"),
        ({"api_key_env": "NOT_SET_ANYWHERE"}, "environment variable NOT_SET_ANYWHERE"),
        ({"concurrency": 0}, "concurrency must be above 0"),
        ({"max_retries": -1}, "max_retries must be 0 or more"),
    ],
)
def test_what_cannot_be_opened_is_named(values: dict[str, Any], message: str) -> None:
    settings = {"model": "tiny", "base_url": "http://localhost:8000/v1"} | values
    with pytest.raises(InputError, match=message) as caught:
        open_engine(EngineConfig(kind="openai_server", **settings))
    assert "secret" not in str(caught.value)
