import { EngineError, kindOf } from "../engine_error.ts";
import { parseAnswer, type SocketClient } from "../socket_client.ts";

/** `GET /images/NAME/json` */
interface ApiImage {
  readonly Id?: string;
}

/** A line of the answer to `POST /images/load`. Its status is 200 also if it fails. */
interface ApiProgress {
  readonly error?: string;
}

/** Images of this node's engine as archives, as `docker save` and `docker load` have them. */
export class ImageArchives {
  readonly #engine: Pick<SocketClient, "ask" | "open" | "upload">;

  constructor(engine: Pick<SocketClient, "ask" | "open" | "upload">) {
    this.#engine = engine;
  }

  /** The id of the image that a name means; `undefined` if it means none. @throws {EngineError} */
  async idOf(image: string): Promise<string | undefined> {
    const path = `/images/${encodeURIComponent(image)}/json`;
    try {
      const text = await this.#engine.ask("GET", path, { kinds: { 400: "no_such_image", 404: "no_such_image" } });
      return parseAnswer<ApiImage>(path, text).Id;
    } catch (error) {
      if (kindOf(error) !== "no_such_image") throw error;
      return undefined;
    }
  }

  /** The archive of an image, with its name. @throws {EngineError} */
  async save(image: string, signal: AbortSignal): Promise<ReadableStream<Uint8Array>> {
    return await this.#engine.open(`/images/${encodeURIComponent(image)}/get`, signal, { 404: "no_such_image" });
  }

  /** Makes the engine have the image of an archive. @throws {EngineError} @throws What the archive breaks off with. */
  async load(archive: ReadableStream<Uint8Array>, signal: AbortSignal): Promise<void> {
    const answer = await this.#engine.upload("/images/load?quiet=1", archive, signal);
    for (const line of answer.split("\n").filter((line) => line.trim() !== "")) {
      const { error } = parseAnswer<ApiProgress>("/images/load", line);
      if (error !== undefined) throw new EngineError("refused", error);
    }
  }
}
