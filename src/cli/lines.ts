/**
 * Splits what arrives into lines, without their ends; a last line without an end is one too.
 *
 * @param signal Ends it where it is, as if there were no more: a body does not always notice that its request is aborted.
 */
export async function* linesOf(
  body: ReadableStream<Uint8Array<ArrayBuffer>>,
  signal?: AbortSignal,
): AsyncGenerator<string> {
  const reader = body.getReader();
  const stop = () => void reader.cancel().catch(() => {});
  signal?.addEventListener("abort", stop);
  if (signal?.aborted) stop();
  const decoder = new TextDecoder();
  let rest = "";
  try {
    for (let result = await reader.read(); !result.done; result = await reader.read()) {
      const lines = (rest + decoder.decode(result.value, { stream: true })).split("\n");
      rest = lines.pop()!;
      for (const line of lines) yield line.replace(/\r$/, "");
    }
    rest += decoder.decode();
    if (rest !== "" && !signal?.aborted) yield rest;
  } finally {
    signal?.removeEventListener("abort", stop);
    stop();
  }
}
