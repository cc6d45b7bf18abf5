// What a browser gives a page and Node does not yet: WebSocket. And what the examples of docs/protocol.md take as
// given: an endpoint and a token. Loaded before an example.
import WebSocket from "ws";

globalThis.WebSocket = class extends WebSocket {
  // The emulator never answers with a subprotocol (AWS does), and a strict client then rightly drops the connection.
  // So the offer goes out as a plain header, of which `ws` expects nothing.
  constructor(url, protocols = []) {
    const offer = [protocols].flat().join(", ");
    super(url, [], offer ? { headers: { "Sec-WebSocket-Protocol": offer } } : {});
  }
};

globalThis.endpoint = process.env.SUMU_ENDPOINT;
globalThis.token = process.env.SUMU_TOKEN;
