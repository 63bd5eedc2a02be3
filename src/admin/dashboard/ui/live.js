// @ts-check
/// <reference lib="dom" />
import { useEffect, useRef, useState } from "preact/hooks";

/** What keeps a page up to date while somebody can see it. A hidden page asks for nothing. */

/** @typedef {{ type: string, data: Record<string, any> }} LiveEvent */
/** @typedef {ReturnType<typeof setTimeout> | undefined} Timer */

/**
 * @template T
 * @typedef {object} Loaded
 * @property {T | undefined} value
 * @property {Error | undefined} error
 * @property {(afterMs?: number) => void} reload
 * @property {(change: (value: T | undefined) => T | undefined) => void} set
 */

/** The events that change what is shown. */
const TYPES = [
  ...["service.created", "service.changed", "service.deleted", "service.state", "traffic.changed"],
  ...["revision.pulling", "revision.starting", "revision.warning", "revision.ready", "revision.failed"],
  ...["revision.deleted", "service.waiting"],
  ...["instance.starting", "instance.ready", "instance.paused", "instance.hibernated"],
  ...["instance.draining", "instance.stopped", "instance.failed"],
];
const FIRST_RETRY_MS = 300;
const LAST_RETRY_MS = 5000;
/** The stream has a tick a second. One that is silent for so long is dead, also if nobody has said so. */
const SILENT_MS = 6000;

/** An event of the document: the stream is back after it was lost, so that all that is shown may be old. */
const BACK = "cless-back";

/** The events of the document after which what is shown may be old. */
export const RENEWING = ["visibilitychange", BACK];

/** The events of the API, shared by all parts of the page. It connects again by itself. */
export class Events {
  /** @type {Set<(event: LiveEvent) => void>} */
  #listeners = new Set();
  /** @type {EventSource | undefined} */
  #source;
  #lastId = "";
  #retryMs = FIRST_RETRY_MS;
  #isLost = false;
  /** Until the stream is opened again, or is taken to be dead. @type {Timer} */
  #timer;
  #connection;

