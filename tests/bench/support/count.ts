/** What those who send the requests have counted. */
export interface Count {
  readonly requests: number;
  readonly requestsPerSecond: number;
  readonly p99Ms: number;
}
