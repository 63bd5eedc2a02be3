import { within } from "../../base/async.ts";
import type { Clock } from "../../base/clock.ts";
import { messageOf } from "../../base/errors.ts";
import { logger } from "../../base/log.ts";
import type { EngineApi } from "../engine_api.ts";
import { parseReference } from "./image_reference.ts";

const log = logger("images");
/** How long a list serves while no events come, or after a failure. */
const MAX_AGE_MS = 5000;
/** Who looks waits at most this long. */
const WAIT_MS = 1000;

/**
 * What the names of images mean on this machine. The engine is asked when somebody looks, and only once until its
 * events report a change, however many look.
 */
export class NamedImages {
  readonly #api: Pick<EngineApi, "imageNames">;
  readonly #clock: Clock;
  readonly #events: { readonly live: boolean };
  #listed: { readonly ids: Promise<ReadonlyMap<string, string>>; readonly at: number; isGood: boolean } | undefined;

  /** @param events The engine's events. While they are live, changed images are reported. */
  constructor(api: Pick<EngineApi, "imageNames">, clock: Clock, events: { readonly live: boolean }) {
    this.#api = api;
    this.#clock = clock;
    this.#events = events;
  }

  /**
   * The id of the image that a name means on this machine; `undefined` if there is none, if the name is an id or has a
   * digest, which always mean the same, or if the engine does not answer soon.
   */
  async idOf(name: string): Promise<string | undefined> {
    const reference = parseReference(name);
    if (reference === undefined || reference.digest !== undefined) return undefined;
    const listed = await within(this.#list(), this.#clock, WAIT_MS);
    return listed?.get(`${reference.repository}:${reference.tag ?? "latest"}`);
  }

  /** Notes that images may have changed. Asks the engine for nothing. */
  changed(): void {
    this.#listed = undefined;
  }

  #list(): Promise<ReadonlyMap<string, string>> {
    const known = this.#listed;
    const isFresh = known !== undefined &&
      ((this.#events.live && known.isGood) || this.#clock.now() - known.at < MAX_AGE_MS);
    if (isFresh) return known.ids;
    const listed = { ids: this.#api.imageNames().then(byReference), at: this.#clock.now(), isGood: true };
    listed.ids = listed.ids.catch((error) => {
      listed.isGood = false;
      log.debug("cannot list the names of the images", { reason: messageOf(error) });
      return new Map();
    });
    this.#listed = listed;
    return listed.ids;
  }
}

/** The ids by the names as {@linkcode parseReference} reads them; Podman writes them in full. */
function byReference(names: ReadonlyMap<string, string>): Map<string, string> {
  return new Map([...names].flatMap(([name, id]) => {
    const reference = parseReference(name.replace(/^localhost\//, ""));
    return reference?.tag === undefined ? [] : [[`${reference.repository}:${reference.tag}`, id]];
  }));
}
