import { Limiter } from "../base/async.ts";
import { messageOf } from "../base/errors.ts";
import type { Handlers, ImageOffer, StreamHandlers } from "./messages.ts";
import type { PeerClient } from "./peer_client.ts";

/** How long a machine may take to get an image. It gives signs of life meanwhile. */
const SEND_MS = 3_600_000;
/** An image is sent to at most this many machines at once. */
const MAX_AT_ONCE = 2;

/** The images of this machine. */
export interface Archives {
  /** The id of the image that a name means; `undefined` if it means none. */
  idOf(image: string): Promise<string | undefined>;
  save(image: string, signal: AbortSignal): Promise<ReadableStream<Uint8Array>>;
  load(archive: ReadableStream<Uint8Array>, signal: AbortSignal): Promise<void>;
}

/** Whether an image was missing on a node and is there now, or why it is not. */
export type Sent = { readonly nodeId: string; readonly sent: boolean; readonly failure: string | undefined };

/** Sends images from one machine to others, without a registry. */
export class ImageExchange {
  readonly #nodeId: string;
  readonly #archives: Archives;
  readonly #client: Pick<PeerClient, "ask" | "open">;

  /** @param nodeId The node of this process. */
  constructor(nodeId: string, archives: Archives, client: Pick<PeerClient, "ask" | "open">) {
    this.#nodeId = nodeId;
    this.#archives = archives;
    this.#client = client;
  }

  /** What answers the messages of other machines. */
  get handlers(): Pick<Handlers, "image"> {
    return { image: (offer, signal) => this.#get(offer, signal) };
  }

  /** What answers the other machines with archives. */
  get streams(): Pick<StreamHandlers, "image-pieces"> {
    return { "image-pieces": ({ image }, signal) => this.#archives.save(image, signal) };
  }

  /**
   * Sends an image to other nodes; resolves when all have it or have failed. Returns nothing if it is not here.
   *
   * @throws If this machine's engine does not answer.
   */
  async send(image: string, nodeIds: readonly string[]): Promise<Sent[] | undefined> {
    const imageId = await this.#archives.idOf(image);
    if (imageId === undefined) return undefined;
    const limiter = new Limiter(MAX_AT_ONCE);
    const offer = { image, imageId, from: this.#nodeId };
    return await Promise.all(nodeIds.map((nodeId) => limiter.run(() => this.#offer(nodeId, offer))));
  }

  async #offer(nodeId: string, offer: ImageOffer): Promise<Sent> {
    try {
      const sent = await this.#client.ask(nodeId, "image", offer, { timeoutMs: SEND_MS });
      return { nodeId, sent, failure: undefined };
    } catch (error) {
      return { nodeId, sent: false, failure: messageOf(error) };
    }
  }

  /** Gets an image from another machine, unless it is here. Returns whether it was missing. */
  async #get({ from, image, imageId }: ImageOffer, signal: AbortSignal): Promise<boolean> {
    if (await this.#archives.idOf(image) === imageId) return false;
    await this.#archives.load(await this.#client.open(from, "image-pieces", { image }, signal), signal);
    return true;
  }
}
