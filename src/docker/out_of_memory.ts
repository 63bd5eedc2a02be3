/** So many containers are remembered. */
const MOST = 1000;

/**
 * Which containers had a process killed since they needed more memory than they may have. The engine tells of that before it
 * tells of the end of the container, which for that reason never has to wait for a look at it.
 */
export class OutOfMemory {
  readonly #told = new Set<string>();

  /** Notes that the engine has told of it. */
  told(id: string): void {
    if (this.#told.size >= MOST) this.#told.clear();
    this.#told.add(id);
  }

  /** Whether that is why a container has ended; afterwards it is forgotten. */
  explains(id: string, exitCode: number | undefined): boolean {
    // An app may go on without one of its processes, and end well.
    return this.#told.delete(id) && exitCode !== 0;
  }
}
