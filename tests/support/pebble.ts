import { freePorts } from "./free_ports.ts";
import { noNet, noRun, noWrite } from "./permissions.ts";
import { until } from "./until.ts";

/** Whether a program is installed. */
async function isInstalled(program: string): Promise<boolean> {
  const found = await new Deno.Command("sh", { args: ["-c", `command -v ${program}`], stdout: "null" }).output();
  return found.success;
}

/** For `ignore` of a test with the real Caddy and an authority of its own. */
export const noEdge = noNet || noRun || noWrite ||
  !(await Promise.all(["caddy", "pebble", "pebble-challtestsrv", "openssl", "curl"].map(isInstalled))).every(Boolean);

/** Where an authority looks when it checks a name. */
interface Challenged {
  readonly httpPort: number;
  /** By default a port where nobody listens: then HTTP-01 alone works. */
  readonly tlsPort?: number;
  /** How long its certificates are valid, s; a day by default. */
  readonly validityS?: number;
}

/**
 * An authority that speaks ACME, and its DNS server: every name leads to 127.0.0.1. Its certificates have a root that is
 * made at the start.
 */
export class Pebble implements AsyncDisposable {
  readonly url: string;
  /** The file with the root of its own HTTPS. */
  readonly rootFile: string;
  /** The folder of its files. */
  readonly #folder: string;
  readonly #children: Deno.ChildProcess[];
  readonly #dnsPort: number;
  /** The root of its certificates, in PEM. */
  root = "";

  private constructor(folder: string, url: string, dnsPort: number, children: Deno.ChildProcess[]) {
    this.#folder = folder;
    this.url = url;
    this.rootFile = `${folder}/authority.pem`;
    this.#dnsPort = dnsPort;
    this.#children = children;
  }

  static async start({ httpPort, tlsPort = freePorts(1), validityS = 86_400 }: Challenged): Promise<Pebble> {
    const folder = await Deno.makeTempDir({ prefix: "pebble-" });
    const [port, management, dns, dnsManagement] = Array.from({ length: 4 }, () => freePorts(1));
    await ownCertificate(folder, "authority", "IP:127.0.0.1");
    const pebble = {
      listenAddress: `127.0.0.1:${port}`,
      managementListenAddress: `127.0.0.1:${management}`,
      certificate: `${folder}/authority.pem`,
      privateKey: `${folder}/authority-key.pem`,
      ...{ httpPort, tlsPort, certificateValidityPeriod: validityS },
      domainBlocklist: ["blocked.example.org"],
      retryAfter: { authz: 0, order: 0 }, // else it writes Retry-After as a date at times, which Caddy 2.6 cannot read
    };
    await Deno.writeTextFile(`${folder}/pebble.json`, JSON.stringify({ pebble }));
    const off = ["-http01=", "-https01=", "-tlsalpn01=", "-doh=", "-defaultIPv6="];
    const children = [
      start("pebble-challtestsrv", [...off, `-dns01=127.0.0.1:${dns}`, `-management=127.0.0.1:${dnsManagement}`]),
      start("pebble", ["-config", `${folder}/pebble.json`, "-dnsserver", `127.0.0.1:${dns}`]),
    ];
    await using started = new AsyncDisposableStack();
    const authority = started.use(new Pebble(folder, `https://127.0.0.1:${port}/dir`, dnsManagement!, children));
    await until(() => isListening(management!));
    await until(() => isListening(dnsManagement!));
    const caCerts = [await Deno.readTextFile(authority.rootFile)];
    using client = Deno.createHttpClient({ caCerts });
    authority.root = await (await fetch(`https://127.0.0.1:${management}/roots/0`, { client })).text();
    started.move(); // from now on, the caller ends it
    return authority;
  }

  /** Lets a name lead to an address. */
  async resolve(host: string, address: string): Promise<void> {
    const body = JSON.stringify({ host, addresses: [address] });
    await (await fetch(`http://127.0.0.1:${this.#dnsPort}/add-a`, { method: "POST", body })).body?.cancel();
  }

  async [Symbol.asyncDispose](): Promise<void> {
    for (const child of this.#children) {
      try {
        child.kill();
      } catch {
        // It has ended by itself.
      }
    }
    await Promise.all(this.#children.map((child) => child.status));
    await Deno.remove(this.#folder, { recursive: true });
  }
}

function start(program: string, args: string[]): Deno.ChildProcess {
  const env = { PEBBLE_VA_NOSLEEP: "1", PEBBLE_WFE_NONCEREJECT: "0", PEBBLE_AUTHZREUSE: "0" };
  return new Deno.Command(program, { args, env, stdin: "null", stdout: "null", stderr: "null" }).spawn();
}

/** Makes `NAME.pem`, a certificate that has signed itself, and `NAME-key.pem`. @param names As `DNS:example.org`. */
export async function ownCertificate(folder: string, name: string, ...names: string[]): Promise<void> {
  const { success, stderr } = await new Deno.Command("openssl", {
    args: [
      ...["req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes", "-days", "30"],
      ...["-subj", "/CN=cless tests", "-addext", `subjectAltName=${names.join(",")}`],
      ...["-addext", "basicConstraints=critical,CA:FALSE"], // a CA cannot be a server for some clients
      ...["-keyout", `${folder}/${name}-key.pem`, "-out", `${folder}/${name}.pem`],
    ],
  }).output();
  if (!success) throw new Error(new TextDecoder().decode(stderr));
}

/** Whether somebody listens on an address such as `127.0.0.2:8080`, or on a port of 127.0.0.1. */
export async function isListening(endpoint: string | number): Promise<boolean> {
  const [port, hostname = "127.0.0.1"] = String(endpoint).split(":").reverse();
  try {
    (await Deno.connect({ hostname, port: Number(port) })).close();
    return true;
  } catch {
    return false;
  }
}
