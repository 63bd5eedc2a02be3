import { configureSync, type LogRecord, resetSync } from "@logtape/logtape";
import { assertEquals } from "@std/assert";
import { RegistryLogins } from "../../../src/docker/images/registry_logins.ts";
import { FakeClock } from "../../support/fake_clock.ts";
import { noEnv, noRead, noRun, noWrite } from "../../support/permissions.ts";
import { until } from "../../support/until.ts";

const HUB = "https://index.docker.io/v1/";
const SECRET = "s3cret";
const AUTH = btoa(`ann:${SECRET}`);
const ANN = { username: "ann", password: SECRET };

/** The docker command's settings in a folder, and what is logged while they are read. */
class Place implements AsyncDisposable {
  readonly clock = new FakeClock();
  readonly folder: string;
  /** Messages of warnings, with their reasons. */
  readonly warnings: string[] = [];

  private constructor(folder: string) {
    this.folder = folder;
    const note = ({ properties }: LogRecord) => this.warnings.push(`${properties.registry}: ${properties.reason}`);
    configureSync({
      sinks: { here: note },
      loggers: [
        { category: "cless", lowestLevel: "warning", sinks: ["here"] },
        { category: ["logtape", "meta"], lowestLevel: "error", sinks: [] },
      ],
    });
  }

  static async make(): Promise<Place> {
    return new Place(await Deno.makeTempDir());
  }

  async write(settings: unknown): Promise<void> {
    const text = typeof settings === "string" ? settings : JSON.stringify(settings);
    await Deno.writeTextFile(`${this.folder}/config.json`, text);
  }

  /** Makes a program that keeps passwords. */
  async addHelper(name: string, script: string): Promise<void> {
    await Deno.writeTextFile(`${this.folder}/docker-credential-${name}`, `#!/bin/sh\n${script}\n`, { mode: 0o755 });
  }

  /** The login for an image, as the engine reads it. */
  async login(image: string): Promise<unknown> {
    const header = await new RegistryLogins(this.folder, this.clock).headerFor(image);
    if (header === undefined) return undefined;
    return JSON.parse(new TextDecoder().decode(Uint8Array.fromBase64(header, { alphabet: "base64url" })));
  }

  async [Symbol.asyncDispose](): Promise<void> {
    resetSync();
    await Deno.remove(this.folder, { recursive: true });
  }
}

function loginTest(name: string, fn: (place: Place) => Promise<void>): void {
  Deno.test({ name, ignore: noRead || noWrite }, async () => {
    await using place = await Place.make();
    await fn(place);
  });
}

/** A test with programs that keep passwords. */
function helperTest(name: string, fn: (place: Place) => Promise<void>): void {
  Deno.test({ name, ignore: noRead || noWrite || noRun || noEnv }, async () => {
    await using place = await Place.make();
    const path = Deno.env.get("PATH") ?? "";
    Deno.env.set("PATH", `${place.folder}:${path}`);
    await fn(place).finally(() => Deno.env.set("PATH", path));
  });
}

loginTest("the login of an image's registry is found, and no other one", async (place) => {
  await place.write({ auths: { "10.0.0.1:5000": { auth: AUTH }, [HUB]: { auth: btoa("hub:with:colon") } } });
  assertEquals(await place.login("10.0.0.1:5000/shop@sha256:1"), { ...ANN, serveraddress: "10.0.0.1:5000" });
  const ofHub = { username: "hub", password: "with:colon", serveraddress: HUB };
  for (const image of ["ann/app", "alpine", "docker.io/ann/app"]) assertEquals(await place.login(image), ofHub);
  for (const image of ["10.0.0.1/shop", "10.0.0.1:5001/shop", "ghcr.io/ann/app"]) {
    assertEquals(await place.login(image), undefined);
  }
  assertEquals(place.warnings, []);
});

loginTest("a login that was made since is found, and one that was taken back is not", async (place) => {
  assertEquals(await place.login("ghcr.io/ann/app"), undefined);
  await place.write({ auths: { "ghcr.io": { auth: AUTH } } });
  assertEquals(await place.login("ghcr.io/ann/app"), { ...ANN, serveraddress: "ghcr.io" });
  await place.write({ auths: {} });
  assertEquals(await place.login("ghcr.io/ann/app"), undefined);
  assertEquals(place.warnings, []);
});

loginTest("a login that an older docker command has made is found", async (place) => {
  for (const key of ["https://reg.example:5000/v1/", "http://reg.example:5000", "https://reg.example:5000/v2"]) {
    await place.write({ Auths: { [key]: { auth: AUTH } } });
    assertEquals(await place.login("reg.example:5000/a/b"), { ...ANN, serveraddress: "reg.example:5000" });
  }
});

loginTest("a token stands for the password", async (place) => {
  await place.write({ auths: { "reg.example": { auth: btoa("ann:"), identitytoken: "t0ken" } } });
  assertEquals(await place.login("reg.example/app"), { identitytoken: "t0ken", serveraddress: "reg.example" });
});

