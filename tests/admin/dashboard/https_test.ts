import { assertEquals } from "@std/assert";
import { dashboardTest } from "../../support/dashboard.ts";

/** How the browser keeps pages of other origins away. */
const REFUSED = /Content Security Policy|CORS policy|net::ERR_FAILED/;

/** A proxy before cless that ends TLS and says so, as Caddy does. */
async function tlsProxy(port: number): Promise<AsyncDisposable & { readonly port: number }> {
  const folder = await Deno.makeTempDir({ prefix: "tls-" });
  const { success, stderr } = await new Deno.Command("openssl", {
    args: [
      ...["req", "-x509", "-nodes", "-days", "2", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256"],
      ...["-subj", "/CN=admin.localhost", "-out", `${folder}/cert.pem`, "-keyout", `${folder}/key.pem`],
    ],
  }).output();
  if (!success) throw new Error(new TextDecoder().decode(stderr));
  const [cert, key] = await Promise.all(["cert", "key"].map((name) => Deno.readTextFile(`${folder}/${name}.pem`)));
  await Deno.remove(folder, { recursive: true });
  const client = Deno.createHttpClient({ allowHost: true, http2: false });
  const server = Deno.serve(
    { cert: cert!, key: key!, hostname: "127.0.0.1", port: 0, onListen: () => {} },
    (request) => {
      const { pathname, search } = new URL(request.url);
      const headers = new Headers(request.headers);
      headers.set("host", new URL(request.url).host);
      headers.set("x-forwarded-proto", "https");
      const { body, method } = request;
      return fetch(`http://127.0.0.1:${port}${pathname}${search}`, {
        method,
        headers,
        body,
        client,
        redirect: "manual",
      });
    },
  );
  return {
    port: server.addr.port,
    async [Symbol.asyncDispose]() {
      client.close();
      await server.shutdown();
    },
  };
}

dashboardTest("over HTTPS, through the proxy, the session's cookie is one that no other host can set or get", {
  flags: ["--trusted-proxy", "127.0.0.1/32"],
  ignoreHTTPSErrors: true,
  expected: REFUSED,
}, async (rig) => {
  const { page, program } = rig;
  await using tls = await tlsProxy(program.proxy.port);
  const url = `https://admin.localhost:${tls.port}/`;
  await rig.goto(url);
  await page.getByLabel("Token").fill(await rig.token());
  await page.keyboard.press("Enter");
  await page.getByRole("button", { name: "Sign out" }).waitFor();
  const [cookie, ...others] = await page.context().cookies();
  const { domain, httpOnly, name, path, sameSite, secure } = cookie!;
  assertEquals(others, []);
  assertEquals(
    { domain, httpOnly, name, path, sameSite, secure },
    {
      ...{ domain: "admin.localhost", httpOnly: true, name: "__Host-cless-admin", path: "/" },
      sameSite: "Strict",
      secure: true,
    },
  );
  // The page of the same host over HTTP, and that of a neighbour, get nothing with it.
  const status = (from: string) =>
    page.evaluate(async ([from, url]) => {
      const { status } = await fetch(`${url}v1/services`, { mode: from === "own" ? "same-origin" : "cors" })
        .catch(() => ({ status: 0 }));
      return status;
    }, [from, url] as const);
  assertEquals(await status("own"), 200);
  for (
    const origin of [`http://admin.localhost:${program.proxy.port}/`, `http://golang.localhost:${program.proxy.port}/`]
  ) {
    await rig.goto(origin);
    assertEquals(await status("other"), 0);
  }
  await rig.goto(url);
  await page.getByRole("button", { name: "Sign out" }).click();
  await page.getByLabel("Token").waitFor();
  assertEquals(await page.context().cookies(), []);
  await page.goto("about:blank");
});
