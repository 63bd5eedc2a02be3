const FILES = 32;

/**
 * File descriptors that are held for nothing, and given up when there are no others: those clients who have got in can
 * then still be served, which takes connections to their apps.
 */
export class FileReserve {
  readonly #files: Deno.FsFile[] = [];

  /**
   * Takes the descriptors.
   *
   * @returns Whether there were enough; if not, none are held.
   */
  take(): boolean {
    try {
      while (this.#files.length < FILES) this.#files.push(Deno.openSync("/dev/null"));
      return true;
    } catch {
      this.release();
      return false;
    }
  }

  /** Gives them up. */
  release(): void {
    for (const file of this.#files.splice(0)) file.close();
  }
}
