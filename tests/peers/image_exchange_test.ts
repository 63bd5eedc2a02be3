import { assert, assertEquals, assertStringIncludes } from "@std/assert";
import { systemClock } from "../../src/base/clock.ts";
import type { Endpoint } from "../../src/model/host.ts";
import { makeIdentity } from "../../src/peers/identity.ts";
import { type Archives, ImageExchange } from "../../src/peers/image_exchange.ts";
import { PeerClient } from "../../src/peers/peer_client.ts";
import { netTest } from "../support/permissions.ts";
import { TestPeer } from "./kit.ts";

const identity = await makeIdentity();
const MIB = 1024 * 1024;

/** A machine with images; an archive is the image's id and some megabytes. */
class Machine implements Archives, AsyncDisposable {
  readonly images: Map<string, string>;
  readonly exchange: ImageExchange;
  readonly client: PeerClient;
  /** Why it cannot load any archive. */
  failure: string | undefined;
  /** After how many bytes its archives break off. */
  breaksAfter = Infinity;
  readonly #peer: TestPeer;

  constructor(nodeId: string, images: Record<string, string>, addresses: Map<string, Endpoint>) {
    this.images = new Map(Object.entries(images));
    this.client = new PeerClient(identity, addresses, systemClock);
    this.exchange = new ImageExchange(nodeId, this, this.client);
    const { handlers, streams } = this.exchange;
    this.#peer = new TestPeer(identity, { handlers, streams });
    addresses.set(nodeId, this.#peer.endpoint);
  }

  idOf(image: string): Promise<string | undefined> {
    return Promise.resolve(this.images.get(image));
  }

  save(image: string): Promise<ReadableStream<Uint8Array>> {
    const head = new TextEncoder().encode(`${image} ${this.images.get(image)}\n`.padEnd(MIB));
    let sent = 0;
    return Promise.resolve(
      new ReadableStream({
        pull: (controller) => {
          if (sent >= this.breaksAfter) return controller.error(new Error("it breaks off"));
          controller.enqueue(sent === 0 ? head : new Uint8Array(MIB));
          sent += MIB;
          if (sent === 8 * MIB) controller.close();
        },
      }),
    );
  }

  async load(archive: ReadableStream<Uint8Array>): Promise<void> {
    const bytes = await new Response(archive).bytes();
    if (this.failure !== undefined) throw new Error(this.failure);
    assertEquals(bytes.length, 8 * MIB);
    const [image, id] = new TextDecoder().decode(bytes.subarray(0, 100)).split(/\s+/);
    this.images.set(image!, id!);
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.client[Symbol.dispose]();
    await this.#peer[Symbol.asyncDispose]();
  }
}

netTest("an image goes to the machines that lack it, and to those that have another one of its name", async () => {
  const addresses = new Map<string, Endpoint>();
  await using a = new Machine("a", { app: "sha256:1" }, addresses);
  await using b = new Machine("b", {}, addresses);
  await using c = new Machine("c", { app: "sha256:1" }, addresses);
  await using d = new Machine("d", { app: "sha256:0" }, addresses);
  assertEquals(await a.exchange.send("app", ["b", "c", "d"]), [
    { nodeId: "b", sent: true, failure: undefined },
    { nodeId: "c", sent: false, failure: undefined },
    { nodeId: "d", sent: true, failure: undefined },
  ]);
  for (const { images } of [b, c, d]) assertEquals(images.get("app"), "sha256:1");
  assertEquals(await a.exchange.send("other", ["b"]), undefined);
  assertEquals(await a.exchange.send("app", []), []);
});

netTest("what goes wrong on one machine is told, and the others get the image", async () => {
  const addresses = new Map<string, Endpoint>();
  await using a = new Machine("a", { app: "sha256:1" }, addresses);
  await using b = new Machine("b", {}, addresses);
  await using c = new Machine("c", {}, addresses);
  b.failure = "no space left on device";
  const sent = await a.exchange.send("app", ["b", "c", "gone"]);
  assertEquals(sent?.map(({ nodeId, sent }) => [nodeId, sent]), [["b", false], ["c", true], ["gone", false]]);
  assertEquals(c.images.get("app"), "sha256:1");
  assertStringIncludes(sent![0]!.failure!, "no space left on device");
  assertStringIncludes(sent![2]!.failure!, "no cless is known on the node gone");
});

netTest("an archive that breaks off is no image", async () => {
  const addresses = new Map<string, Endpoint>();
  await using a = new Machine("a", { app: "sha256:1" }, addresses);
  await using b = new Machine("b", {}, addresses);
  a.breaksAfter = 3 * MIB;
  const [sent] = (await a.exchange.send("app", ["b"]))!;
  assert(sent!.failure !== undefined);
  assertEquals(b.images.size, 0);
});