  /** @param {(lost: boolean) => void} connection Called when the stream is lost, and when it is back */
  constructor(connection) {
    this.#connection = connection;
    document.addEventListener("visibilitychange", () => this.#update());
  }

  /**
   * Calls a function for each event from now on. Returns a function that ends this.
   *
   * @param {(event: LiveEvent) => void} listener
   */
  listen(listener) {
    this.#listeners.add(listener);
    this.#update();
    return () => {
      this.#listeners.delete(listener);
      this.#update();
    };
  }

  #update() {
    const wanted = this.#listeners.size > 0 && !document.hidden;
    if (!wanted) {
      this.#close();
      this.#setLost(false);
    } else if (this.#source === undefined) this.#open();
  }

  #open() {
    const source = new EventSource(`/v1/events${this.#lastId === "" ? "" : `?after=${this.#lastId}`}`);
    this.#source = source;
    const heard = () => {
      clearTimeout(this.#timer);
      this.#timer = setTimeout(() => this.#again(true), SILENT_MS);
    };
    heard();
    source.onopen = () => {
      this.#retryMs = FIRST_RETRY_MS;
      const isBack = this.#isLost;
      this.#setLost(false);
      if (isBack) document.dispatchEvent(new Event(BACK));
    };
    // Browsers on the machine of cless break it off whenever a container starts: only a second time it is lost.
    source.onerror = () => this.#again(this.#retryMs > FIRST_RETRY_MS);
    source.addEventListener("stats", heard);
    for (const type of TYPES) {
      source.addEventListener(type, (event) => {
        heard();
        this.#lastId = event.lastEventId;
        const data = JSON.parse(event.data);
        for (const listener of [...this.#listeners]) listener({ type, data });
      });
    }
  }

  /** Opens the stream again after a while. @param {boolean} isLost */
  #again(isLost) {
    this.#close();
    if (isLost) this.#setLost(true);
    this.#timer = setTimeout(() => this.#update(), this.#retryMs);
    this.#retryMs = Math.min(LAST_RETRY_MS, 2 * this.#retryMs);
  }

  #close() {
    clearTimeout(this.#timer);
    this.#source?.close();
    this.#source = undefined;
  }

  /** @param {boolean} lost */
  #setLost(lost) {
    if (lost === this.#isLost) return;
    this.#isLost = lost;
    this.#connection(lost);
  }
}

/**
 * Runs something now, and again some time after it has ended, while the page can be seen. Returns functions that end
 * this, and that run it soon.
 *
 * @param {() => void | Promise<void>} run
 * @param {number} everyMs
 */
export function whileVisible(run, everyMs) {
  /** @type {Timer} */
  let timer;
  let isRunning = false;
  let isEnded = false;
  /** Whether it was asked for while it ran: what it gets may be older than that. */
  let isDue = false;
  const again = async () => {
    clearTimeout(timer);
    if (isEnded || document.hidden) return;
    isDue = isRunning;
    if (isRunning) return;
    isRunning = true;
    await run();
    isRunning = false;
    if (!isEnded) timer = setTimeout(again, isDue ? 0 : everyMs);
  };
  for (const type of RENEWING) document.addEventListener(type, again);
  again();
  return {
    /** @param {number} [afterMs] */
    soon: (afterMs = 0) => {
      clearTimeout(timer);
      timer = setTimeout(again, afterMs);
    },
    end: () => {
      isEnded = true;
      clearTimeout(timer);
      for (const type of RENEWING) document.removeEventListener(type, again);
    },
  };
}

/**
 * Loads something again and again while the page can be seen. What was loaded stays when a later try fails.
 *
 * @template T
 * @param {() => Promise<T>} load
 * @param {number} everyMs
 * @param {unknown[]} inputs What `load` depends on
 * @returns {Loaded<T>}
 */
export function useLoaded(load, everyMs, inputs) {
  const [state, setState] = useState(/** @type {{ value?: T | undefined, error?: Error }} */ ({}));
  const loop = useRef(/** @type {ReturnType<typeof whileVisible> | undefined} */ (undefined));
  useEffect(() => {
    let isCurrent = true;
    setState({});
    loop.current = whileVisible(async () => {
      try {
        const value = await load();
        if (isCurrent) setState({ value });
      } catch (error) {
        if (isCurrent) setState(({ value }) => ({ value, error: /** @type {Error} */ (error) }));
      }
    }, everyMs);
    return () => {
      isCurrent = false;
      loop.current?.end();
    };
  }, inputs);
  return {
    ...{ value: state.value, error: state.error },
    reload: (afterMs) => loop.current?.soon(afterMs),
    set: (change) => setState(({ value }) => ({ value: change(value) })),
  };
}

/**
 * A value that is loaded, or the last one while another is loaded.
 *
 * @template T
 * @param {T | undefined} value
 */
export function useKept(value) {
  const kept = useRef(value);
  kept.current = value ?? kept.current;
  return kept.current;
}

/**
 * Collects names, and passes them on together when none has come for a while.
 *
 * @param {number} settleMs
 * @param {(names: string[]) => Promise<void>} take
 */
export function useCollected(settleMs, take) {
  const latest = useRef(take);
  latest.current = take;
  const names = useRef(new Set()).current;
  const timer = useRef(/** @type {Timer} */ (undefined));
  useEffect(() => () => clearTimeout(timer.current), []);
  return {
    /** @param {string} name */
    add: (name) => {
      names.add(name);
      clearTimeout(timer.current);
      timer.current = setTimeout(() => {
        const taken = [...names];
        names.clear();
        latest.current(taken).catch(() => {}); // the next load of all tells
      }, settleMs);
    },
  };
}

/**
 * Calls a function for each event while the caller is shown.
 *
 * @param {Events} events
 * @param {(event: LiveEvent) => void} listener
 */
export function useEvents(events, listener) {
  const latest = useRef(listener);
  latest.current = listener;
  useEffect(() => events.listen((event) => latest.current(event)), [events]);
}

/**
 * The time, as long ago as `everyMs` at most, while the page can be seen; ms since 1970.
 *
 * @param {number} everyMs
 */
export function useNow(everyMs) {
  const [now, setNow] = useState(Date.now());
  useEffect(() => whileVisible(() => setNow(Date.now()), everyMs).end, []);
  return now;
}
