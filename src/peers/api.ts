import { concat } from "@std/bytes/concat";
import { within } from "../base/async.ts";
import { Attempts } from "../base/attempts.ts";
import type { Clock } from "../base/clock.ts";
import { ClessError, messageOf, OperatorError } from "../base/errors.ts";
import { logger } from "../base/log.ts";
import { VERSION } from "../base/version.ts";
import { hashOf, isSameHash } from "../control/access/tokens.ts";
import type { Handler } from "../http/server.ts";
import type { PeerIdentity } from "./identity.ts";
import { type Handlers, type Outcome, type Refusal, SIGN_OF_LIFE_MS, type StreamHandlers } from "./messages.ts";
import { packed } from "./pieces.ts";

const log = logger("peers");
/** The largest body of a message. A config of the Swarm has at most 1,000 KB, and is sent as base64. */
const MAX_BODY_BYTES = 2 * 1024 * 1024;
/** How long a body may take: whoever has sent a part of it may have gone since. */
const BODY_MS = 10_000;

const encoder = new TextEncoder();

/** What {@linkcode peerApi} is made from. */
export interface PeerApiOptions {
  readonly identity: PeerIdentity;
  readonly handlers: Handlers;
  readonly streams: StreamHandlers;
  readonly clock: Clock;
}

/**
 * Makes the handler of the other cless processes' messages: `POST /peer/MESSAGE`. Nobody else is answered, since every
 * request needs the secret of the identity. The server that calls it needs the identity's certificate.
 */
export function peerApi({ identity, handlers, streams, clock }: PeerApiOptions): Handler {
  const attempts = new Attempts(clock);
  return async (request, { remoteAddr }) => {
    try {
      await checkSecret(request.headers, identity.secret, remoteAddr.hostname, attempts);
      const message = messageIn(request);
      if (Object.hasOwn(handlers, message)) {
        const handler = handlers[message as keyof Handlers] as (body: unknown, signal: AbortSignal) => Promise<unknown>;
        const body = await readJson(request, clock);
        return await answer(request, (signal) => handler(body, signal), clock);
      }
      if (Object.hasOwn(streams, message)) {
        const handler = streams[message as keyof StreamHandlers] as (
          body: unknown,
          signal: AbortSignal,
        ) => Promise<ReadableStream<Uint8Array>>;
        const body = await readJson(request, clock);
        return await answerInPieces(request, (signal) => handler(body, signal), clock);
      }
      const remedy = "bring the cless of all machines to one version";
      throw new ClessError("not_found", `cless ${VERSION} does not know the message ${message}; ${remedy}`);
    } catch (error) {
      const status = error instanceof ClessError ? error.status : 500;
      return Response.json(refusalOf(error), { status });
    }
  };
}

/** @throws {ClessError} `unauthorized` or `too_many_attempts`, if the request does not have the secret. */
async function checkSecret(headers: Headers, secret: string, from: string, attempts: Attempts): Promise<void> {
  const shown = /^Bearer (\S+)$/.exec(headers.get("authorization") ?? "")?.[1];
  // As for tokens, the right secret is accepted whatever others at the address have tried.
  if (shown !== undefined && isSameHash(await hashOf(shown), await hashOf(secret))) return;
  const retryAfterS = attempts.secondsLeft(from);
  if (retryAfterS !== undefined) {
    throw new ClessError("too_many_attempts", "Too many wrong secrets came from this address", { retryAfterS });
  }
  if (shown !== undefined) {
    attempts.wrong(from);
    log.warning("a peer with a wrong secret was refused", { from });
  }
  throw new ClessError("unauthorized", "The secret is missing or wrong");
}

/** The message that a request is. @throws {ClessError} `not_found` for any other request. */
function messageIn({ method, url }: Request): string {
  const [, message] = /^https?:\/\/[^/]+\/peer\/([a-z-]{1,40})$/.exec(url) ?? [];
  if (method !== "POST" || message === undefined) throw new ClessError("not_found", "There is no such resource");
  return message;
}

