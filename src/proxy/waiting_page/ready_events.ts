import type { Clock } from "../../base/clock.ts";
import type { Wait } from "./wait.ts";

/** How often there is a sign of life: what stands between may cut a silent connection. */
const HEARTBEAT_MS = 15_000;
/** When a browser asks again after a connection was lost, ms. */
const RETRY_MS = 1000;

/**
 * An event stream with one event, when a wait is over: `ready` or `failed`; or at once `unknown`, where the wait is not
 * known (any more). Where it broke off because cless or a revision ends there is none, and the browser asks again.
 */
export function readyEvents(wait: Wait | undefined, clock: Clock): Response {
  const headers = { "content-type": "text/event-stream", "cache-control": "no-store", "x-accel-buffering": "no" };
  let stop: (() => void) | undefined;
  const body = new ReadableStream<string>({
    start: (controller) => {
      controller.enqueue(`retry: ${RETRY_MS}\n\n`);
      if (wait === undefined) {
        controller.enqueue(eventOf("unknown"));
        return controller.close();
      }
      const cancel = clock.every(HEARTBEAT_MS, () => controller.enqueue(":\n\n"));
      let gone = false;
      stop = () => {
        gone = true;
        cancel();
      };
      wait.over.then(() => {
        cancel();
        if (gone) return;
        if (wait.failure?.code !== "draining") {
          controller.enqueue(eventOf(wait.failure === undefined ? "ready" : "failed"));
        }
        controller.close();
      });
    },
    cancel: () => stop?.(),
  });
  return new Response(body.pipeThrough(new TextEncoderStream()), { headers });
}

/** One without data would not be dispatched: https://html.spec.whatwg.org/multipage/server-sent-events.html */
function eventOf(type: string): string {
  return `event: ${type}\ndata: {}\n\n`;
}
