import type { EventType } from "./event_type.ts";

/** Tells whoever wants to know what has happened. It never throws, and `data` never has the value of a variable. */
export type Emit = (type: EventType, service: string, data: Readonly<Record<string, unknown>>) => void;
