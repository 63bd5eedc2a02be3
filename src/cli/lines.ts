/**
 * Splits what arrives into lines, without their ends; a last line without an end is one too.
 *
 * @param signal Ends the lines, with its reason. That the request was made with one is not enough: now and then a body
 * does not notice, and a read of it hangs.
 */
export async function* linesOf(
  body: ReadableStream<Uint8Array<ArrayBuffer>>,
  signal?: AbortSignal,
): AsyncGenerator<string> {
  let rest = "";
  for await (const chunk of body.pipeThrough(new TextDecoderStream(), signal === undefined ? {} : { signal })) {
    const lines = (rest + chunk).split("\n");
    rest = lines.pop()!;
    for (const line of lines) yield line.replace(/\r$/, "");
  }
  if (rest !== "") yield rest;
}
