/** Where time comes from. Tests pass a clock that they advance themselves. */
export interface Clock {
  /** Milliseconds since some fixed moment; never goes back. */
  now(): number;
  /** Calls back once after `ms` (`Infinity`: never). Returns a function that cancels. */
  after(ms: number, callback: () => void): () => void;
  /** Calls back every `ms`. Returns a function that cancels. */
  every(ms: number, callback: () => void): () => void;
}

/** The machine's clock. */
export const systemClock: Clock = {
  now: () => performance.now(),
  after(ms, callback) {
    if (ms === Infinity) return () => {};
    const timer = setTimeout(callback, Math.max(0, ms));
    return () => clearTimeout(timer);
  },
  every(ms, callback) {
    const timer = setInterval(callback, ms);
    return () => clearInterval(timer);
  },
};
