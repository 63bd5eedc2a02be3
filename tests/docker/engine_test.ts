import { assertEquals, assertRejects } from "@std/assert";
import type { DataDir } from "../../src/control/data_dir.ts";
import { Engine } from "../../src/docker/engine.ts";
import type { EngineApi, EngineEvent, ListedContainer } from "../../src/docker/engine_api.ts";
import type { EngineChoice } from "../../src/docker/engine_choice.ts";
import type { ContainerEvent } from "../../src/pool/launcher.ts";
import { FakeClock, settle } from "../support/fake_clock.ts";
import { noRun } from "../support/permissions.ts";
import { REVISION } from "./launcher_kit.ts";

const OWNER = "enginetest";
const ENGINE_ID = "0123456789abcdef".repeat(4);

/** An engine whose API is the test's own. */
class Scene {
  readonly clock = new FakeClock();
  readonly images = new Map([["a-docker", "sha256:1"]]);
  readonly heard: ContainerEvent[] = [];
  /** The streams of events so far: each ends when the test says so. */
  readonly streams: { send(event: EngineEvent): void; end(): void }[] = [];
  gaps = 0;
  asked = 0;
  isClosed = false;
  readonly engine: Engine;

  constructor(api: Partial<EngineApi> = {}, freezer: "auto" | "docker" = "docker") {
    const network = { name: `cless-${OWNER}`, labels: {}, subnets: [{ subnet: "10.9.0.0/24", gateway: undefined }] };
    const whole: Partial<EngineApi> = {
      via: "a test",
      networks: () => Promise.resolve([network]),
      conventionImages: () => Promise.resolve(new Map(this.images)),
      version: () => Promise.resolve(`${++this.asked}`),
      events: (_since, signal) => Promise.resolve(this.#events(signal)),
      [Symbol.dispose]: () => void (this.isClosed = true),
      ...api,
    };
    this.engine = new Engine(
      { api: whole } as EngineChoice,
      {
        freezer,
        freezerSocket: "/none",
        listen: [],
        noHostAccess: false,
        swapBudgetBytes: undefined,
        portRange: { first: 20_000, last: 20_009 },
        upstream: "direct",
      },
      { owner: OWNER, path: "/data" } as DataDir,
      this.clock,
    );
  }

  async start(): Promise<void> {
    const gap = () => void this.gaps++;
    await this.engine.start(Promise.resolve(), { apply: (event) => void this.heard.push(event), gap });
  }

  async *#events(signal: AbortSignal): AsyncGenerator<EngineEvent> {
    const pieces = new TransformStream<EngineEvent>({}, { highWaterMark: 100 });
    const writer = pieces.writable.getWriter();
    const end = () => void writer.close().catch(() => {});
    signal.addEventListener("abort", end);
    this.streams.push({ end, send: (event) => void writer.write(event) });
    yield* pieces.readable;
  }
}

function engineTest(name: string, fn: () => Promise<void>): void {
  Deno.test({ name, ignore: noRun, fn });
}

function event(action: string, name: string, owner = OWNER): EngineEvent {
  return {
    type: "container",
    action,
    engineId: ENGINE_ID,
    attributes: { name, "cless.owner": owner },
    time: undefined,
  };
}

engineTest("whether the engine answers is asked once for all who want to know, and again a second later", async () => {
  const answers = [true, false, true];
  const version = () => {
    scene.asked++;
    return answers.shift() ? Promise.resolve("26") : Promise.reject(new Error("no"));
  };
  const scene = new Scene({ version });
  const { clock, engine } = scene;
  assertEquals(await Promise.all([engine.answers(), engine.answers()]), [true, true]);
  await clock.advance(999);
  assertEquals([await engine.answers(), scene.asked], [true, 1]);
  await clock.advance(1);
  assertEquals([await engine.answers(), scene.asked], [false, 2]);
  await clock.advance(1000);
  assertEquals([await engine.answers(), scene.asked], [true, 3]);
});

