/** The part of this process in the requests that several take for the same services, all the same part. */
export interface Share {
  /** How many take them, this one included. */
  readonly of: number;
}

/** The share of a process that takes all requests. */
export const WHOLE: Share = { of: 1 };
