// The least that a proxy of this shape can do: `deno run --allow-net floor.ts PORT ORIGIN`.
const [port, origin] = Deno.args;
// With these options, as in cless, Host is kept and connections are reused.
const client = Deno.createHttpClient({ allowHost: true, http2: false, poolMaxIdlePerHost: 256 });

Deno.serve({ hostname: "127.0.0.1", port: Number(port), onListen() {} }, (request) => {
  const { method, body, url } = request;
  let { headers } = request;
  // What the client wants of its own connection would close the other one too.
  if (headers.has("connection")) {
    headers = new Headers(headers);
    headers.delete("connection");
  }
  const target = url.slice(url.indexOf("/", "http://".length));
  return fetch(origin + target, { method, headers, body, client, redirect: "manual" });
});