const CONTAINER: ListedContainer = {
  ...{ id: "one", engineId: "no such container", owner: OWNER, service: "golang", revision: "golang-1" },
  ...{ imageId: "sha256:1", state: "running", upFor: 0, address: "10.9.0.2", origin: "http://10.9.0.2:8080" },
};

engineTest("a start that fails leaves no timer and asks the engine for nothing more", async () => {
  const conventionImages = () => Promise.reject(new Error("busy"));
  const scene = new Scene({ networks: () => Promise.reject(new Error("no networks")), conventionImages });
  await assertRejects(() => scene.start(), Error, "no networks");
  assertEquals([scene.engine.found, scene.clock.timers, scene.streams.length], [false, 0, 0]);
});

engineTest("images that were built while no events came are found once they come again", async () => {
  const scene = new Scene();
  const { clock, engine, images, streams } = scene;
  await scene.start();
  assertEquals([engine.listening, engine.images.names(), scene.gaps], [true, ["a-docker"], 0]);
  streams[0]!.end();
  await settle();
  assertEquals([engine.listening, scene.gaps], [false, 1]);
  images.set("b-docker", "sha256:2");
  await clock.advance(100);
  assertEquals([engine.listening, engine.images.names(), scene.gaps], [true, ["a-docker", "b-docker"], 2]);
  await engine.leave();
  assertEquals([scene.isClosed, clock.timers], [true, 0]);
});

engineTest("events of one's own containers count, except of those that are being started", async () => {
  const run = Promise.withResolvers<void>();
  const scene = new Scene({ run: () => run.promise });
  await scene.start();
  const launched = scene.engine.launcher.launch({ id: "one", revision: REVISION });
  await settle();
  const { send } = scene.streams[0]!;
  send(event("die", "one"));
  send(event("pause", "two", "another"));
  send(event("pause", "three"));
  await settle();
  assertEquals(scene.heard, [{ id: "three", what: "paused" }]);
  send(event("start", "one"));
  await launched; // before the answer to the request
  send(event("unpause", "one"));
  await settle();
  assertEquals(scene.heard.at(-1), { id: "one", what: "resumed" });
  run.resolve();
  await scene.engine.leave();
});

engineTest("a process leaves once no container is being made, so that the next one finds all", async () => {
  const run = Promise.withResolvers<void>();
  const scene = new Scene({ run: () => run.promise });
  await scene.start();
  const launched = scene.engine.launcher.launch({ id: "one", revision: REVISION });
  await settle();
  const left = scene.engine.leave();
  await settle();
  assertEquals(scene.isClosed, false);
  run.resolve();
  await Promise.all([launched, left]);
  assertEquals(scene.isClosed, true);
});

engineTest("of the containers with a volume, those of other data-dirs are named, each service once", async () => {
  const of = (owner: string, service: string) => ({ ...CONTAINER, owner, service });
  const containers = [of("", ""), of(OWNER, "own"), of("b2", "web"), of("b2", "web"), of("a1", "shop")];
  const { engine } = new Scene({ containers: () => Promise.resolve(containers) });
  assertEquals(await engine.othersWithVolume("data"), ["shop of a1", "web of b2"]);
  const { engine: silent } = new Scene({ containers: () => Promise.reject(new Error("no")) });
  assertEquals(await silent.othersWithVolume("data"), []);
});

Deno.test({
  name: "the helper that freezes containers is started while the engine answers, before it is needed",
  ignore: noRun || Deno.uid() !== 0, // others have a helper that runs already
  fn: async () => {
    const asked = Promise.withResolvers<void>();
    const info = () => {
      asked.resolve();
      return Promise.resolve({ id: "", dataFolder: "/none", runtime: "runc" });
    };
    const scene = new Scene({ info }, "auto");
    await scene.start();
    await asked.promise;
    await scene.engine.leave();
  },
});
