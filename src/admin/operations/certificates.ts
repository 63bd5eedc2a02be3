import { z } from "zod";
import { json } from "../body.ts";
import type { Collaborators } from "../collaborators.ts";
import { time, timeOf } from "../common_fields.ts";
import { tagged } from "../operation.ts";

const operation = tagged("certificates");

const namesSchema = z.strictObject({
  domains: z.array(z.strictObject({
    domain: z.string().meta({ description: "The last two labels of the names" }),
    newNames: z.int().min(1).meta({ description: "How many names were new in the last 7 days" }),
    limit: z.int().min(1).meta({
      description: "How many may be new in 7 days; services that are not declared get 30 of them, and tags 20",
    }),
    resetsAt: time.meta({ description: "When the first of them no longer counts" }),
  })).meta({ description: "The domains that have had new names in the last 7 days" }),
  refused: z.array(z.strictObject({
    name: z.string(),
    reason: z.string(),
    at: time,
  })).meta({ description: "The last 20 names that were refused, the latest first" }),
}).meta({
  id: "CertificateNames",
  examples: [{
    domains: [{ domain: "example.org", newNames: 3, limit: 40, resetsAt: "2026-12-02T10:00:00.000Z" }],
    refused: [{
      name: "shop.any.example.org",
      reason: "it is no domain of a service, and not NAME.DOMAIN of a service, tag or local image",
      at: "2026-11-25T10:00:00.000Z",
    }],
  }],
});

/** What a {@linkcode certificateOperations} answer has. */
export type CertificateNamesJson = z.output<typeof namesSchema>;

/** The operations on the names that certificates are made for. */
export function certificateOperations({ certificateNames }: Collaborators) {
  return [
    operation({
      id: "showCertificateNames",
      route: "GET /v1/certificate-names",
      scope: "read",
      summary: "How many new hostnames each domain has had, and which were refused",
      description: "A TLS proxy asks for a hostname at /v1/ask before it has a certificate made.",
      answers: { 200: { description: "Counts and refusals", schema: namesSchema } },
      run: () => {
        const shown: CertificateNamesJson = {
          domains: certificateNames.counts().map((count) => ({ ...count, resetsAt: timeOf(count.resetsAt) })),
          refused: certificateNames.refused().map((refused) => ({ ...refused, at: timeOf(refused.at) })),
        };
        return json(shown);
      },
    }),
  ];
}
