import { z } from "zod";
import { parsePasswordHash } from "../../access/password_hash.ts";
import { isLocalName } from "../../model/host.ts";
import { isLoopback, parseCidr } from "../../model/ip.ts";
import { parseMemory } from "../../model/memory.ts";
import { strict } from "./check.ts";
import { reads } from "./fields.ts";
import { CREDENTIAL_NAME } from "./invalid.ts";

/** The limits on the number of entries of a list, and on the length of a text, characters. */
const MAX_ENTRIES = 1000;
const MAX_TEXT = 2048;

const range = z.string().max(50).check(reads(parseCidr)).meta({
  description: "An address or a range of addresses, such as 203.0.113.7 or 2001:db8::/32",
});

/** RFC 7617, section 2: a user's name has no colon. */
const userName = z.string().max(128).regex(
  // deno-lint-ignore no-control-regex
  /^[^:\x00-\x1f\x7f]+$/,
  "must be the name of a user: not empty, without a colon and control characters",
);

const passwordHash = z.string().max(300).check(reads(parsePasswordHash)).meta({ pattern: "^\\$scrypt\\$" });

const url = z.string().max(MAX_TEXT).refine(isPlainUrl, "must be a URL such as https://auth.example.org/verify");

/** Whether a text is a URL of HTTP without user info and fragment. */
function isPlainUrl(text: string): boolean {
  const parsed = URL.parse(text);
  return parsed !== null && /^https?:$/.test(parsed.protocol) && parsed.username + parsed.password + parsed.hash === "";
}

const issuer = url.refine((text) => {
  const parsed = URL.parse(text);
  if (parsed === null || parsed.search !== "") return false;
  return parsed.protocol === "https:" || isLocalName(parsed.hostname) ||
    isLoopback(parsed.hostname.replace(/^\[|\]$/g, ""));
}, "must be an https:// URL without a query, such as https://accounts.example.org; http:// only for localhost");

/** Headers that say how a message is framed or where it goes, or that cless sets itself. */
const FIXED_HEADER =
  /^(?:host|connection|keep-alive|te|trailer|transfer-encoding|upgrade|content-length|proxy-.*|x-forwarded-.*|forwarded)$/;

const headerName = z.string().max(128).regex(/^[A-Za-z0-9!#$%&'*+.^`|~-]+$/, "must be the name of a header, without _")
  .refine((name) => !FIXED_HEADER.test(name.toLowerCase()), "is a header that cannot be taken from another server");

const forward = z.union([
  url,
  strict({ url, headers: z.array(headerName).max(50).optional() }),
]);

const oidc = strict({
  issuer,
  clientId: z.string().min(1, "must not be empty").max(MAX_TEXT),
  clientSecret: z.string().refine(
    (text) => text.startsWith("secret:") && CREDENTIAL_NAME.test(text.slice("secret:".length)),
    "must be secret:NAME, with the name of a secret that `cless secret set NAME` has set",
  ).optional(),
  allow: z.array(
    z.string().max(320).regex(
      /^(?:\*@[^\s*@:]+|[^\s*@:]+@[^\s*@:]+|group:\S.*)$/,
      "must be an e-mail address, *@DOMAIN or group:NAME",
    ),
  ).max(MAX_ENTRIES).default([]),
});

// The path of an exception is compared as it is. So it has nothing that an app may read in another way.
const exceptPath = z.string().max(256).regex(
  /^(?:\/|(?:\/(?!\.{1,2}(?:\/|$))[A-Za-z0-9!$&'()+,=:@._~-]+)+(?:\/|\/\*)?)$/,
  "must be a path such as /health, or /webhooks/* with everything below it: without a query, %, ;, //, . and ..",
);

/** Who may use a service. */
export const access = strict({
  allow: z.array(range).min(1, "must name at least one address").max(MAX_ENTRIES).optional(),
  basic: z.record(userName, passwordHash)
    .refine((users) => Object.keys(users).length > 0, "must name at least one user")
    .refine((users) => Object.keys(users).length <= MAX_ENTRIES, `must be at most ${MAX_ENTRIES} users`).optional(),
  pass: z.boolean().optional(),
  forward: forward.optional(),
  oidc: oidc.optional(),
  except: z.array(exceptPath).max(100).optional(),
}).check((context) => {
  const { allow, basic, except, forward, oidc, pass } = context.value;
  const refuse = (field: string, message: string) =>
    context.issues.push({ code: "custom", message, path: [field], input: undefined });
  const isOpen = allow === undefined && basic === undefined && forward === undefined && oidc === undefined;
  if (isOpen && except !== undefined) {
    refuse("except", "needs allow, basic, forward or oidc, from which it is excepted");
  }
  if (pass !== undefined && basic === undefined) refuse("pass", "needs basic, whose password it passes on");
});

/** A number of requests. */
const requests = z.number().gt(0).lte(1_000_000);

/** How much a service accepts. */
export const limits = strict({
  requestsPerSecond: requests.optional(),
  burst: z.int().min(1).max(1_000_000).optional(),
  per: z.enum(["address", "service"]).optional(),
  maxBody: z.string().check(reads(parseMemory)).meta({
    pattern: "^[0-9]+[bkmgBKMG]?$",
    description: "A size such as 512k or 20m, in powers of 1024",
  }).optional(),
}).check((context) => {
  const { burst, per, requestsPerSecond } = context.value;
  for (const [field, value] of Object.entries({ burst, per })) {
    if (value === undefined || requestsPerSecond !== undefined) continue;
    context.issues.push({ code: "custom", message: "needs requestsPerSecond", path: [field], input: undefined });
  }
});

/** What requests are told while a service is under maintenance. */
export const maintenance = z.string().max(1000).refine(
  // deno-lint-ignore no-control-regex
  (text) => !/[\x00-\x08\x0b-\x1f\x7f]/.test(text) && text.isWellFormed(),
  "must be text without control characters",
);
