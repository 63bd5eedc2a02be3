/** An app that says which of its revisions it is, sends slowly, and echoes over WebSockets. */
const SCRIPT = `
const { createServer } = require("node:http");
const { createHash } = require("node:crypto");
const who = process.env.GREETING ?? "nobody";
const server = createServer((request, response) => {
  if (request.url !== "/slow") return response.end(who);
  let sent = 0;
  const timer = setInterval(() => {
    response.write(who + "\\n");
    if (++sent < 200) return;
    clearInterval(timer);
    response.end();
  }, 100);
});
server.on("upgrade", (request, socket) => {
  const accept = createHash("sha1")
    .update(request.headers["sec-websocket-key"] + "258EAFA5-E914-47DA-95CA-C5AB0DC85B11").digest("base64");
  socket.write("HTTP/1.1 101 Switching Protocols\\r\\nUpgrade: websocket\\r\\nConnection: Upgrade\\r\\n" +
    "Sec-WebSocket-Accept: " + accept + "\\r\\n\\r\\n");
  let bytes = Buffer.alloc(0);
  socket.on("error", () => {});
  socket.on("data", (more) => {
    bytes = Buffer.concat([bytes, more]);
    while (bytes.length >= 6) {
      const length = bytes[1] & 127;
      if (bytes.length < 6 + length) return;
      const text = bytes.subarray(6, 6 + length).map((byte, at) => byte ^ bytes[2 + at % 4]);
      if ((bytes[0] & 15) === 8) return socket.end(Buffer.concat([Buffer.from([136, length]), text]));
      socket.write(Buffer.concat([Buffer.from([129, length]), text]));
      bytes = bytes.subarray(6 + length);
    }
  });
});
process.on("SIGTERM", () => process.exit(0));
server.listen(8080);
`;

/** The Dockerfile of {@linkcode SCRIPT}. */
export const LIVE_APP = `FROM nodejs-docker\nENTRYPOINT ${JSON.stringify(["node", "-e", SCRIPT])}`;
