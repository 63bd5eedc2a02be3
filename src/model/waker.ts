/** Who has made an instance wake. */
export type Waker =
  | RequestWaker
  /** An operator, by the name of the token. */
  | { readonly kind: "operator"; readonly name: string }
  /** A deploy, which tries the new revision. */
  | { readonly kind: "deploy" }
  /** cless itself: for the minimum of instances, for more requests than the others take, or in place of another one. */
  | { readonly kind: "minimum" }
  | { readonly kind: "unknown" };

/** A request that has made an instance wake, with what is kept of it: see `--wake-log`. Texts may be cut off. */
export interface RequestWaker {
  readonly kind: "request";
  readonly method?: string;
  /** The requested host without its port. */
  readonly host?: string;
  /** The target, usually without its query. */
  readonly path?: string;
  /** The client's address, or the network that it is in. */
  readonly network?: string;
  readonly userAgent?: string;
  /** Present if the user agent is that of a known robot. */
  readonly robot?: true;
}

/** Tells who waits for an instance, should that be whom it wakes for. */
export type Asker = () => Waker;
