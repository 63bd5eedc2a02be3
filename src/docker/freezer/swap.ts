/** The machine's swap, bytes. */
export interface SwapSpace {
  readonly totalBytes: number;
  readonly freeBytes: number;
}

/** The machine's swap now. */
export function readSwap(): SwapSpace {
  const { swapFree, swapTotal } = Deno.systemMemoryInfo();
  return { totalBytes: swapTotal, freeBytes: swapFree };
}
