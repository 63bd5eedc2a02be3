import { assertEquals, assertRejects } from "@std/assert";
import { Provider } from "../../../src/access/oidc/provider.ts";
import { systemClock } from "../../../src/base/clock.ts";
import { ClessError } from "../../../src/base/errors.ts";
import { Origin } from "../../support/origin.ts";
import { netTest } from "../../support/permissions.ts";

const CLIENT_ID = "cless";
const REQUEST = { clientId: CLIENT_ID, redirectUri: "http://app.localhost/callback", state: "state" };
const URL_SAFE = { alphabet: "base64url", omitPadding: true } as const;

const algorithm = { name: "ECDSA", namedCurve: "P-256" };
const [key, otherKey] = await Promise.all(
  [1, 2].map(() => crypto.subtle.generateKey(algorithm, true, ["sign", "verify"]) as Promise<CryptoKeyPair>),
);

function encoded(value: unknown): string {
  return new TextEncoder().encode(JSON.stringify(value)).toBase64(URL_SAFE);
}

async function jwt(claims: object, header: object = { alg: "ES256", kid: "1" }, signer = key!): Promise<string> {
  const text = `${encoded(header)}.${encoded(claims)}`;
  const parameters = { name: "ECDSA", hash: "SHA-256" };
  const signature = await crypto.subtle.sign(parameters, signer.privateKey, new TextEncoder().encode(text));
  return `${text}.${new Uint8Array(signature).toBase64(URL_SAFE)}`;
}

/** What a dishonest or broken provider says. */
interface Lies {
  readonly metadata?: object;
  readonly claims?: object;
  readonly token?: (claims: object) => Promise<string>;
  readonly userinfo?: object;
}

/** The claims that cless gets of a provider, with which something may be wrong. */
async function claimsOf({ metadata, claims, token = jwt, userinfo }: Lies, answer: Record<string, string> = {}) {
  const bodies = new Map<string, unknown>();
  await using server = Origin.answering(({ target }) => {
    const body = JSON.stringify(bodies.get(target.replace(/\?.*/, "")));
    return `HTTP/1.1 200 OK\r\ncontent-type: application/json\r\ncontent-length: ${body.length}\r\n\r\n${body}`;
  });
  const issuer = server.url;
  bodies.set("/.well-known/openid-configuration", {
    ...{
      issuer,
      authorization_endpoint: `${issuer}/auth`,
      token_endpoint: `${issuer}/token`,
      jwks_uri: `${issuer}/jwks`,
    },
    ...userinfo === undefined ? {} : { userinfo_endpoint: `${issuer}/me` },
    id_token_signing_alg_values_supported: ["ES256"],
    ...metadata,
  });
  bodies.set("/jwks", { keys: [{ ...await crypto.subtle.exportKey("jwk", key!.publicKey), kid: "1", alg: "ES256" }] });
  bodies.set("/me", userinfo);
  const provider = new Provider(issuer, systemClock);
  const begun = await provider.begin(REQUEST);
  const now = Math.floor(Date.now() / 1000);
  const said = { iss: issuer, aud: CLIENT_ID, sub: "1", iat: now, exp: now + 60, nonce: begun.nonce, ...claims };
  bodies.set("/token", { access_token: "a", token_type: "bearer", id_token: await token(said) });
  const query = new URLSearchParams({ code: "code", state: REQUEST.state, ...answer });
  return await provider.finish(query, REQUEST, begun, undefined);
}

netTest("what an honest provider says is taken, and its user info completes the ID token", async () => {
  const { sub, email, groups } = await claimsOf({
    claims: { email: "a@example.org", email_verified: true },
    userinfo: { sub: "1", email: "other@example.org", email_verified: false, groups: ["dev"] },
  });
  assertEquals([sub, email, groups], ["1", "a@example.org", ["dev"]]);
  // Both claims about an address come from the same place.
  const mixed = await claimsOf({
    claims: { email: "a@example.org" },
    userinfo: { sub: "1", email: "b@example.org", email_verified: true },
  });
  assertEquals([mixed["email"], mixed["email_verified"]], ["a@example.org", undefined]);
});

netTest("clocks may differ by a minute, and not by more", async () => {
  const now = Math.floor(Date.now() / 1000);
  assertEquals((await claimsOf({ claims: { iat: now + 50, exp: now + 100 } }))["sub"], "1");
  assertEquals((await claimsOf({ claims: { iat: now - 100, exp: now - 50 } }))["sub"], "1");
  await assertRejects(() => claimsOf({ claims: { iat: now - 200, exp: now - 70 } }), Error, "timestamp");
});

/** What is wrong, and the word by which the log says so. */
const LIES: Record<string, readonly [reason: string, lies: Lies]> = {
  "another nonce": ["nonce", { claims: { nonce: "another" } }],
  "no nonce": ["nonce", { claims: { nonce: undefined } }],
  "another issuer": ["issuer", { claims: { iss: "https://evil.example" } }],
  "another client": ["audience", { claims: { aud: "another" } }],
  "several clients, and none in charge": ["audience", { claims: { aud: [CLIENT_ID, "another"] } }],
  "several clients, and another in charge": ["authorized party", {
    claims: { aud: [CLIENT_ID, "another"], azp: "another" },
  }],
  "no end": ["expiration time", { claims: { exp: undefined } }],
  "no account": ["subject", { claims: { sub: undefined } }],
  "another key": ["signature", { token: (claims) => jwt(claims, undefined, otherKey) }],
  "an unknown key": ["no applicable keys", { token: (claims) => jwt(claims, { alg: "ES256", kid: "2" }) }],
  "no signature": ["alg", { token: (claims) => Promise.resolve(`${encoded({ alg: "none" })}.${encoded(claims)}.`) }],
  "another algorithm": ["alg", { token: (claims) => jwt(claims, { alg: "HS256", kid: "1" }) }],
  "a user info of another account": ["sub", { userinfo: { sub: "2" } }],
};

for (const [name, [reason, lies]] of Object.entries(LIES)) {
  netTest(`an ID token with ${name} lets nobody in`, async () => {
    await assertRejects(() => claimsOf(lies), Error, reason);
  });
}

netTest("an answer with another state or issuer lets nobody in", async () => {
  for (const answer of [{ state: "another" }, { iss: "https://evil.example" }]) {
    const reason = Object.keys(answer)[0]!;
    await assertRejects(() => claimsOf({}, answer as Record<string, string>), Error, reason);
  }
});

netTest("a provider that speaks for another issuer, or sends browsers elsewhere, is not used", async () => {
  for (
    const metadata of [
      { issuer: "https://accounts.example.org" },
      { authorization_endpoint: undefined },
      { authorization_endpoint: "javascript:alert(1)" },
      { authorization_endpoint: "/auth" },
    ]
  ) await assertRejects(() => claimsOf({ metadata }), ClessError);
});
