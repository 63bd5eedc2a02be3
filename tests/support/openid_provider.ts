import { createServer, type Server } from "node:http";
import type { AddressInfo } from "node:net";

/** An account of the provider: its claims by the name that one signs in with. */
export type Accounts = Readonly<Record<string, Readonly<Record<string, unknown>>>>;

/** What a test may decide about the provider. */
export interface OpenIdOptions {
  readonly accounts: Accounts;
  /** Where the client may be sent back to. */
  readonly redirectUris: readonly string[];
  readonly port?: number;
  /** How the client proves who it is; by a password in the header, unless told otherwise. */
  readonly authMethod?: "client_secret_basic" | "client_secret_post" | "none";
  /** More of the provider's own configuration. */
  readonly configuration?: Readonly<Record<string, unknown>>;
}

/** The client that the provider knows. */
export const CLIENT = { clientId: "cless", clientSecret: "correct horse" };

/** A real OpenID provider, without a dialog: whoever has said a name is that account. */
export class OpenIdProvider implements AsyncDisposable {
  readonly issuer: string;
  /** The paths that were requested, in order. */
  readonly requests: string[] = [];
  readonly #server: Server;

  private constructor(server: Server, issuer: string) {
    this.#server = server;
    this.issuer = issuer;
  }

  static async start(
    { accounts, redirectUris, port, authMethod, configuration }: OpenIdOptions,
  ): Promise<OpenIdProvider> {
    const { default: Provider } = await import("oidc-provider"); // needs permissions as soon as it is loaded
    const server = createServer();
    await new Promise<void>((resolve) => server.listen(port ?? 0, "127.0.0.1", resolve));
    const issuer = `http://127.0.0.1:${(server.address() as AddressInfo).port}`;
    const started = new OpenIdProvider(server, issuer);
    const provider = quietly(() =>
      new Provider(issuer, configurationOf(accounts, redirectUris, authMethod, configuration))
    );
    const handle = provider.callback();
    server.on("request", async (request, response) => {
      const url = new URL(request.url ?? "/", issuer);
      started.requests.push(url.pathname);
      if (!url.pathname.startsWith("/interaction/")) return handle(request, response);
      const { params, prompt } = await provider.interactionDetails(request, response);
      if (prompt.name === "login") {
        // The account is that of `?as=NAME`, as a form would send it.
        const accountId = url.searchParams.get("as");
        if (accountId === null) return void response.end("<form>Who are you?</form>");
        const result = accountId === "nobody"
          ? { error: "access_denied", error_description: "called off" }
          : { login: { accountId } };
        return await provider.interactionFinished(request, response, result);
      }
      const grant = new provider.Grant({
        accountId: (await provider.interactionDetails(request, response)).session!.accountId,
        clientId: params["client_id"] as string,
      });
      grant.addOIDCScope(params["scope"] as string);
      await provider.interactionFinished(request, response, { consent: { grantId: await grant.save() } });
    });
    return started;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#server.closeAllConnections();
    await new Promise((resolve) => this.#server.close(resolve));
  }
}

function configurationOf(
  accounts: Accounts,
  redirectUris: readonly string[],
  method: OpenIdOptions["authMethod"] = "client_secret_basic",
  more: OpenIdOptions["configuration"] = {},
): Record<string, unknown> {
  return {
    clients: [{
      client_id: CLIENT.clientId,
      ...method === "none" ? {} : { client_secret: CLIENT.clientSecret },
      redirect_uris: [...redirectUris],
      token_endpoint_auth_method: method,
    }],
    claims: {
      openid: ["sub"],
      profile: ["preferred_username"],
      email: ["email", "email_verified"],
      groups: ["groups"],
    },
    scopes: ["openid", "profile", "email", "groups"],
    findAccount: (_context: unknown, id: string) => {
      const claims = accounts[id];
      return claims && { accountId: id, claims: () => ({ sub: id, ...claims }) };
    },
    interactions: { url: (_context: unknown, { uid }: { readonly uid: string }) => `/interaction/${uid}` },
    ttl: { AccessToken: 60, Grant: 600, IdToken: 600, Interaction: 600, Session: 600 },
    features: {
      devInteractions: { enabled: false },
      // The form of the real one asks whether to sign out; only the address is needed here.
      rpInitiatedLogout: { enabled: true },
    },
    cookies: { keys: ["a key of the tests"] },
    ...more,
  };
}

/** Makes something without the provider's warnings about what is missing for production. */
function quietly<T>(make: () => T): T {
  const { info, warn } = console;
  console.info = console.warn = () => {};
  try {
    return make();
  } finally {
    Object.assign(console, { info, warn });
  }
}
