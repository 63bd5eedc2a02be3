/** A span as a collector gets it; its attributes are texts. */
export interface ReceivedSpan {
  readonly name: string;
  readonly scope: string;
  readonly traceId: string;
  readonly spanId: string;
  /** Empty for the first span of a trace. */
  readonly parentSpanId: string;
  /** 2 means that it failed. */
  readonly status: { readonly code: number; readonly message: string };
  readonly attributes: Readonly<Record<string, string>>;
  readonly startMs: number;
  readonly endMs: number;
}

/** The longest wait for a span. */
const PATIENCE_MS = 60_000;

/** A collector of OpenTelemetry's: takes traces by OTLP over HTTP, as JSON. https://opentelemetry.io/docs/specs/otlp/ */
export class OtlpReceiver implements AsyncDisposable {
  readonly spans: ReceivedSpan[] = [];
  /** How many exports of any kind have come. */
  exports = 0;
  readonly #server: Deno.HttpServer<Deno.NetAddr>;
  readonly #expecting = new Set<() => void>();

  constructor() {
    this.#server = Deno.serve({ hostname: "127.0.0.1", port: 0, onListen: () => {} }, async (request) => {
      this.exports++;
      const body = await request.json();
      if (new URL(request.url).pathname === "/v1/traces") this.spans.push(...spansOf(body));
      for (const resolve of this.#expecting) resolve();
      this.#expecting.clear();
      return Response.json({});
    });
  }

  /** The variables that let a program export here, soon after each span. */
  get env(): Record<string, string> {
    return {
      OTEL_DENO: "true",
      OTEL_EXPORTER_OTLP_ENDPOINT: `http://127.0.0.1:${this.#server.addr.port}`,
      OTEL_EXPORTER_OTLP_PROTOCOL: "http/json",
      OTEL_BSP_SCHEDULE_DELAY: "50",
    };
  }

  /** The spans of a trace, once one of a name is among them. */
  async trace(traceId: string, name: string): Promise<ReceivedSpan[]> {
    const isLate = AbortSignal.timeout(PATIENCE_MS);
    const told = Promise.withResolvers<void>();
    isLate.addEventListener("abort", () => told.resolve());
    for (;;) {
      const spans = this.spans.filter((span) => span.traceId === traceId);
      if (spans.some((span) => span.name === name)) return spans;
      if (isLate.aborted) throw new Error(`no span ${name} in time, but ${spans.map((span) => span.name)}`);
      await Promise.race([told.promise, new Promise<void>((resolve) => this.#expecting.add(resolve))]);
    }
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#server.shutdown();
  }
}

/** The part of an export that is read here. */
interface Export {
  readonly resourceSpans: readonly {
    readonly scopeSpans: readonly {
      readonly scope: { readonly name: string };
      readonly spans: readonly (Omit<ReceivedSpan, "attributes" | "scope"> & {
        readonly attributes: readonly { readonly key: string; readonly value: Readonly<Record<string, unknown>> }[];
        readonly startTimeUnixNano: string;
        readonly endTimeUnixNano: string;
      })[];
    }[];
  }[];
}

function spansOf({ resourceSpans }: Export): ReceivedSpan[] {
  return resourceSpans.flatMap(({ scopeSpans }) =>
    scopeSpans.flatMap(({ scope, spans }) =>
      spans.map(({ attributes, endTimeUnixNano, startTimeUnixNano, ...span }) => ({
        ...span,
        scope: scope.name,
        attributes: Object.fromEntries(attributes.map(({ key, value }) => [key, String(Object.values(value)[0])])),
        startMs: Number(startTimeUnixNano) / 1e6,
        endMs: Number(endTimeUnixNano) / 1e6,
      }))
    )
  );
}
