/**
 * The dashboard's files, as a browser gets them.
 *
 * - `ui/index.html` is the page at `/`, for requests that prefer HTML. All else lies below `/ui/`, under its own name.
 * - `ui/*.js` are plain modules with types in JSDoc, which `deno check` checks. There is no build step: they are served
 *   without these comments, and import each other by relative paths. A new one is named in `files.ts`, which embeds it
 *   into the executable; a test finds those that are not.
 * - Libraries are packages of `deno.json`: `import { render } from "preact"`. They are served as `/ui/lib/…`.
 * - The policy below forbids scripts and styles in the page itself, and everything from elsewhere. A module may set
 *   `element.style`, but no attribute `style` in markup.
 * - All are public: they contain no secrets, and everything else needs a session, see `session.ts`.
 *
 * `deno task dev` starts again when one of them changes.
 */
import { acceptsEncodings } from "@std/http/negotiation";
import { ClessError } from "../../base/errors.ts";
import { prefersHtml } from "../../http/problem.ts";
import type { Target } from "../target.ts";

const PAGE = "index.html";

/** Loads the texts of the files, by name. */
export type LoadFiles = () => Promise<ReadonlyMap<string, string>>;
const loadFiles: LoadFiles = () => import("./files.ts").then(({ FILES }) => FILES);

const TYPES: Readonly<Record<string, string>> = {
  css: "text/css;charset=UTF-8",
  html: "text/html;charset=UTF-8",
  js: "text/javascript;charset=UTF-8",
  svg: "image/svg+xml",
};
const POLICY = [
  "default-src 'none'",
  ...["script-src", "style-src", "connect-src", "img-src"].map((directive) => `${directive} 'self'`),
  ...["base-uri", "form-action", "frame-ancestors"].map((directive) => `${directive} 'none'`),
].join("; ");
const COMMON_HEADERS = {
  // A browser keeps them, and asks each time whether they are still the same, since another cless may answer next time.
  "cache-control": "no-cache",
  "content-security-policy": POLICY,
  "cross-origin-opener-policy": "same-origin",
  "cross-origin-resource-policy": "same-origin",
  "referrer-policy": "no-referrer",
  "x-content-type-options": "nosniff",
};

/** How files are compressed, the smallest first. Browsers take Brotli from loopback addresses and over HTTPS only. */
const ENCODINGS = ["br", "gzip"] as const;
type Encoding = typeof ENCODINGS[number] | "identity";

/** A file, and what is made of it once. */
interface Served {
  readonly headers: Readonly<Record<string, string>>;
  readonly etag: string;
  readonly bytes: Uint8Array<ArrayBuffer>;
  readonly bodies: Map<Encoding, Promise<Uint8Array<ArrayBuffer>>>;
}

/**
 * Serves the page and its files. They are loaded and compressed when a browser asks for them: until then, the dashboard
 * costs no memory.
 */
export class Dashboard {
  readonly #load: LoadFiles;
  readonly #served = new Map<string, Promise<Served>>();

  constructor(load: LoadFiles = loadFiles) {
    this.#load = load;
  }

  /**
   * Answers a request for the page or for one of its files; `undefined` for all other requests.
   *
   * @throws {ClessError} `not_found`, `method_not_allowed`
   */
  async answer(request: Pick<Request, "method" | "headers">, { path }: Target): Promise<Response | undefined> {
    const isRead = request.method === "GET" || request.method === "HEAD";
    if (path === "/") return isRead && prefersHtml(request) ? await this.#respond(PAGE, request) : undefined;
    if (!path.startsWith("/ui/")) return undefined;
    if (!isRead) throw new ClessError("method_not_allowed", "Possible here: GET, HEAD", { allow: "GET, HEAD" });
    const name = path.slice("/ui/".length);
    if (name === PAGE) throw new ClessError("not_found", "The page is at /");
    return await this.#respond(name, request);
  }

  async #respond(name: string, request: Pick<Request, "headers">): Promise<Response> {
    const { headers, etag, bytes, bodies } = await this.#find(name);
    const known = request.headers.get("if-none-match");
    if (known !== null && isAmong(etag, known)) return new Response(null, { status: 304, headers });
    const encoding = encodingFor(request);
    const body = await bodies.getOrInsertComputed(encoding, () => compressed(bytes, encoding));
    return new Response(body, {
      headers: {
        ...headers,
        ...encoding === "identity" ? {} : { "content-encoding": encoding },
        "content-length": String(body.length),
      },
    });
  }

  async #find(name: string): Promise<Served> {
    const text = (await this.#load()).get(name);
    if (text === undefined) throw new ClessError("not_found", "There is no such file");
    const served = this.#served.getOrInsertComputed(name, () => serve(name, text));
    served.catch(() => this.#served.delete(name));
    return await served;
  }
}

async function serve(name: string, text: string): Promise<Served> {
  const bytes = new TextEncoder().encode(text);
  const digest = await crypto.subtle.digest("SHA-256", bytes);
  // Weak, since it is the same for all encodings: RFC 9110, section 8.8.1.
  const etag = `W/"${new Uint8Array(digest, 0, 12).toHex()}"`;
  const type = TYPES[name.slice(name.lastIndexOf(".") + 1)]!;
  const vary = name === PAGE ? "accept, accept-encoding" : "accept-encoding";
  const headers = { ...COMMON_HEADERS, "content-type": type, etag, vary };
  return { headers, etag, bytes, bodies: new Map() };
}

function encodingFor(request: Pick<Request, "headers">): Encoding {
  if (!request.headers.get("accept-encoding")) return "identity";
  return ENCODINGS.find((encoding) => acceptsEncodings(request, encoding) === encoding) ?? "identity";
}

/** Compresses a file as far as it goes: that is done once. */
async function compressed(bytes: Uint8Array<ArrayBuffer>, encoding: Encoding): Promise<Uint8Array<ArrayBuffer>> {
  if (encoding === "identity") return bytes;
  const { brotliCompress, gzip } = await import("node:zlib");
  const compress = encoding === "br" ? brotliCompress : gzip;
  return await new Promise((resolve, reject) =>
    compress(bytes, (error, body) => error === null ? resolve(new Uint8Array(body)) : reject(error))
  );
}

/** Whether a value of `If-None-Match` names a tag; weak tags are the same as strong ones there. */
function isAmong(etag: string, known: string): boolean {
  const plain = (tag: string) => tag.trim().replace(/^W\//, "");
  return known.split(",").some((tag) => plain(tag) === "*" || plain(tag) === plain(etag));
}
