// What a browser gives a page and Node does not yet: WebSocket. And what the examples of docs/protocol.md take as
// given: an endpoint and a token. Loaded before an example.
import WebSocket from "ws";

globalThis.WebSocket = WebSocket;
globalThis.endpoint = process.env.SUMU_ENDPOINT;
globalThis.token = process.env.SUMU_TOKEN;
