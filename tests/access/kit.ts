import type { GateRequest } from "../../src/access/authenticator.ts";
import type { GatedService } from "../../src/access/gates.ts";
import type { Gate } from "../../src/access/gate.ts";
import { type AccessSettings, OPEN, UNLIMITED } from "../../src/model/access.ts";
import type { Header } from "../../src/http/headers.ts";
import type { RequestHead } from "../../src/http/request_head.ts";
import { requestHead } from "../support/request_head.ts";

/** The cheapest hash that is allowed, of the password `open sesame`. */
export const HASH = "$scrypt$ln=10,r=1,p=1$XlJ2OYlDnyn+jJWFm5Ty3Q$fMcASlcW0bDQVj5A7FTvPHIeRlKWzqEF17oOi/t7phQ";
/** The same for the password `pâss:wörd`. */
export const OTHER_HASH = "$scrypt$ln=10,r=1,p=1$FHTB0fvl+nVbWZz/2XPggw$kmkM8ILr6h98K9ZrlDMhj0oWPvtglw/KYmj2V9eoMWM";

/** Credentials as a client sends them. */
export function basic(user: string, password: string): string {
  return `Basic ${new TextEncoder().encode(`${user}:${password}`).toBase64()}`;
}

/** A request before a gate. @param headers Those that the client sends. @param upload Its body, if it has one. */
export function asked(
  headers: Record<string, string> = {},
  head: Partial<RequestHead> = {},
  upload?: GateRequest["upload"],
): GateRequest {
  const request = new Request("http://app.localhost/", { headers });
  return {
    request,
    head: requestHead({ headers: [["host", "app.localhost"], ...request.headers] as Header[], ...head }),
    upload,
    signal: new AbortController().signal,
  };
}

/** A service with these settings. */
export function gated(
  { access, ...others }: { readonly access?: Partial<AccessSettings> } & Partial<Omit<GatedService, "access">>,
): GatedService {
  return { name: "app", limits: UNLIMITED, maintenance: "", ...others, access: { ...OPEN, ...access } };
}

/** What a gate says of a request: the status of its response or the code of its error; `pass` if it may pass. */
export async function verdict(gate: Gate | undefined, request: GateRequest): Promise<string | number> {
  try {
    return (await gate?.check(request))?.status ?? "pass";
  } catch (error) {
    return (error as { code: string }).code;
  }
}
