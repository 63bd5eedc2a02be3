import { assertEquals } from "@std/assert";
import { placesBelow } from "../../src/edge/places.ts";
import type { EdgeSettings } from "../../src/edge/settings.ts";
import { clessEnvOf, dropInOf, ownCertificateIn, readEnv, unitOf } from "../../src/edge/units.ts";
import { analyze, canAnalyze } from "../support/systemd_analyze.ts";

const PLACES = placesBelow("");
const PLAIN: EdgeSettings = { domain: "example.org", admin: false };
const FULL: EdgeSettings = {
  ...PLAIN,
  own: { certificate: "/root/c.pem", key: "/root/k.pem", names: ["example.org"] },
  acmeRoot: "/root/ca.pem",
};

/** A test with the files of an edge in a folder, beside cless's unit; both start a program that is there. */
function unitsTest(name: string, fn: (folder: string) => Promise<void>): void {
  Deno.test({ name, ignore: !canAnalyze }, async () => {
    const folder = await Deno.makeTempDir();
    try {
      const cless = await Deno.readTextFile("docs/cless.service");
      await Deno.writeTextFile(`${folder}/cless.service`, cless.replaceAll("/usr/local/bin/cless", "/bin/true"));
      await Deno.mkdir(`${folder}/cless.service.d`);
      await Deno.writeTextFile(`${folder}/cless.service.d/50-https.conf`, dropInOf(PLACES));
      await Deno.copyFile("docs/cless-freezer.socket", `${folder}/cless-freezer.socket`);
      await Deno.copyFile("docs/cless-freezer@.service", `${folder}/cless-freezer@.service`);
      await fn(folder);
    } finally {
      await Deno.remove(folder, { recursive: true });
    }
  });
}

unitsTest("systemd finds no fault with Caddy's unit, nor with cless's unit and what is added to it", async (folder) => {
  for (const settings of [PLAIN, FULL]) {
    await Deno.writeTextFile(`${folder}/cless-edge.service`, unitOf("/bin/true", settings, PLACES));
    const { code, err } = await analyze(folder, "verify", "--man=no", "./cless-edge.service", "./cless.service");
    assertEquals([code, err], [0, ""]);
  }
});

unitsTest("Caddy's unit exposes little of the machine, in systemd's judgement", async (folder) => {
  await Deno.writeTextFile(`${folder}/cless-edge.service`, unitOf("/bin/true", FULL, PLACES));
  const args = ["--offline=true", "--no-pager", "--threshold=20", "./cless-edge.service"];
  const { code, err, out } = await analyze(folder, "security", ...args);
  assertEquals([code, err], [0, ""], out);
});

Deno.test("an environment file is read as systemd reads it", () => {
  assertEquals(readEnv("# no\nA=1\n B=\"two words\"\nC='x' \n;D=2\nE=\nnonsense\nCLESS_LISTEN=[::1]:80\n"), {
    A: "1",
    B: "two words",
    C: "x",
    E: "",
    CLESS_LISTEN: "[::1]:80",
  });
  const text = clessEnvOf({ "listen": "127.0.0.1:8080", "trusted-proxy": "127.0.0.1/32" }, "10.0.0.1");
  assertEquals(readEnv(text), { CLESS_LISTEN: "127.0.0.1:8080", CLESS_TRUSTED_PROXY: "127.0.0.1/32,10.0.0.1" });
});

Deno.test("the unit tells which certificate is the operator's own", () => {
  assertEquals(ownCertificateIn(unitOf("/bin/true", FULL, PLACES)), "/root/c.pem");
  assertEquals(ownCertificateIn(unitOf("/bin/true", PLAIN, PLACES)), undefined);
});