/** @throws {ClessError} `client_timeout`, `too_large` or `invalid` */
async function readJson(request: Request, clock: Clock): Promise<unknown> {
  const body = await within(bodyOf(request), clock, BODY_MS);
  if (body === undefined) throw new ClessError("client_timeout", "The body does not come to its end");
  try {
    return JSON.parse(new TextDecoder().decode(body));
  } catch {
    throw new ClessError("invalid", "The body is not JSON");
  }
}

/** @throws {ClessError} `too_large` */
async function bodyOf(request: Request): Promise<Uint8Array> {
  const chunks: Uint8Array[] = [];
  let length = 0;
  for await (const chunk of request.body ?? []) {
    length += chunk.length;
    if (length > MAX_BODY_BYTES) {
      throw new ClessError("too_large", `The body must be at most ${MAX_BODY_BYTES / 1024 / 1024} MiB`);
    }
    chunks.push(chunk);
  }
  return concat(chunks);
}

/**
 * Answers with an {@linkcode Outcome}: in one piece if the work is done soon. Else the head is sent, and blanks until it
 * is done: a peer that hears nothing knows that this machine has gone, however long the work may take.
 *
 * In one piece, since the platform's server leaves Nagle's algorithm on for TLS: a second small piece would wait for the
 * acknowledgement of the first, 40 ms.
 */
async function answer(
  request: Request,
  work: (signal: AbortSignal) => Promise<unknown>,
  clock: Clock,
): Promise<Response> {
  const gone = goneWith(request);
  const outcome = outcomeOf(work, gone.signal);
  const soon = await within(outcome, clock, SIGN_OF_LIFE_MS);
  const body = soon === undefined ? later(outcome, gone, clock) : JSON.stringify(soon);
  return new Response(body, { headers: { "content-type": "application/json" } });
}

/** Answers with a stream, in pieces: at once if it does not begin soon, so that signs of life can be sent. */
async function answerInPieces(
  request: Request,
  open: (signal: AbortSignal) => Promise<ReadableStream<Uint8Array>>,
  clock: Clock,
): Promise<Response> {
  const gone = goneWith(request);
  const opening = open(gone.signal);
  await within(opening, clock, SIGN_OF_LIFE_MS);
  return new Response(packed(opening, { gone, clock, refusalOf }), {
    headers: { "content-type": "application/octet-stream" },
  });
}

/** Is aborted when the peer no longer waits. */
function goneWith({ signal }: Request): AbortController {
  const gone = new AbortController();
  signal.addEventListener("abort", () => gone.abort(), { once: true });
  return gone;
}

/** The body of an answer that takes long. */
function later(outcome: Promise<Outcome>, gone: AbortController, clock: Clock): ReadableStream<Uint8Array> {
  let stop = () => {};
  return new ReadableStream({
    start(controller) {
      const live = () => controller.enqueue(encoder.encode(" "));
      live();
      stop = clock.every(SIGN_OF_LIFE_MS, live);
      outcome.then((outcome) => {
        stop();
        if (gone.signal.aborted) return;
        controller.enqueue(encoder.encode(JSON.stringify(outcome)));
        controller.close();
      });
    },
    cancel() {
      stop();
      gone.abort();
    },
  });
}

async function outcomeOf(work: (signal: AbortSignal) => Promise<unknown>, signal: AbortSignal): Promise<Outcome> {
  try {
    return { answer: await work(signal) ?? null };
  } catch (error) {
    return { refused: refusalOf(error) };
  }
}

/** Why there is no answer. A failure of a kind that peers know is theirs to report; any other is a fault here. */
function refusalOf(error: unknown): Refusal {
  const reason = messageOf(error);
  const { kind } = (error ?? {}) as { readonly kind?: unknown };
  if (typeof kind === "string") return { reason, kind };
  if (!(error instanceof ClessError) && !(error instanceof OperatorError)) {
    log.error("a message of a peer has failed", { reason });
  }
  return { reason };
}
