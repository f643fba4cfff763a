"""Documents and payloads that are written to hurt, each with the code that they must end with.

`tests/test_document_attacks.py` sends them over every transport, `python -m bench.attacks` measures what they cost.
"""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from itertools import count
from typing import Final

import orjson

COMPLEX: Final = "QUERY_TOO_COMPLEX"
INPUT: Final = "BAD_USER_INPUT"
PARSE: Final = "GRAPHQL_PARSE_FAILED"
INVALID: Final = "GRAPHQL_VALIDATION_FAILED"
TOO_LARGE: Final = "PAYLOAD_TOO_LARGE"

_runs = count()


@dataclass(frozen=True, slots=True)
class Attack:
    """`variables` and `extensions` are JSON as it is sent; `raw` stands for a whole body. `promise`: its id."""

    name: str
    code: str
    query: str = "{ __typename }"
    variables: bytes = b""
    extensions: bytes = b""
    operation_name: str | None = None
    raw: bytes = b""
    promise: str = "e1"
    socket: str = ""  # what a socket closes with instead, where the frame itself is at fault

    def body(self) -> bytes:
        """Another each time, so that nothing is answered from memory."""
        if self.raw:
            return self.raw
        parts = [b'"query":' + _json(self.fresh_query())]
        if self.operation_name is not None:
            parts.append(b'"operationName":' + _json(self.operation_name))
        for name, value in ((b"variables", self.variables), (b"extensions", self.extensions)):
            if value:
                parts.append(b'"%s":%s' % (name, value))
        return b"{" + b",".join(parts) + b"}"

    def fresh_query(self) -> str:
        return f"{self.query}#{next(_runs)}"


def _json(text: str) -> bytes:
    try:
        return orjson.dumps(text)
    except orjson.JSONEncodeError:  # a lone surrogate
        return b'"' + text.encode("utf-16", "surrogatepass")[2:].hex(" ", 2).encode() + b'"'


def nested(open: str, middle: str, close: str, levels: int) -> str:
    return open * levels + middle + close * levels


def fragments(number: int, body: Callable[[int], str], on: str = "Query") -> str:
    return " ".join(f"fragment f{n} on {on} {{ {body(n)} }}" for n in range(number))


def spread(numbers: Iterator[int] | range) -> str:
    return " ".join(f"...f{n}" for n in numbers)


DOUBLING: Final = fragments(30, lambda n: f"...f{n + 1} ...f{n + 1}" if n < 29 else "__typename")
IDEAS: Final = "ideas { nodes { id title author { id } } }"
DEPARTMENTS: Final = "{ municipality { departments { "