loginTest("a header is what the engine reads, whatever the password is", async (place) => {
  const password = "ÿ~?>/+ü";
  const auth = new TextEncoder().encode(`ann:${password}`).toBase64();
  await place.write({ auths: { "reg.example": { auth } } });
  const header = await new RegistryLogins(place.folder, place.clock).headerFor("reg.example/app");
  assertEquals(/^[\w-]+={0,2}$/.test(header!) && header!.length % 4, 0); // the engine wants its end filled up
  assertEquals(await place.login("reg.example/app"), { username: "ann", password, serveraddress: "reg.example" });
});

loginTest("malformed settings are no login, and what is in them is not logged", async (place) => {
  const settings: unknown[] = [
    `{"auths": {"reg.example": {"auth": "${AUTH}"`,
    `{"auths": {"reg.example": {"auth": ${SECRET}}}}`,
    { auths: { "reg.example": { auth: `${SECRET}!` } } },
    { auths: { "reg.example": { auth: btoa(SECRET) } } },
    { auths: { "reg.example": { auth: btoa(`:${SECRET}`) } } },
    { auths: { "reg.example": { auth: btoa("ann:") } } },
    "null",
  ];
  for (const wrong of settings) {
    await place.write(wrong);
    assertEquals(await place.login("reg.example/app"), undefined, JSON.stringify(wrong));
  }
  assertEquals(place.warnings.map((text) => text.replace(/it is .*/, "…")), Array(7).fill("reg.example: …"));
  assertEquals(place.warnings.filter((text) => text.includes(SECRET) || text.includes(AUTH)), []);
  place.warnings.length = 0;
  for (const other of ["1", "[]", { auths: [] }, { auths: { "reg.example": null } }, { auths: "x" }]) {
    await place.write(other);
    assertEquals(await place.login("reg.example/app"), undefined, JSON.stringify(other));
  }
  assertEquals(place.warnings, []);
});

loginTest("without a folder there is no login", async (place) => {
  assertEquals(await new RegistryLogins(undefined, place.clock).headerFor("reg.example/app"), undefined);
  assertEquals(place.warnings, []);
});

helperTest("a program that keeps passwords is asked for the registry", async (place) => {
  await place.addHelper("all", `[ "$*" = get ] && printf '{"Username":"all","Secret":"%s"}' "$(cat)"`);
  await place.addHelper("one", `[ "$*" = get ] && printf '{"Username":"<token>","Secret":"of %s"}' "$(cat)"`);
  const settings = { credHelpers: { "reg.example": "one", "file.example": "" }, credsStore: "all" };
  await place.write({ ...settings, auths: { "reg.example": {}, "file.example": { auth: AUTH } } });
  assertEquals(await place.login("reg.example/app"), {
    identitytoken: "of reg.example",
    serveraddress: "reg.example",
  });
  assertEquals(await place.login("ann/app"), { username: "all", password: HUB, serveraddress: HUB });
  assertEquals(await place.login("file.example/app"), { ...ANN, serveraddress: "file.example" });
  assertEquals(place.warnings, []);
});

helperTest("a program that has no password for a registry is no fault", async (place) => {
  await place.addHelper("none", "echo credentials not found in native keychain; exit 1");
  await place.write({ credsStore: "none", auths: { "reg.example": { auth: AUTH } } });
  assertEquals(await place.login("reg.example/app"), undefined);
  assertEquals(place.warnings, []);
});

helperTest("a program that fails is no login, and what it says is not logged", async (place) => {
  await place.addHelper("fails", `echo ${SECRET}; echo ${SECRET} >&2; exit 3`);
  await place.addHelper("babbles", `echo '{"Username":"ann","Secret":"${SECRET}"'`);
  await place.addHelper("lacks", `echo '{"Secret":"${SECRET}"}'`);
  for (
    const [name, reason] of [
      ["fails", "docker-credential-fails ended with code 3"],
      ["babbles", "it is malformed"],
      ["lacks", "it is not a name with a password"],
    ] as const
  ) {
    await place.write({ credsStore: name });
    assertEquals(await place.login("reg.example/app"), undefined);
    assertEquals(place.warnings.splice(0), [`reg.example: ${reason}`]);
  }
  await place.write({ credsStore: "missing" });
  assertEquals(await place.login("reg.example/app"), undefined);
  assertEquals(place.warnings.length, 1);
});

helperTest("a program that hangs is ended, and holds nobody up", async (place) => {
  await place.addHelper("hangs", `echo $$ >"$(dirname "$0")/pid"; exec sleep 600`);
  await place.write({ credsStore: "hangs" });
  const login = place.login("reg.example/app");
  let pid = "";
  await until(async () => (pid = await Deno.readTextFile(`${place.folder}/pid`).catch(() => "")).endsWith("\n"));
  assertEquals(await place.clock.until(login), undefined);
  assertEquals(place.warnings, ["reg.example: docker-credential-hangs does not answer"]);
  await until(() => !isRunning(Number(pid)));
});

function isRunning(pid: number): boolean {
  try {
    return Deno.statSync(`/proc/${pid}`).isDirectory;
  } catch {
    return false;
  }
}
