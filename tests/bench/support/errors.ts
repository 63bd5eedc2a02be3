/** Something that makes the figures worthless, or keeps the bench from getting any; the message is one line. */
export class BenchError extends Error {
  override readonly name = "BenchError";
}

/** The command line of the bench was wrong. */
export class BenchUsageError extends Error {
  override readonly name = "BenchUsageError";
}
