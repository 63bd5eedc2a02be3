import { type AddressOptions, SignInAddresses } from "../../src/access/oidc/addresses.ts";
import { Providers, type SignIn } from "../../src/access/oidc/sign_in.ts";
import { Sealer } from "../../src/access/oidc/sealer.ts";
import { systemClock } from "../../src/base/clock.ts";
import { type PublicUrl, urlBelow } from "../../src/model/public_url.ts";

/** Where cless is known to be, in the tests of sign-in. */
export const PUBLIC_URL: PublicUrl = { scheme: "https", domain: "example.org", port: 443 };

/** What a test may decide about the sign-ins of services. */
export interface SignInOptions extends Partial<Pick<SignIn, "now" | "secrets">>, Partial<AddressOptions> {
  readonly clock?: ConstructorParameters<typeof Providers>[0];
  /** Another key than the one that all tests have. */
  readonly key?: number;
}

/** What the sign-ins of services share: names one label below `example.org` and `localhost` are cless's own. */
export function signInParts({ key = 1, clock = systemClock, ...options }: SignInOptions = {}): SignIn {
  return {
    sealer: new Sealer({
      deriveKey: (purpose) => {
        const bytes = new TextEncoder().encode(`${key} ${purpose}`.padEnd(32).slice(0, 32));
        return crypto.subtle.importKey("raw", bytes, "AES-GCM", false, ["encrypt", "decrypt"]);
      },
    }),
    providers: new Providers(clock),
    addresses: new SignInAddresses({
      hosts: {
        isNamed: (name) => /^[^.]+\.(?:example\.org|localhost)$/.test(name),
        originsOf: (service) => [urlBelow(PUBLIC_URL, service)],
      },
      publicUrl: PUBLIC_URL,
      callbackHost: undefined,
      ...options,
    }),
    secrets: { value: (name) => Promise.resolve(`the value of ${name}`) },
    now: Date.now,
    ...options,
  };
}
