/** A place in a text, from 1. */
export interface Place {
  readonly line: number;
  readonly column: number;
}

/** What is wrong in a file; the message is `FILE:LINE:COLUMN: FIELD: what is wrong, what is right`, on one line. */
export class ManifestError extends Error {
  override readonly name = "ManifestError";
  readonly file: string;
  /** From 1. */
  readonly line: number;
  /** From 1. */
  readonly column: number;

  constructor(file: string, { line, column }: Place, message: string) {
    super(`${file}:${line}:${column}: ${message}`);
    this.file = file;
    this.line = line;
    this.column = column;
  }
}
