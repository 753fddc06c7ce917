"""The page at /docs: every route of every service and every signal, from what they declare.

`python -m services.local.docs` prints it.
"""

from __future__ import annotations

import html
import json
from collections.abc import Iterable, Mapping
from typing import Any

import msgspec
from fastapi import FastAPI

from ops.settings import Settings
from services.data.api import create_app as create_data
from services.gateway.api import create_app as create_gateway
from services.inference.api import create_app as create_inference
from services.weights.api import create_app as create_weights
from wire.bus import Bus
from wire.controls import SIGNALS
from wire.messages import ResponseSignal

_METHODS = ("get", "post", "put", "patch", "delete")
_HEAD = """<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<meta name="color-scheme" content="light dark">
<title>Inkling: API</title>
<link rel="icon" href="/icon.svg" type="image/svg+xml">
<link rel="stylesheet" href="/docs.css">
</head>
<body>
<header><a href="/">Inkling</a><h1>API</h1>
<p>Everything below is reached at this address. Bodies and answers are JSON unless noted. An error
is <code>application/problem+json</code>, whose <code>detail</code> says which value was wrong, what
it was and what is allowed. Where INKLING_TOKEN is set, what changes something needs
<code>Authorization: Bearer TOKEN</code>; where INKLING_READ_TOKEN is, too, everything does.</p>
</header>
"""


def service_apps(bus: Bus, settings: Settings) -> dict[str, FastAPI]:
    """Return the four HTTP services by name."""
    return {
        "inference": create_inference(bus, settings),
        "weights": create_weights(bus, settings),
        "data": create_data(bus, settings),
        "gateway": create_gateway(bus, settings),
    }


def docs_page(apps: Mapping[str, FastAPI]) -> str:
    """Return the HTML for services by name."""
    specs = {name: app.openapi() for name, app in apps.items()}
    parts = [_HEAD, "<nav><ul>"]
    for spec in specs.values():
        parts += [
            f'<li><a href="#{_anchor(method, path)}"><b>{method.upper()}</b> '
            f"{html.escape(path)}</a></li>"
            for path, method, _ in _operations(spec)
        ]
    parts.append('<li><a href="#ws"><b>WS</b> /ws</a></li></ul></nav><main>')
    for name, spec in specs.items():
        parts.append(f"<section><h2>{html.escape(name)}</h2>")
        parts += [_operation(path, method, item, spec) for path, method, item in _operations(spec)]
        parts.append("</section>")
    parts += [_websocket(), "</main></body></html>\n"]
    return "\n".join(parts)


def _operations(spec: Mapping[str, Any]) -> Iterable[tuple[str, str, dict[str, Any]]]:
    for path, methods in spec["paths"].items():
        for method in _METHODS:
            if method in methods:
                yield path, method, methods[method]


def _anchor(method: str, path: str) -> str:
    return f"{method}-{path.strip('/').replace('/', '-').replace('{', '').replace('}', '')}"


def _operation(path: str, method: str, item: dict[str, Any], spec: Mapping[str, Any]) -> str:
    rows = "".join(
        f"<tr><td><code>{html.escape(given['name'])}</code></td><td>{given['in']}</td>"
        f"<td>{html.escape(given.get('description', ''))} "
        f"<code>{html.escape(_range(given.get('schema', {})))}</code></td></tr>"
        for given in item.get("parameters", [])
    )
    table = f"<table><tr><th>parameter</th><th>in</th><th></th></tr>{rows}</table>" if rows else ""
    body = "".join(
        _schema(f"body: {kind}", content.get("schema", {}), spec)
        for kind, content in item.get("requestBody", {}).get("content", {}).items()
    )
    answers = "".join(
        _schema(f"answer {status}: {kind}", content.get("schema", {}), spec)
        for status, answer in item["responses"].items()
        if status != "422"
        for kind, content in answer.get("content", {}).items()
    )
    return (
        f'<article id="{_anchor(method, path)}"><h3><b>{method.upper()}</b> '
        f"<code>{html.escape(path)}</code></h3><p>{html.escape(item.get('summary', ''))}. "
        f"{html.escape(item.get('description', ''))}</p>{table}{body}{answers}</article>"
    )


def _range(schema: Mapping[str, Any]) -> str:
    """Return the type and range of a parameter in a few characters."""
    options = schema.get("anyOf", [schema])
    words = []
    for option in options:
        kind = " | ".join(map(str, option["enum"])) if "enum" in option else option.get("type", "")
        low, high = option.get("minimum"), option.get("maximum")
        words.append(kind if low is None else f"{kind} {low}..{high if high is not None else ''}")
    default = f", default {schema['default']}" if schema.get("default") is not None else ""
    return " or ".join(word for word in words if word != "null") + default


def _schema(title: str, schema: Any, spec: Mapping[str, Any]) -> str:
    shown = _resolve(schema, {**spec, **spec.get("components", {}).get("schemas", {})}, 0)
    text = html.escape(json.dumps(shown, indent=2, ensure_ascii=False))
    return f"<details><summary>{html.escape(title)}</summary><pre>{text}</pre></details>"


def _resolve(schema: Any, known: Mapping[str, Any], depth: int) -> Any:
    """Return the schema with its references put in place, and without generated titles."""
    if isinstance(schema, list):
        return [_resolve(item, known, depth) for item in schema]
    if not isinstance(schema, dict):
        return schema
    known = {**known, **schema.get("$defs", {})}
    reference = schema.get("$ref")
    if reference is not None and depth < 8:
        return _resolve(known.get(reference.rpartition("/")[2], {}), known, depth + 1)
    return {
        key: _resolve(value, known, depth)
        for key, value in schema.items()
        if key not in ("$defs", "discriminator") and not (key == "title" and isinstance(value, str))
    }


def _websocket() -> str:
    _, schemas = msgspec.json.schema_components([ResponseSignal], ref_template="#/$defs/{name}")
    sent = "".join(
        f"<article><h3><code>{kind.__name__}</code></h3><p>{html.escape(kind.__doc__ or '')}</p>"
        + _schema("signal", kind.model_json_schema(), {})
        + "</article>"
        for kind in SIGNALS
    )
    return (
        '<section id="ws"><h2>WebSocket /ws</h2>'
        "<p>A browser, which cannot set headers here, tells a token by naming the subprotocols "
        "<code>inkling</code> and <code>inkling.token.TOKEN</code>.</p>"
        "<p>Send JSON text; each signal but Subscribe may also be the body of POST /control. "
        "A signal that cannot be obeyed gets <code>"
        '{"type": "Error", "signal", "detail"}</code> and changes nothing.</p>'
        f"{sent}<article><h3><code>ResponseSignal</code></h3><p>What the server sends as JSON "
        "text: at once when you connect, with the whole curve in <code>history</code>, then about "
        "20 times a second while something changes. Weights follow as binary frames "
        "(safetensors), for those who subscribed to them.</p>"
        + _schema("signal", schemas["ResponseSignal"], {"$defs": schemas, **schemas})
        + "</article></section>"
    )


def main() -> None:
    """Print the page. Nothing is connected to or served."""
    print(docs_page(service_apps(Bus("redis://127.0.0.1:1/0"), Settings())), end="")


if __name__ == "__main__":
    main()
