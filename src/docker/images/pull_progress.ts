/** How a pull goes on. */
export interface PullProgress {
  /** The layer's short id; missing where it is about the image as a whole. */
  readonly layer?: string;
  /** In the engine's words, such as `Download complete`. */
  readonly status: string;
  /** How many layers are there, of those that are known of so far. */
  readonly done: number;
  readonly total: number;
}

/** Makes sense of what `docker pull` writes where it does not write to a terminal. */
export class PullTracker {
  readonly #layers = new Map<string, boolean>();
  #digest: string | undefined;
  #upToDate = false;

  /** The digest that the registry has for the name, `sha256:…`, once it has been told. */
  get digest(): string | undefined {
    return this.#digest;
  }

  /** Whether the registry had nothing that was not here already. */
  get upToDate(): boolean {
    return this.#upToDate;
  }

  /** What a line tells; `undefined` where that is nothing. */
  read(line: string): PullProgress | undefined {
    const text = line.trim();
    if (text === "") return undefined;
    const [, layer, status = ""] = /^([0-9a-f]{12}): (.+)$/.exec(text) ?? [];
    this.#digest ??= /^Digest: (sha256:[0-9a-f]{64})$/.exec(text)?.[1];
    if (/^Status: Image is up to date/.test(text)) this.#upToDate = true;
    if (layer !== undefined) this.#layers.set(layer, /^(Pull complete|Already exists)/.test(status));
    const done = [...this.#layers.values()].filter(Boolean).length;
    const counts = { done, total: this.#layers.size };
    return layer === undefined ? { status: text, ...counts } : { layer, status, ...counts };
  }
}
