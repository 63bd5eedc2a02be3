import { assertEquals } from "@std/assert";
import { Harness } from "../../support/harness.ts";
import { Origin } from "../../support/origin.ts";
import { netTest } from "../../support/permissions.ts";
import { type RawClient, requestText } from "../../support/raw_client.ts";
import { turns } from "../../support/until.ts";

// The memory of one answer is reused for the next. While a client has not read all of its answer, the kernel or the platform
// holds the rest of it. If its memory were reused too early, the client would get bytes of another answer.

/** A body that repeats its mark every 16 bytes. */
function bodyOf(mark: string, length: number): string {
  return mark.padEnd(16, ".").repeat(Math.ceil(length / 16)).slice(0, length);
}

/** An app whose answers have the framing, the length and the mark that the path names. */
function markedApp(): Origin {
  return Origin.serving(async (connection) => {
    for (let request; (request = await connection.reader.request()) !== undefined;) {
      const [, framing, length, mark] = request.target.split("/");
      const body = bodyOf(mark!, Number(length));
      const isChunked = framing === "chunked";
      const line = isChunked ? "transfer-encoding: chunked" : `content-length: ${body.length}`;
      const rest = isChunked ? `${body.length.toString(16)}\r\n${body}\r\n0\r\n\r\n` : body;
      if (!await connection.send(`HTTP/1.1 200 OK\r\n${line}\r\n\r\n${rest}`)) return;
    }
  });
}

for (const framing of ["length", "chunked"] as const) {
  netTest(`a client that reads late gets its own bytes, whatever passes meanwhile, with ${framing}`, async () => {
    await using app = markedApp();
    await using cless = await Harness.warm({ forward: "exact", origin: app });
    const late: { client: RawClient; length: number; mark: string }[] = [];
    const ask = async (length: number, mark: string) => {
      const client = await cless.connect();
      await client.send(requestText(`GET /${framing}/${length}/${mark}`));
      late.push({ client, length, mark });
    };
    // The size of the kernel's buffers varies; some of these lengths end in the platform's own buffers.
    for (let length = 64 * 1024; length < 8 << 20; length += 176 * 1024) await ask(length, `late-${length}`);
    for (let idle = 0, before = -1; idle < 3; idle++) {
      await turns(30);
      if (cless.instance.inFlight !== before) idle = 0;
      before = cless.instance.inFlight;
    }
    // These reuse the memory that was released.
    for (let turn = 0; turn < 8; turn++) {
      const others = Array.from({ length: 8 }, (_, n) => requestText(`GET /${framing}/2000000/other-${turn}-${n}`));
      const answers = await Promise.all(others.map((request) => cless.ask(request)));
      answers.forEach((answer, n) => assertEquals(answer.text === bodyOf(`other-${turn}-${n}`, 2_000_000), true));
    }
    const wrong: string[] = [];
    for (const { client, length, mark } of late) {
      const answer = await client.answer();
      assertEquals([answer.status, answer.complete, answer.body.length], [200, true, length]);
      const { text } = answer;
      if (text !== bodyOf(mark, length)) {
        const marks = new Set(text.match(/(?:other|late)-[\d-]+/g));
        wrong.push(`${mark}: ${[...marks].slice(0, 5)}`);
      }
      client[Symbol.dispose]();
    }
    assertEquals(wrong, []);
    await cless.idle();
  });
}
