import type { HttpMessage } from "../support/http_message.ts";
import { type FuzzCase, REQUEST_TIMEOUT_MS } from "./fuzz_case.ts";
import type { Got } from "./fuzz_client.ts";

/** A judgement about what a client got. */
export interface Verdict {
  readonly verdict: "passed" | "refused" | "timed out" | "cut" | "hangs" | "unreadable";
  /** Why it is wrong; missing if it is right. */
  readonly wrong?: string;
}

/** Judges what a client got: the whole answer of the case, or, if that is not good, visibly less. */
export function judge(fuzzed: FuzzCase, answer: Got): Verdict {
  const { reading, surplus } = fuzzed;
  const isSound = reading.end !== undefined && !surplus;
  if (answer === "hangs") return { verdict: "hangs", wrong: "no answer comes" };
  if (answer instanceof Error) return { verdict: "unreadable", wrong: answer.message };
  if (answer === "cut") {
    return { verdict: "cut", ...isSound ? { wrong: "a good answer does not arrive" } : {} };
  }
  const error = answer.all("cless-error")[0];
  if (error !== undefined) {
    const verdict = error === "upstream_timeout" ? "timed out" : "refused";
    if (isSound) return { verdict, wrong: `a good answer is refused: ${error}` };
    if (error === "upstream_failed" && answer.status === 502) return { verdict };
    if (error === "upstream_timeout" && answer.status === 504 && fuzzed.closesAfterMs > REQUEST_TIMEOUT_MS) {
      return { verdict };
    }
    return { verdict, wrong: `${answer.status} ${error}` };
  }
  const verdict = answer.complete ? "passed" : "cut";
  if (reading.head === undefined) return { verdict, wrong: `there is no answer in it: ${show(answer)}` };
  if (answer.status !== reading.head.status) return { verdict, wrong: `another status: ${show(answer)}` };
  const headers = reading.head.headers.map(([name, value]) => `${name}: ${value}`).sort().join("\n");
  const dated = reading.head.headers.some(([name]) => name === "date");
  const ours = ["content-length", "transfer-encoding", ...dated ? [] : ["date"]];
  const seen = answer.headers.map(([name, value]) => [name.toLowerCase(), value] as const)
    .filter(([name]) => !ours.includes(name)).map(([name, value]) => `${name}: ${value}`);
  if (seen.sort().join("\n") !== headers) return { verdict, wrong: `other headers: ${show(answer)}` };
  if (!answer.complete) {
    if (isSound) return { verdict, wrong: "a good answer is cut" };
    return reading.body.startsWith(answer.text) ? { verdict } : { verdict, wrong: `another's body: ${show(answer)}` };
  }
  if (reading.end === undefined) return { verdict, wrong: `it is passed on as if it were whole: ${show(answer)}` };
  return answer.text === reading.body ? { verdict } : { verdict, wrong: `another body: ${show(answer)}` };
}

function show({ startLine, headers, text }: HttpMessage): string {
  return JSON.stringify([startLine, headers, text.slice(0, 300)]);
}
