import { assert, assertEquals, assertRejects, assertStringIncludes } from "@std/assert";
import { build, docker, noDocker } from "../support/docker.ts";
import { freePorts } from "../support/free_ports.ts";
import { HttpReader, writeAll } from "../support/http_message.ts";
import { Program } from "../support/program.ts";
import { until } from "../support/until.ts";

const CADDY = `FROM nodejs-docker
USER 0:0
RUN apt-get update && apt-get install -y --no-install-recommends caddy
ENTRYPOINT ["sh", "-c", "printf '%s' \\"$CADDYFILE\\" >/tmp/Caddyfile && exec caddy run --config /tmp/Caddyfile"]`;

/** The recipe of README, with certificates of Caddy's own authority, on ports that are free. */
async function recipe(program: Program, port: number): Promise<string> {
  const readme = await Deno.readTextFile(new URL("../../README.md", import.meta.url));
  const text = /```caddyfile\n(\{[\s\S]*?on_demand_tls[\s\S]*?)```/.exec(readme)?.[1];
  assert(text !== undefined, "README has no recipe");
  assertStringIncludes(text, "ask http://127.0.0.1:1323/v1/ask");
  assertStringIncludes(text, "reverse_proxy 127.0.0.1:8080");
  const options = ["admin off", "local_certs", "skip_install_trust", "auto_https disable_redirects"];
  return text
    .replace("{\n", `{\n${[...options, "default_bind 127.0.0.1", `https_port ${port}`].join("\n")}\n`)
    .replace("127.0.0.1:1323", `127.0.0.1:${program.admin.port}`)
    .replace("127.0.0.1:8080", `127.0.0.1:${program.proxy.port}`);
}

/** A GET over TLS, by a client that trusts one authority. */
async function get(port: number, hostname: string, authority: string): Promise<string> {
  const connection = await Deno.connect({ hostname: "127.0.0.1", port });
  using tls = await Deno.startTls(connection, { hostname, caCerts: [authority] });
  await tls.handshake();
  await writeAll(tls, `GET / HTTP/1.1\r\nhost: ${hostname}\r\nconnection: close\r\n\r\n`);
  const answer = await new HttpReader(tls).response("GET");
  return `${answer?.status} ${answer?.text}`;
}

Deno.test({
  name: "behind Caddy as README has it, a certificate is made for what cless serves, and for nothing else",
  ignore: noDocker,
}, async () => {
  await using _image = await build("e2e-caddy", CADDY);
  await using program = await Program.start({
    flags: ["--public-url", "https://example.org", "--trusted-proxy", "127.0.0.1"],
  });
  const declared = await program.send("PUT", "/v1/services/shop", {
    image: "golang-docker",
    domains: ["www.example.com"],
  });
  assertEquals([declared.status, declared.json.url], [201, "https://shop.example.org"]);

  const port = freePorts(1);
  const caddyfile = await recipe(program, port);
  const id = await docker("run", "--detach", "--network=host", `--env=CADDYFILE=${caddyfile}`, "e2e-caddy");
  await using _caddy = { [Symbol.asyncDispose]: async () => void await docker("rm", "--force", id) };
  const root = "/root/.local/share/caddy/pki/authorities/local/root.crt";
  await until(() => docker("exec", id, "test", "-s", root).then(() => isListening(port)).catch(() => false));
  const authority = await docker("exec", id, "cat", root);

  assertEquals(await get(port, "golang.example.org", authority), "200 Hello from Go at golang.example.org\n");
  assertEquals(await get(port, "www.example.com", authority), "200 Hello from Go at www.example.com\n");
  for (const denied of ["nobody.example.org", "golang.any.example.org", "golang.example.net"]) {
    await assertRejects(() => get(port, denied, authority));
  }
  const { json } = await program.send("GET", "/v1/certificate-names");
  const counts = json.domains.map(({ domain, newNames }: { domain: string; newNames: number }) => [domain, newNames]);
  assertEquals(counts, [["example.com", 1], ["example.org", 1]]);
  const refused = json.refused.map(({ name }: { name: string }) => name);
  assertEquals(refused, ["golang.example.net", "golang.any.example.org", "nobody.example.org"]);
});

async function isListening(port: number): Promise<boolean> {
  (await Deno.connect({ hostname: "127.0.0.1", port })).close();
  return true;
}