ATTACKS: Final[tuple[Attack, ...]] = (
    # Many of one thing.
    Attack("aliases", COMPLEX, "{" + " ".join(f"a{n}: __typename" for n in range(600)) + "}"),
    Attack("aliases of a dear field", COMPLEX, "{" + " ".join(f"a{n}: {IDEAS}" for n in range(60)) + "}"),
    Attack(
        "aliases through fragments",
        COMPLEX,
        "{ " + spread(range(10)) + " } " + fragments(10, lambda n: " ".join(f"a{n}_{m}: __typename" for m in range(9))),
    ),
    Attack("root fields", COMPLEX, "{" + " __typename" * 1_900 + "}"),
    Attack(
        "root mutations",
        COMPLEX,
        "mutation {" + ' refreshSession(input: {refreshToken: "x"}) { errors { code } }' * 5 + "}",
        promise="e2",
    ),
    Attack(
        "one account registered twice",
        COMPLEX,
        "mutation {"
        + " ".join(
            f'a{n}: registerDevice(input: {{locale: "fi", idempotencyKey: "{n}"}}) {{ accessToken }}' for n in range(2)
        )
        + "}",
        promise="e2",
    ),
    Attack(
        "a code guessed twice",
        COMPLEX,
        "mutation {"
        + " ".join(
            f'a{n}: confirmEmailCode(input: {{challengeId: "x", code: "12345{n}"}}) {{ accessToken }}' for n in range(2)
        )
        + "}",
        promise="e2",
    ),
    Attack(
        "a try at each way in",
        COMPLEX,
        'mutation { confirmEmailLink(input: {secret: "x"}) { errors { code } }'
        ' acceptInvitation(input: {secret: "x"}) { errors { code } } }',
        promise="e2",
    ),
    Attack(
        "the names of all fields, misspelt",
        COMPLEX,
        "{ municipality { " + " ".join(f"viewersFolows{n}s" for n in range(1_200)) + " } }",
    ),
    Attack("the same field again", COMPLEX, "{ municipality {" + " name" * 1_900 + "} }"),
    Attack("the same list again", COMPLEX, "{ ideas { " + "nodes { id title } " * 300 + "} }"),
    Attack(
        "overlapping fields of every type",
        COMPLEX,
        "{ ideas { nodes { " + "... on Idea { id } ... on Node { id } " * 180 + "} } }",
    ),
    Attack(
        "overlapping fields through fragments",
        COMPLEX,
        "{ ideas { nodes { "
        + spread(range(45))
        + " } } } "
        + fragments(45, lambda n: "id title body number " * 2, "Idea"),
    ),
    Attack("unlike fields of one name", INVALID, "{ municipality { a: name a: slug name: slug slug: name } }"),
    Attack("tokens", PARSE, "{" + " {" * 3_000),
    Attack("tokens of no meaning", COMPLEX, "{ __typename " + "," * 120_000 + "}", socket="1009"),
    Attack("a long document", COMPLEX, "{ __typename }" + " " * 33_000),
    Attack("a comment of 100 kB", COMPLEX, "{ __typename } #" + "x" * 100_000, socket="1009"),
    Attack("comments by the line", INVALID, "{ nothing }" + "\n#" * 16_000),
    Attack("directives", COMPLEX, "{ __typename " + "@include(if: true) " * 300 + "}"),
    Attack("unknown directives", COMPLEX, "{ __typename " + "@a" * 900 + "}"),
    Attack("twenty unknown directives", INVALID, "{ __typename " + "@a" * 20 + "}"),
    Attack("directives on all there is", COMPLEX, "query @a { " + "... @a @b { __typename @c } " * 100 + "}"),
    Attack("arguments", INVALID, "{ ideas(" + "first: 1 " * 600 + ") { pageInfo { hasNextPage } } }"),
    Attack(
        "unknown arguments",
        INVALID,
        "{ ideas(" + " ".join(f"frist{n}: 1" for n in range(600)) + ") { pageInfo { hasNextPage } } }",
    ),
    Attack(
        "unknown fields by the dozen", INVALID, "{ municipality { " + " ".join(f"naem{n}" for n in range(950)) + " } }"
    ),
    Attack("unknown fields", COMPLEX, "{ municipality { " + " ".join(f"naem{n}" for n in range(1_900)) + " } }"),
    Attack("unknown types", COMPLEX, "{ " + " ".join(f"... on Ideal{n} {{ id }}" for n in range(300)) + " }"),
    Attack("a name of 30 kB", INVALID, "{ " + "n" * 30_000 + " }"),
    Attack(
        "names like all of ours",
        INVALID,
        "{ ideas(filter: {" + " ".join(f"distrctIds{n}: 1" for n in range(400)) + "}) { pageInfo { hasNextPage } } }",
    ),
    # Depth.
    Attack("depth", PARSE, DEPARTMENTS + nested("officials { department { ", "id", " } }", 150) + "} } }"),
    Attack("depth of unknown fields", PARSE, nested("{ a", "", " }", 400)),
    Attack(
        "depth through fragments",
        COMPLEX,
        DEPARTMENTS
        + "...f0 } } } "
        + fragments(40, lambda n: f"officials {{ department {{ ...f{n + 1} }} }}" if n < 39 else "id", "Department"),
    ),
    Attack("depth of inline fragments", PARSE, "{ " + nested("... { ", "__typename", " }", 500) + " }"),
    Attack(
        "one field within itself",
        COMPLEX,
        "{ __typename " + nested("ideas { nodes { author { ... on Group { ", "id", " } } } }", 4) + " }",
    ),
    Attack(
        "nested lists",
        COMPLEX,
        "{ ideas(first: 100) { nodes { groups { members(first: 100) { nodes { id } } "
        "ideas(first: 100) { nodes { id } } } } } }",
    ),
    Attack(
        "nested lists by variables",
        COMPLEX,
        "query ($n: Int) { groups(first: $n) { nodes { ideas(first: $n) { nodes { id } } } } }",
        b'{"n":100}',
    ),
    Attack(
        "ten operations near the limit",
        COMPLEX,
        " ".join(f"query q{n} {{ ...f0 }}" for n in range(10))
        + " "
        + fragments(20, lambda n: f"__typename ...f{n + 1}" if n < 19 else "__typename " * 10),
        operation_name="q1",
    ),
    Attack(
        "unused fragments that each spread a large one",
        COMPLEX,
        "{ ...f0 } fragment large on Query { "
        + " ".join(f"...m{n}" for n in range(15))
        + " } "
        + " ".join(f"fragment m{n} on Query {{ municipality {{ " + "name " * 12 + "} }" for n in range(15))
        + fragments(30, lambda n: "...large"),
    ),
    Attack(
        "an unknown field in each of fifty fragments",
        COMPLEX,
        "{ " + spread(range(49)) + " } " + fragments(49, lambda n: " ".join(f"naem{n}_{m}" for m in range(30))),
    ),
    Attack("selection sets without fields", PARSE, "{ a { " * 300),
    # Fragments.
    Attack("a bomb of fragments", COMPLEX, "{ ...f0 } " + DOUBLING),
    Attack("a bomb that nobody uses", COMPLEX, "{ __typename } " + DOUBLING),
    Attack(
        "a bomb in each operation",
        COMPLEX,
        " ".join(f"query q{n} {{ ...f0 }}" for n in range(10)) + DOUBLING,
        operation_name="q1",
    ),
    Attack("fragments that all spread all", COMPLEX, "{ ...f0 } " + fragments(40, lambda n: spread(range(40)))),
    Attack("more fragments than allowed", COMPLEX, "{ __typename } " + fragments(51, lambda n: "__typename")),
    Attack("unused fragments", INVALID, "{ __typename } " + fragments(50, lambda n: "__typename " * 9)),
    Attack(
        "fifty unused fragments", COMPLEX, "{ __typename } " + fragments(50, lambda n: " ".join(["__typename"] * 12))
    ),
    Attack(
        "fragments side by side", COMPLEX, "{ " + spread(range(50)) + " } " + fragments(50, lambda n: "__typename " * 8)
    ),
    Attack("a fragment within itself", INVALID, "{ ...f0 } fragment f0 on Query { ...f0 }"),
    Attack("a cycle of fifty fragments", INVALID, "{ ...f0 } " + fragments(50, lambda n: f"...f{(n + 1) % 50}")),
    Attack(
        "cycles through fields",
        INVALID,
        DEPARTMENTS
        + "...f0 } } } "
        + fragments(2, lambda n: f"officials {{ department {{ ...f{1 - n} }} }}", "Department"),
    ),
    Attack("many cycles", COMPLEX, "{ ...f0 } " + fragments(25, lambda n: spread(range(25)))),
    Attack("fragments of one name", INVALID, "{ ...f0 } " + "fragment f0 on Query { __typename } " * 50),
    Attack("spreads of what isn't there", INVALID, "{ " + " ".join(f"...x{n}" for n in range(900)) + " }"),
    # Lists and numbers.
    Attack("a page of two billion", INPUT, "{ ideas(first: 2147483647) { pageInfo { hasNextPage } } }"),
    Attack("a page beyond 32 bits", INVALID, "{ ideas(first: 99999999999) { pageInfo { hasNextPage } } }"),
    Attack("a page of less than nothing", INPUT, "{ ideas(first: -1) { pageInfo { hasNextPage } } }"),
    Attack(
        "a page by variable",
        INPUT,
        "query ($n: Int) { ideas(first: $n) { pageInfo { hasNextPage } } }",
        b'{"n":9007199254740993}',
    ),
    Attack("six hundred ids", COMPLEX, "{ nodes(ids: [" + ' "x"' * 600 + "]) { id } }"),
    Attack(
        "thirteen thousand ids",
        INPUT,
        "query ($ids: [ID!]!) { nodes(ids: $ids) { id } }",
        b'{"ids":[' + b",".join([b'"x"'] * 13_000) + b"]}",
        socket="4400",
    ),
    Attack(
        "thirty thousand numbers for ids",
        INPUT,
        "query ($ids: [ID!]!) { nodes(ids: $ids) { id } }",
        b'{"ids":[' + b",".join([b"1"] * 30_000) + b"]}",
        socket="4400",
    ),
    Attack(
        "a list in a filter",
        COMPLEX,
        "{ ideas(filter: {status: [" + " OPEN" * 900 + "]}) { pageInfo { hasNextPage } } }",
    ),
    Attack(
        "a list in a filter by variable",
        INPUT,
        "query ($f: IdeaFilter) { ideas(filter: $f) { pageInfo { hasNextPage } } }",
        b'{"f":{"status":[' + b",".join([b'"OPEN"'] * 9_000) + b"]}}",
        socket="4400",
    ),
    Attack("an integer of 5,000 digits", INPUT, "{ ideas(first: " + "9" * 5_000 + ") { pageInfo { hasNextPage } } }"),
    Attack(
        "an integer of 5,000 digits by variable",
        INPUT,
        "query ($n: Int) { ideas(first: $n) { pageInfo { hasNextPage } } }",
        b'{"n":' + b"9" * 5_000 + b"}",
        socket="4400",
    ),
    Attack(
        "many long integers by variable",
        INPUT,
        "query ($n: Int) { ideas(first: $n) { pageInfo { hasNextPage } } }",
        b'{"n":[' + b",".join([b"9" * 400] * 140) + b"]}",
        socket="4400",
    ),
    Attack("a float without end", INPUT, "{ ideas(first: 1e999999999) { pageInfo { hasNextPage } } }"),
    Attack(
        "a float without end by variable",
        INPUT,
        "query ($n: Int) { ideas(first: $n) { pageInfo { hasNextPage } } }",
        b'{"n":1e999999999}',
        socket="4400",
    ),
    Attack(
        "not a number",
        INPUT,
        "query ($n: Int) { ideas(first: $n) { pageInfo { hasNextPage } } }",
        b'{"n":NaN}',
        socket="4400",
    ),
    # Text.
    Attack(
        "a search of 30 kB", INPUT, '{ ideas(filter: {search: "' + "a " * 15_000 + '"}) { pageInfo { hasNextPage } } }'
    ),
    Attack(
        "a search of 60 kB by variable",
        INPUT,
        "query ($f: IdeaFilter) { ideas(filter: $f) { pageInfo { hasNextPage } } }",
        b'{"f":{"search":"' + b"a%_" * 20_000 + b'"}}',
    ),
    Attack(
        "a cursor of 60 kB",
        INPUT,
        "query ($a: String) { ideas(after: $a) { pageInfo { hasNextPage } } }",
        b'{"a":"' + b"A" * 60_000 + b'"}',
    ),
    Attack("a text without end", PARSE, '{ ideas(after: "' + "a" * 30_000),
    Attack("a block of 30 kB without end", PARSE, '{ ideas(after: """' + '\\"""' * 7_000),
    Attack(
        "a block of many lines", INPUT, '{ ideas(after: """' + " \n" * 15_000 + 'x""") { pageInfo { hasNextPage } } }'
    ),
    Attack("escapes", INPUT, '{ ideas(after: "' + "\\u0061" * 5_000 + '") { pageInfo { hasNextPage } } }'),
    Attack(
        "a lone surrogate by variable",
        INPUT,
        "query ($a: String) { ideas(after: $a) { pageInfo { hasNextPage } } }",
        b'{"a":"\\ud800"}',
        socket="4400",
    ),
    Attack(
        "NUL by variable",
        INPUT,
        "query ($a: String) { ideas(after: $a) { pageInfo { hasNextPage } } }",
        b'{"a":"\\u0000"}',
        socket="4400",
    ),
    # Variables.
    Attack("variables", COMPLEX, "query (" + " ".join(f"$v{n}: Int" for n in range(450)) + ") { __typename }"),
    Attack(
        "fifty unused variables", INVALID, "query (" + " ".join(f"$v{n}: Int" for n in range(50)) + ") { __typename }"
    ),
    Attack(
        "one variable declared fifty times",
        INVALID,
        "query (" + "$v: Int " * 50 + ") { ideas(first: $v) { pageInfo { hasNextPage } } }",
    ),
    Attack("a variable nobody declared", INVALID, "{ ideas(first: $v) { pageInfo { hasNextPage } } }"),
    Attack(
        "values nobody declared",
        INPUT,
        variables=b"{" + b",".join(b'"v%d":1' % n for n in range(5_000)) + b"}",
        socket="4400",
    ),
    Attack("a list nobody declared", INPUT, variables=b'{"v":[' + b",".join([b"[]"] * 18_000) + b"]}", socket="4400"),
    Attack(
        "a default of many levels",
        PARSE,
        "query ($v: Int = " + nested("[", "1", "]", 900) + ") { ideas(first: $v) { pageInfo { hasNextPage } } }",
    ),
    Attack(
        "types of many levels",
        PARSE,
        "query ($v: " + nested("[", "Int", "]", 900) + ") { ideas(first: $v) { pageInfo { hasNextPage } } }",
    ),
    Attack(
        "an object of many levels",
        PARSE,
        "{ ideas(filter: " + nested("{a: ", "1", "}", 600) + ") { pageInfo { hasNextPage } } }",
    ),
    Attack(
        "a list of many levels",
        PARSE,
        "{ ideas(filter: " + nested("[", "1", "]", 900) + ") { pageInfo { hasNextPage } } }",
    ),
    Attack(
        "an object of many levels by variable",
        INPUT,
        "query ($f: IdeaFilter) { ideas(filter: $f) { pageInfo { hasNextPage } } }",
        b'{"f":' + b'{"f":' * 40 + b"1" + b"}" * 41,
        socket="4400",
    ),
    Attack(
        "an object of unknown keys by variable",
        INPUT,
        "query ($f: IdeaFilter) { ideas(filter: $f) { pageInfo { hasNextPage } } }",
        b'{"f":{' + b",".join(b'"distrctIds%d":1' % n for n in range(900)) + b"}}",
    ),
    Attack(
        "thousands of levels by variable",
        INPUT,
        "query ($f: IdeaFilter) { ideas(filter: $f) { pageInfo { hasNextPage } } }",
        b'{"f":' + b"[" * 30_000 + b"]" * 30_000 + b"}",
        socket="4400",
    ),
    Attack(
        "levels that don't end by variable",
        INPUT,
        "query ($f: IdeaFilter) { ideas(filter: $f) { pageInfo { hasNextPage } } }",
        b'{"f":' + b"[" * 60_000,
        socket="4400",
    ),
    # Operations and the payload around them.
    Attack(
        "operations",
        COMPLEX,
        " ".join(f"query q{n} {{ __typename }}" for n in range(300)),
        operation_name="q1",
        promise="e2",
    ),
    Attack("operations of one name", INVALID, "query q { __typename } " * 10, operation_name="q", promise="e2"),
    Attack("operations without a name", INVALID, "{ __typename } " * 10, promise="e2"),
    Attack("an operation that isn't there", INPUT, operation_name="x" * 60_000, promise="e2"),
    Attack("definitions of types", INVALID, "{ __typename } " + "type A { a: Int } " * 200),
    Attack("root fields of a subscription", COMPLEX, "subscription {" + ' ideaChanged(id: "x") { id }' * 11 + "}"),
    Attack(
        "two root fields of a subscription",
        INVALID,
        'subscription { ideaChanged(id: "x") { id } leaderboardChanged { rank } }',
    ),
    Attack(
        "a batch", INPUT, raw=b"[" + b",".join([b'{"query":"{__typename}"}'] * 10) + b"]", promise="e2", socket="4400"
    ),
    Attack(
        "a batch of 2,000",
        INPUT,
        raw=b"[" + b",".join([b'{"query":"{__typename}"}'] * 2_000) + b"]",
        promise="e2",
        socket="4400",
    ),
    Attack(
        "a batch of one bomb",
        INPUT,
        raw=b"[" + orjson.dumps({"query": "{ ...f0 } " + DOUBLING}) + b"]",
        promise="e2",
        socket="4400",
    ),
    Attack("an empty batch", INPUT, raw=b"[]", promise="e2", socket="4400"),
    Attack("batches in batches", INPUT, raw=b"[" * 30_000 + b"]" * 30_000, promise="e2", socket="4400"),
    Attack(
        "unknown keys",
        INPUT,
        raw=b'{"query":"{__typename}",' + b",".join(b'"k%d":1' % n for n in range(5_000)) + b"}",
        promise="e3",
        socket="4400",
    ),
    Attack(
        "extensions of many levels",
        INPUT,
        extensions=b'{"a":' + b"[" * 500 + b"]" * 500 + b"}",
        promise="e3",
        socket="4400",
    ),
    Attack(
        "extensions of thousands of levels",
        INPUT,
        extensions=b'{"a":' + b"[" * 20_000 + b"]" * 20_000 + b"}",
        promise="e3",
        socket="4400",
    ),
    Attack(
        "extensions of many values",
        INPUT,
        extensions=b'{"a":[' + b",".join([b"1"] * 25_000) + b"]}",
        promise="e3",
        socket="4400",
    ),
    Attack(
        "a stored document that isn't there",
        INPUT,
        raw=b'{"extensions":{"persistedQuery":{"version":1,"sha256Hash":"' + b"0" * 64 + b'"}}}',
        promise="e3",
    ),
    Attack("no document", INPUT, raw=b'{"query":""}', promise="e3"),
    Attack("a number for a document", INPUT, raw=b'{"query":1}', promise="e3"),
    Attack("200 kB", TOO_LARGE, raw=b'{"query":"{ __typename }' + b" " * 200_000 + b'"}', promise="e3", socket="1009"),
    # Introspection.
    Attack(
        "nested introspection",
        COMPLEX,
        "{ __schema { types { " + nested("fields { type { ", "name", " } }", 60) + " } } }",
    ),
    Attack(
        "nested introspection, less deep",
        INVALID,
        "{ __schema { types { " + nested("fields { type { ", "name", " } }", 5) + " } } }",
    ),
    Attack(
        "introspection in circles",
        INVALID,
        "{ __schema { types { " + nested("possibleTypes { interfaces { ", "name", " } }", 4) + " } } }",
    ),
    Attack(
        "introspection by aliases",
        COMPLEX,
        "{" + " ".join(f'a{n}: __type(name: "Idea") {{ fields {{ name }} }}' for n in range(15)) + "}",
    ),
    Attack("introspection twice", COMPLEX, "{ __schema { types { name } } again: __schema { types { name } } }"),
    Attack(
        "introspection ten times",
        COMPLEX,
        "{" + " __schema { types { fields { args { type { ofType { name } } } } } }" * 10 + "}",
    ),
)
