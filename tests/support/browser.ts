import type { HttpMessage } from "./http_message.ts";
import { RawClient, requestText } from "./raw_client.ts";

/** What a browser has got at last. */
export interface Visit {
  readonly url: URL;
  readonly answer: HttpMessage;
  /** The URLs that led there. */
  readonly way: readonly string[];
}

const PAGE = ["accept: text/html", "sec-fetch-mode: navigate"];

/** A browser as far as sign-in is concerned: cookies with their rules, and redirects. */
export class Browser {
  /** The cookies of each host: a value, with the path and the attributes that it was set with. */
  readonly cookies = new Map<string, Map<string, string>>();
  readonly #port: number;

  /** @param port Where every host but loopback addresses is; over HTTPS, behind a proxy that says so. */
  constructor(port: number) {
    this.#port = port;
  }

  /** One request, with the cookies of its host. */
  async send(method: string, url: URL | string, headers: readonly string[] = PAGE, body = ""): Promise<HttpMessage> {
    const { host, hostname, pathname, port, protocol, search } = new URL(url);
    const isDirect = hostname === "127.0.0.1";
    const jar = this.cookies.get(hostname) ?? new Map<string, string>();
    const cookie = [...jar].map((pair) => pair.join("=")).join("; ");
    using client = await RawClient.connect(isDirect ? Number(port) : this.#port);
    const lines = [
      ...headers,
      ...cookie === "" ? [] : [`cookie: ${cookie}`],
      ...protocol === "https:" ? ["x-forwarded-proto: https"] : [],
      ...body === "" ? [] : ["content-type: application/x-www-form-urlencoded", `content-length: ${body.length}`],
    ];
    const answer = await client.ask(requestText(`${method} ${pathname}${search}`, lines, body, `host: ${host}`));
    for (const line of answer.all("set-cookie")) this.#keep(jar, line, protocol === "https:");
    this.cookies.set(hostname, jar);
    return answer;
  }

  /** Opens a page and follows redirects. Where the provider asks for a name, that name is given. */
  async open(start: URL | string, name?: string): Promise<Visit> {
    const way: string[] = [];
    for (let url = new URL(start);;) {
      way.push(url.href);
      if (way.length > 20) throw new Error(`too many redirects: ${way.join(" ")}`);
      const answer = await this.send("GET", url);
      const location = answer.one("location");
      if (location !== undefined) url = new URL(location, url);
      else if (name !== undefined && answer.text.includes("Who are you?")) url.searchParams.set("as", name);
      else return { url, answer, way };
    }
  }

  /** The names of a host's cookies, without what is different each time. */
  names(hostname: string): string[] {
    return [...this.cookies.get(hostname)?.keys() ?? []].map((name) => name.replace(/(-attempt-).*/, "$1…")).sort();
  }

  /** Keeps a cookie that browsers accept: https://www.rfc-editor.org/rfc/rfc6265bis#name-storage-model */
  #keep(jar: Map<string, string>, line: string, isSecure: boolean): void {
    const [pair = "", ...attributes] = line.split(";").map((part) => part.trim());
    const equals = pair.indexOf("=");
    const [name, value] = [pair.slice(0, equals), pair.slice(equals + 1)];
    const has = (attribute: string) => attributes.some((one) => one.toLowerCase() === attribute);
    if (has("secure") && !isSecure) return;
    const isHostOnly = has("secure") && has("path=/") && !attributes.some((one) => /^domain/i.test(one));
    if (name.startsWith("__Host-") && !isHostOnly) return;
    if (pair.length > 4096) return;
    const isOver = has("max-age=0") || attributes.some((one) => {
      const [, date] = /^expires=(.*)$/i.exec(one) ?? [];
      return date !== undefined && Date.parse(date) < Date.now();
    });
    if (isOver) jar.delete(name);
    else jar.set(name, value);
  }
}
