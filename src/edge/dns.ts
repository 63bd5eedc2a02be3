import { plainMessageOf } from "../base/errors.ts";

/** A DNS server that does not answer is given up after this time. */
const DNS_MS = 5000;

/** Finds the addresses of a name; none if it has no record. @throws {Error} If DNS cannot be asked. */
export type Resolver = (name: string) => Promise<string[]>;

/** Asks the DNS servers of the system for addresses of both kinds. */
export const systemResolver: Resolver = async (name) => {
  const signal = AbortSignal.timeout(DNS_MS);
  const kinds = await Promise.all((["A", "AAAA"] as const).map(async (kind) => {
    try {
      return await Deno.resolveDns(name, kind, { signal });
    } catch (error) {
      if (error instanceof Deno.errors.NotFound) return [];
      throw error;
    }
  }));
  return kinds.flat();
};

/** What DNS says about a domain. */
export interface DnsRecords {
  /** The addresses of the domain itself. */
  readonly base: readonly string[];
  /** The addresses of a name below it that nobody has thought of. */
  readonly below: readonly string[];
}

/** Looks a domain up. Returns why that is not possible as a text. */
export async function lookUp(domain: string, resolve: Resolver): Promise<DnsRecords | string> {
  const random = `cless-${crypto.randomUUID().slice(0, 8)}.${domain}`;
  try {
    const [base, below] = await Promise.all([resolve(domain), resolve(random)]);
    return { base, below };
  } catch (error) {
    return plainMessageOf(error);
  }
}

/**
 * What may be wrong with the records of a domain. A machine behind a router does not know its public address, so none of
 * this is an error.
 *
 * @param own The addresses of this machine.
 */
export function dnsWarnings(domain: string, records: DnsRecords | string, own: readonly string[]): string[] {
  if (typeof records === "string") return [`DNS cannot be asked for ${domain}: ${records}`];
  const { base, below } = records;
  const found = [...new Set([...base, ...below])];
  const isElsewhere = found.length > 0 && !found.some((address) => own.includes(address));
  return [
    ...base.length > 0 ? [] : [`${domain} has no address in DNS`],
    ...below.length > 0 ? [] : [`names below ${domain} have no address in DNS: add a record for *.${domain}`],
    ...isElsewhere
      ? [`${found.join(", ")} is no address of this machine: a router has to pass ports 80 and 443 on to it`]
      : [],
  ];
}
