import type { OtherMachines } from "../images/image_source.ts";
import type { PeerImage, Peers } from "./instance_messages.ts";
import type { TaskEngine } from "./task_engine.ts";

/** A peer that says nothing of its images for this long is not waited for, ms. */
const ASK = { timeoutMs: 3000 };

/** Which nodes have an image, as the cless there say. */
export class ImageNodes implements OtherMachines {
  readonly #self: string;
  readonly #engine: Pick<TaskEngine, "image">;
  readonly #peers: Peers;

  /** @param self The id of this node. @param engine Its engine. */
  constructor(self: string, engine: Pick<TaskEngine, "image">, peers: Peers) {
    this.#self = self;
    this.#engine = engine;
    this.#peers = peers;
  }

  /** The image of this node with a name or an id; `undefined` if it has none. */
  async here(image: string): Promise<PeerImage | undefined> {
    const found = await this.#engine.image(image).catch(() => undefined);
    return found && { imageId: found.id, ...(found.hasHealthCheck ? { hasHealthCheck: true } : {}) };
  }

  async find(image: string): Promise<PeerImage | undefined> {
    const others = this.#peers.live.filter((node) => node !== this.#self);
    const answers = await Promise.all(others.map((node) => this.#ask(node, image)));
    return answers.find((answer) => answer?.image !== undefined)?.image;
  }

  /** Of some nodes, those that have an image; if none is known to, those of which nobody knows: no cless answers there. */
  async having(imageId: string, nodes: readonly string[]): Promise<string[]> {
    const has = await Promise.all(nodes.map(async (node) => {
      if (node === this.#self) return await this.here(imageId) !== undefined;
      return this.#peers.live.includes(node) ? (await this.#ask(node, imageId))?.ok : undefined;
    }));
    const isKnown = has.includes(true);
    return nodes.filter((_, index) => isKnown ? has[index] === true : has[index] === undefined);
  }

  async #ask(node: string, image: string) {
    return await this.#peers.ask(node, { hasImage: image }, ASK).catch(() => undefined);
  }
}
